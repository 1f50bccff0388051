"""Synthetic scenes: a street as a video source of which everything is known.

Nothing is imported here: an address is read (:mod:`.settings`) without what draws it (:mod:`.render`).
"""
