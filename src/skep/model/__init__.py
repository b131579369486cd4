"""Words every room shares: names, objects, violations, instances, nodes. Pure records; no IO, no time."""
