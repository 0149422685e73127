"""Devices: list and select them, set their precision, wait for them, measure their memory, describe them.

Of the packages it imports options and records.
"""
