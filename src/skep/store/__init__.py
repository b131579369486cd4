"""Keeps objects durably and tells what changed since a revision. Knows nothing of what the objects mean."""
