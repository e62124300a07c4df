"""What figures mean: fidelity and behaviour of displacement maps, and the simple ways of making them to compare with."""
