"""Benchmarks: each compares within one run and prints its figures and bars as one line of JSON at the end."""
