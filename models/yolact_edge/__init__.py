"""YolactEdge and YOLACT: instances with masks, in pictures and, with features that follow the motion, in video."""
