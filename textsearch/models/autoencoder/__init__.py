"""Transformer-based text autoencoders: all conditionals of a text in one pass."""
