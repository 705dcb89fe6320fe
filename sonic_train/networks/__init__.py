"""Encoders, quantiser, decoders, critic and their normalisers."""
