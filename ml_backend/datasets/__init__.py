"""Readers for training data in the published layouts."""
