"""Weights: where they are, what is in them, how they come here."""
