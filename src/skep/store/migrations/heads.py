"""The schema's newest step, known without importing the migration tool. A test keeps it true."""

HEAD = "0001"
