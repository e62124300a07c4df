"""Simulated colour of skin: chromophores, their distribution over the face, reflectance."""
