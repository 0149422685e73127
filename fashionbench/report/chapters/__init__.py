"""The chapters of the report: each function takes the context and returns the blocks of one chapter."""
