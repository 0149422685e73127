"""The chapters of the report: each function takes the context and returns the blocks of one chapter.

To add a chapter, write such a function in a module of this folder, and add it to ``CHAPTERS`` in ``report/page.py``.
That is the only list: title, order and table of contents follow from it.
"""
