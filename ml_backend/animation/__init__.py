"""Curves without networks: editing, procedural motion, emotion and its guess, contacts of the lips."""
