"""Data: images found, fetched, verified, read and split. May import devices and records."""
