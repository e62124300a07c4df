"""Tools of the project: demo, package, pictures, texts, version matrix."""
