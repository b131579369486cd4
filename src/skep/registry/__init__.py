"""Instances: who is alive, who says so, when last heard, when the lease ends."""
