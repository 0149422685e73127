"""From a search space to a tuned recipe, by trials that never see the test images.

It may import running and everything that running may import; nothing but the command line imports it.
"""
