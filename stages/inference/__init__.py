"""From a frame to the outputs of a network."""
