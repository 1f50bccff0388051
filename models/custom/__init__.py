"""Networks of the user's own: any ONNX file whose outputs one of the heads understands."""
