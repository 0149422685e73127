"""Models: build a network or baseline by its name, and describe its size. May import data, records and errors."""
