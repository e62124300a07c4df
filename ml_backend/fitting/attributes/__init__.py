"""One pass from a photograph to the codes of its face."""
