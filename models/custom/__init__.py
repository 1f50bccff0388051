"""Custom models: any ONNX file whose outputs one of the heads can parse."""
