"""Data sets: read, written, and synthetic scenes as one of them."""
