"""Records: what measuring writes and everything else reads.

It imports no other package, only the modules at the top: options, recipe, catalogue and errors.
"""
