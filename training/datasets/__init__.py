"""Data sets: read, written, and the drawn world as one of them."""
