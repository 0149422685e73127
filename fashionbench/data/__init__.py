"""Data: find, fetch, verify, read and split the images. May import devices, records, recipe and errors."""
