"""Starts that satisfy the hard terms of a task."""
