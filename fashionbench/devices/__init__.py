"""Devices: list and select them, wait for them, measure their memory, describe them. May import records and errors."""
