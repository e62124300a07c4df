"""Wrinkles that follow the sliders or an action."""
