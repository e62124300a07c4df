"""The mapping network of landmark-driven reenactment: its training."""
