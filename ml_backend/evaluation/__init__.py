"""Evaluations with their measures and baselines, one file for each `evaluate` command."""
