"""Simulated training data, by room: relief of the skin and portraits."""
