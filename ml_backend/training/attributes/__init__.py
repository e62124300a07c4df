"""Training of the attribute encoder."""
