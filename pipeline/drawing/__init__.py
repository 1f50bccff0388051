"""How results look on a picture: what types of results draw with."""
