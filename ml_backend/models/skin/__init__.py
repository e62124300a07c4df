"""Skin colour: the albedo model, its detail, its sliders, and the same painted live in Blender."""
