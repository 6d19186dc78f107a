"""Starts: texts from which chains set out."""
