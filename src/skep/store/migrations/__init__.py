"""The schema of the SQL backends, step by step."""
