"""Skep: a microservice platform, from one command on a laptop to a cluster with the same manifests."""
