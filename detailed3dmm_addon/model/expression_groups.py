"""Groups of the 52 expressions for the panels, and their presets."""

from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.expression_presets import EXPRESSION_PRESETS

__all__ = ["EXPRESSION_GROUPS", "EXPRESSION_PRESETS"]


def _group_of(name: str) -> str:
    if name == "tongueOut":
        return "tongue"
    return next(group for group, prefixes in _PREFIXES.items() if name.startswith(prefixes))


_PREFIXES = {
    "brows": ("brow",),
    "eyes": ("eye",),
    "cheeks": ("cheek", "nose"),
    "jaw": ("jaw",),
    "mouth": ("mouth",),
}
_LABELS = {
    "brows": "Brows",
    "eyes": "Eyes",
    "cheeks": "Cheeks and Nose",
    "jaw": "Jaw",
    "mouth": "Mouth",
    "tongue": "Tongue",
}

EXPRESSION_GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = tuple(
    (key, label, tuple(name for name in EXPRESSION_NAMES if _group_of(name) == key))
    for key, label in _LABELS.items()
)
"""(identifier, label, expression names) in the order of the panel."""
