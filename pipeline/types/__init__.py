"""What flows through a graph: pictures, objects, points, masks, maps, tensors."""
