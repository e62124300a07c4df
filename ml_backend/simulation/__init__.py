"""Simulated skin: the physics that training pairs come from."""
