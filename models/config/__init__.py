"""Cameras in one TOML file: how it is read, checked, written back and followed while they run."""
