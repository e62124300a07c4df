"""Simulated portraits: painted heads, skin shading, backgrounds."""
