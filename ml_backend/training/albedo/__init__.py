"""Training of the albedo model: its linear part and its detail."""
