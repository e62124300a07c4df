"""Learned or physical face models, one per file."""
