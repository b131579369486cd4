"""The loop: newest facts into the compiler's memory, stale answers recompiled and published, statuses written back."""
