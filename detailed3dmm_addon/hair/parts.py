"""The parts of a face's hair, and the names of their sliders."""

PARTS = ("brows", "lashes", "scalp", "beard", "vellus")
DEFAULT_STYLES = {
    "brows": "NATURAL",
    "lashes": "NATURAL",
    "scalp": "CROPPED",
    "beard": "STUBBLE",
    "vellus": "FINE",
}
SHAPE_SLIDERS = ("length", "density", "clump", "frizz", "curl")
COLOUR_SLIDERS = ("melanin", "redness", "grey")
NUMBERS = (*SHAPE_SLIDERS, "thickness", *COLOUR_SLIDERS, "viewport")
