"""Builds bilinear face models: reads, samples, transfers, decomposes. May import scipy."""
