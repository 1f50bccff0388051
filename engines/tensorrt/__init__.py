"""One adapter for TensorRT (10 and 11) and TensorRT-RTX; where they differ, :mod:`.flavour` says how."""
