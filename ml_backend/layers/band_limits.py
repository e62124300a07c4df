"""Between resolutions by the bicubic filter: what a coarser grid knows of a map, and what it cannot know."""

from torch import Tensor
from torch.nn import functional


def shrink(maps: Tensor, resolution: int) -> Tensor:
    """Shrinks maps (B, C, R, R) to (B, C, r, r), bicubic; the maps themselves where R = r.

    The kernel is widened by R / r against aliasing.
    """
    if maps.shape[-1] == resolution:
        return maps
    return functional.interpolate(
        maps, size=(resolution, resolution), mode="bicubic", antialias=True, align_corners=False
    )


def enlarge(maps: Tensor, resolution: int) -> Tensor:
    """(B, C, r, r) -> (B, C, R, R), bicubic; the maps themselves where R = r."""
    if maps.shape[-1] == resolution:
        return maps
    return functional.interpolate(maps, size=(resolution, resolution), mode="bicubic", align_corners=False)


def above(maps: Tensor, resolution: int) -> Tensor:
    """Returns the part of maps (B, C, R, R) that a grid of r x r does not hold; same shape."""
    return maps - enlarge(shrink(maps, resolution), maps.shape[-1])
