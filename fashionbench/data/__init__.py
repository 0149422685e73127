"""Data: find, fetch, verify, read and split the images.

Of the packages it may import devices and records.
"""
