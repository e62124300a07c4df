"""Training data: published layouts, simulated maps and portraits, speech, and their degradation."""
