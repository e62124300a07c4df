"""A small picture of a mesh from the front, for previews: numpy alone, equal on every machine."""

import numpy as np

from .texture_space import covered_texels

_LIGHTS = (((-0.5, -0.6, 0.75), 0.85), ((0.7, -0.7, 0.1), 0.3))
_AMBIENT = 0.12
_MARGIN = 0.06
_SUPERSAMPLING = 2


def draw_portrait(
    positions: np.ndarray, normals: np.ndarray, triangles: np.ndarray, colours: np.ndarray, size: int
) -> np.ndarray:
    """Draws what looks along -Y, from the front, filling the picture's height.

    Args:
        positions: (V, 3), Z up, the face looks along -Y.
        normals: (V, 3) unit.
        triangles: (T, 3).
        colours: (V, 3) linear RGB.
        size: pixels along a side.

    Returns:
        (size, size, 4) float32, linear RGB and alpha, row 0 at the bottom.
    """
    fine = size * _SUPERSAMPLING
    shown = positions[np.unique(triangles)]
    low = shown.min(0)
    high = shown.max(0)
    middle = (low + high) / 2
    span = max(high[2] - low[2], high[0] - low[0]) * (1 + 2 * _MARGIN)
    screen = (positions[:, [0, 2]] - middle[[0, 2]]) / span + 0.5
    ahead = (
        np.cross(
            screen[triangles[:, 1]] - screen[triangles[:, 0]],
            screen[triangles[:, 2]] - screen[triangles[:, 0]],
        )
        > 0
    )
    triangles = triangles[ahead]
    texel, owner, weights = covered_texels(screen, triangles, fine)
    depth = (positions[triangles[owner], 1] * weights).sum(1)
    order = np.lexsort((depth, texel))
    texel, first = np.unique(texel[order], return_index=True)
    owner = triangles[owner[order[first]]]
    weights = weights[order[first]][:, :, None]
    facing = (normals[owner] * weights).sum(1)
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-9)
    light = np.full(len(texel), _AMBIENT)
    for direction, strength in _LIGHTS:
        light += strength * np.clip(facing @ np.array(direction) / np.linalg.norm(direction), 0, None)
    picture = np.zeros((fine * fine, 4), np.float32)
    picture[texel, :3] = (colours[owner] * weights).sum(1) * light[:, None]
    picture[texel, 3] = 1.0
    picture = picture.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING, 4).mean((1, 3))
    picture[..., :3] /= np.maximum(picture[..., 3:], 1e-6)
    return picture
