"""Performances on a face: settings, targets and the animation of a recording or a capture."""
