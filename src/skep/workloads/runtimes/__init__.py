"""The ways to run a replica, one file each."""
