"""Models: networks and baselines by name, and what they consist of. May import data, devices and records."""
