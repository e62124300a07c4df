"""Hair, eyes, mouth and outline on the exact decoder's drawing, by a small network."""
