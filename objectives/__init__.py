"""Objectives: energies of texts."""
