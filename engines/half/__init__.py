"""ONNX networks in half precision: which nodes may compute in it, the network itself, and what its arithmetic does."""
