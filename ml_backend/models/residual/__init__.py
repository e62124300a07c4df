"""What the exact decoder's drawing lacks: hair, eyes, mouth and outline, added by a small network."""
