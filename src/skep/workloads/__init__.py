"""Deployments as running replicas: a pure plan, and runtimes that carry it out."""
