"""Devices: list and select them, wait for them, measure their memory, describe them.

Of the packages it may import records.
"""
