"""Curves without networks: editing, procedural motion, emotion, contacts of the lips and their measures."""
