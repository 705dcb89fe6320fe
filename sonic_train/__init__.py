"""Training of universal-token whole-body tracking policies in Isaac Lab, and their export to ONNX."""
