"""Rows of several tables by one list of indices: what NumPy's indexing is in host memory, in one launch on a card."""
