"""Whole people: identity, photo, presets, face files and assets."""
