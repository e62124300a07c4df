"""Figures of the solve of videos, of wrinkles from videos, and of faces driven by others."""
