"""Composites: samplers made of samplers."""
