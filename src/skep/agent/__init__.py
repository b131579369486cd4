"""Beside workloads: starts and hot-restarts Envoy, runs this host's replicas, probes them and keeps their leases."""
