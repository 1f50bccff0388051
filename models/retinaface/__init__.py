"""RetinaFace: faces with five points, in six variants."""
