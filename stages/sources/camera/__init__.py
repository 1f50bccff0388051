"""Cameras and other live streams: what is read at the pace at which it comes, and is opened again when it is lost."""
