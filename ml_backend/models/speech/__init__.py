"""Speech networks, one per file."""
