"""Observation vectors to a raw policy action, through ONNX Runtime."""
