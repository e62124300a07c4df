"""Builds bilinear face models: reads a template or scans' model, samples people, transfers expressions, decomposes. May import scipy."""
