"""A ride-hailing company in eight small services. Knows nothing of the platform that runs it."""
