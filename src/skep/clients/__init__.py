"""Thin wire clients that two rooms share."""
