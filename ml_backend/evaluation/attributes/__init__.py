"""Figures of the attribute encoder."""
