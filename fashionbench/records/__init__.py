"""Records: what measuring writes and everything else reads.

May import only the recipe, the catalogue and the errors.
"""
