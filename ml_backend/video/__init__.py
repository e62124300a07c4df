"""Videos: decoding, following a face, and the solve of all frames together."""
