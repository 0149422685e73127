"""Models: build a network or baseline by its name, and describe its size.

Of the packages it imports data, records and recipe.
"""
