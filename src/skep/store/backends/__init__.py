"""The databases a store can live in, one file each: SQL and error translation only."""
