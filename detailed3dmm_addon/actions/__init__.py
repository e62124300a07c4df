"""Keys, curves and sounds of a scene."""
