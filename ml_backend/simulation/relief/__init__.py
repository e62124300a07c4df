"""Simulated wrinkles and pores: the physics that training maps come from."""
