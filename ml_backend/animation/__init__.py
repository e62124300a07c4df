"""Curves without networks: editing, procedural motion, emotion, contacts and measures of the lips."""
