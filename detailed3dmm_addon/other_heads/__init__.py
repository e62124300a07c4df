"""Wrinkles on heads that the extension did not make."""
