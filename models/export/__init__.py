"""Writing models as ONNX, quantised where asked."""
