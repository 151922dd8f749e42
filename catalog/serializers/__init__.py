"""Shapes of the catalogue in JSON."""
