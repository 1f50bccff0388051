"""Results of frames: their types, the JSON lines, reading back, other formats."""
