"""Loss functions without state of their own."""
