"""CUDA kernels: how they are compiled, found and launched, and memory of the card.

A kernel's folder has ``<name>.cu`` (device code alone) and ``cuda.py`` (for each wrapper with a CUDA twin, a function
of its name), and ``twins.py`` a row for each. The driver is not opened before an array on a card is met.
"""
