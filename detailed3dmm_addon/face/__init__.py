"""The mesh of a face and its attributes."""
