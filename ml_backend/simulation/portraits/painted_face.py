"""Paints a head: the dense mesh with skin, lips, brows, cropped hair and eyes, lit by spherical harmonics.

It has to convince a landmark detector, not people, and needs numpy and scipy alone.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from ...geometry.camera_view import Camera, rasterise_view
from ...geometry.dense_face import dense_face_mesh
from ...geometry.displacement import vertex_normals
from ...geometry.hair_regions import COARSE_HAIRLINE, brow_cover, scalp_cover
from ...geometry.spherical_harmonics import harmonics
from ...geometry.srgb import to_srgb
from ...geometry.subdivision import DenseMesh
from ...geometry.texture_space import triangles_of
from ...models.bilinear_face import BilinearFace

_REACHES = 0.003, 0.008, 0.02
"""Metres around a place that shade it."""
_SMILE = ("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight")
_GROUPS = (
    ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    ("browDownLeft", "browDownRight"),
    ("mouthFrownLeft", "mouthFrownRight"),
    ("mouthPucker",),
    ("mouthFunnel", "jawOpen"),
    ("eyeSquintLeft", "eyeSquintRight"),
    ("eyeBlinkLeft", "eyeBlinkRight"),
    ("mouthStretchLeft", "mouthStretchRight"),
    ("mouthPressLeft", "mouthPressRight"),
    ("noseSneerLeft", "noseSneerRight"),
    ("eyeLookInLeft", "eyeLookOutRight"),
    ("eyeLookOutLeft", "eyeLookInRight"),
    ("eyeLookDownLeft", "eyeLookDownRight"),
    ("mouthUpperUpLeft", "mouthUpperUpRight"),
    ("mouthLowerDownLeft", "mouthLowerDownRight"),
    ("jawOpen",),
    ("jawLeft",),
    ("mouthRight",),
    ("cheekPuff",),
    ("eyeWideLeft", "eyeWideRight"),
)


@dataclass(frozen=True)
class HeadPaint:
    """The fields that the colours of a head are mixed from, by dense vertex, made on the mean face.

    Attributes:
        mesh: the dense mesh.
        triangles: (T, 3) int32 of what is drawn: all but the lashes.
        skin, lips, flush, brows, scalp, lid_edge: (N,) float32 in 0..1.
        eye: (N, 3) float32, the place on an eyeball in radii (right, up, forward); zero elsewhere.
        teeth, tongue: (N,) float32, 1 on them.
    """

    mesh: DenseMesh
    triangles: np.ndarray
    skin: np.ndarray
    lips: np.ndarray
    flush: np.ndarray
    brows: np.ndarray
    scalp: np.ndarray
    lid_edge: np.ndarray
    eye: np.ndarray
    teeth: np.ndarray
    tongue: np.ndarray


def prepare_paint(face: BilinearFace) -> HeadPaint:
    """Makes the fields that colours are mixed from."""
    mesh = dense_face_mesh(face)
    triangles, owner = triangles_of(mesh.polygons)
    part_of_polygon = face.polygon_part[mesh.base_polygon]
    part = np.zeros(mesh.vertex_count, np.uint8)
    part[mesh.polygons[:, :3].ravel()] = np.repeat(part_of_polygon, 3)
    number = {name: index for index, name in enumerate(face.part_names)}
    place = mesh.refine(face.mean)
    skin = part == number["skin"]
    ear, top = (face.mean[face.landmarks[name]].mean(0) for name in ("ear_left", "forehead_top"))
    scalp = scalp_cover(place, ear, top, COARSE_HAIRLINE) * skin
    eye = np.zeros_like(place)
    brows, lid_edge = np.zeros(len(place), np.float32), np.zeros(len(place), np.float32)
    for side in ("left", "right"):
        chosen = part == number[f"eye_{side}"]
        offset = place[chosen] - face.mean[face.landmarks[f"eye_{side}"]].mean(0)
        offset /= np.median(np.linalg.norm(offset, axis=1))
        eye[chosen] = np.stack([offset[:, 0], offset[:, 2], -offset[:, 1]], 1)
        upper, lower = (face.mean[face.landmarks[f"lid_{lid}_{side}"]] for lid in ("upper", "lower"))
        inner, outer = upper[0], upper[-1]
        centre, half = (inner + outer) / 2, np.linalg.norm(outer - inner) / 2
        brows = np.maximum(brows, np.where(skin, brow_cover(place, upper), 0))
        for lid, width in ((upper, 0.0014), (lower, 0.0007)):
            steps = np.linspace(0, len(lid) - 1, 8 * len(lid))
            fine = np.stack([np.interp(steps, np.arange(len(lid)), lid[:, axis]) for axis in range(3)], 1)
            near = np.flatnonzero(skin & (np.linalg.norm(place - centre, axis=1) < 1.6 * half))
            distance = np.linalg.norm(place[near, None] - fine[None], axis=2).min(1)
            lid_edge[near] = np.maximum(lid_edge[near], np.clip(1.4 - distance / width, 0, 1))
    regions = {name: np.clip(mesh.refine(weights), 0, 1) for name, weights in face.regions.items()}
    flush = np.clip(0.7 * regions["cheeks"] + 0.75 * regions["nose"] + 0.3 * regions["chin"], 0, 1)
    lashes = number["lashes"]
    return HeadPaint(
        mesh,
        triangles[part_of_polygon[owner] != lashes],
        skin.astype(np.float32),
        regions["lips"],
        flush,
        brows.astype(np.float32),
        scalp.astype(np.float32),
        lid_edge,
        eye,
        np.isin(part, [number["teeth_upper"], number["teeth_lower"]]).astype(np.float32),
        (part == number["tongue"]).astype(np.float32),
    )


def head_colours(paint: HeadPaint, random: np.random.Generator) -> np.ndarray:
    """Draws one person's linear albedo (N, 3): tone, hair and iris by chance."""
    tone = random.beta(1.0, 1.3)
    light, dark = np.array([0.70, 0.44, 0.33]), np.array([0.09, 0.04, 0.024])
    skin = light * (dark / light) ** tone * random.uniform(0.85, 1.15)
    hair = np.array([0.05, 0.03, 0.02]) * random.uniform(0.3, 2.5) * (1 - 0.7 * tone)
    colour = np.repeat(skin[None], len(paint.skin), 0)
    colour = colour * (1 - paint.flush[:, None] * random.uniform(0.1, 0.7) * np.array([0.0, 0.34, 0.40]))
    lips = skin * np.array([0.88, 0.52, 0.50]) * random.uniform(0.8, 1.1)
    colour += (lips - colour) * np.clip((paint.lips[:, None] - 0.3) / 0.45, 0, 1)
    for cover, strength in (
        (paint.scalp, random.uniform(0.2, 1.0)),
        (paint.brows, random.uniform(0.5, 0.95)),
        (paint.lid_edge, 0.8),
    ):
        colour += (hair * 0.6 - colour) * (cover * strength)[:, None]
    radius = np.hypot(paint.eye[:, 0], paint.eye[:, 1])
    brown = random.random() < 1 / 3 + tone  # who has dark skin has brown eyes
    iris = np.array([[0.06, 0.09, 0.13], [0.05, 0.07, 0.035]])[random.integers(2)]
    iris = np.array([0.08, 0.04, 0.02]) * random.uniform(0.3, 1.2) if brown else iris
    inside = (radius < 0.48) & (paint.eye[:, 2] > 0)
    eye = np.where(inside[:, None], iris, np.array([0.62, 0.57, 0.54]))
    eye = np.where((inside & (radius < 0.18))[:, None], 0.004, eye)
    on_eye = (np.abs(paint.eye).sum(1) > 0)[:, None]
    colour = np.where(on_eye, eye, colour)
    colour = np.where(paint.teeth[:, None] > 0, np.array([0.50, 0.44, 0.36]), colour)
    return np.where(paint.tongue[:, None] > 0, np.array([0.35, 0.12, 0.10]), colour).astype(np.float32)


def sample_expression(face: BilinearFace, random: np.random.Generator) -> np.ndarray:
    """Draws an expression (52,): a third at rest, a third smiling, a third one to three random groups."""
    expression = np.zeros(len(face.expression_names), np.float32)
    kind = random.integers(3)
    groups = (
        [_SMILE]
        if kind == 1
        else [_GROUPS[i] for i in random.choice(len(_GROUPS), random.integers(1, 4), replace=False)]
    )
    for group in groups if kind else ():
        strength = random.uniform(0.2, 1.0)
        for name in group:
            expression[face.expression_names.index(name)] = strength * random.uniform(0.8, 1.0)
    if kind == 1 and random.random() < 0.5:
        expression[face.expression_names.index("jawOpen")] = random.uniform(0.05, 0.35)
    return expression


def sample_light(random: np.random.Generator) -> np.ndarray:
    """Draws a room's light (9, 3), spherical harmonics: mostly from the front and above."""
    light = np.zeros((9, 3))
    light[0] = 1.0
    direction = np.array([random.normal(0, 0.5), -abs(random.normal(0.7, 0.4)), random.normal(0.4, 0.35)])
    direction /= np.linalg.norm(direction)
    light += (
        random.uniform(0.35, 1.1)
        * harmonics(direction[None])[0][:, None]
        * np.array([0.0, 1, 1, 1, 0.4, 0.4, 0.4, 0.4, 0.4])[:, None]
    )
    return light * (1 + 0.06 * random.standard_normal(3)) * random.uniform(0.75, 1.25)


def draw_head(
    paint: HeadPaint,
    positions: np.ndarray,
    colours: np.ndarray,
    light: np.ndarray,
    camera: Camera,
    background: float | np.ndarray = 0.3,
    gloss: float = 1.0,
    shade: float = 0.0,
) -> np.ndarray:
    """Draws a head, four samples a pixel.

    Args:
        paint: of the model.
        positions: (N, 3) dense vertices, metres.
        colours: (N, 3) linear albedo.
        light: (9, 3) spherical harmonics of the light.
        camera: of the picture.
        background: its grey, linear, or a picture (H, W, 3) of linear light.
        gloss: the strength of highlights, 1 as usual.
        shade: the darkness of hollows (eye sockets, nostrils, the parted mouth, under the chin), 0 to 3.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    fine = camera.resized(2 * camera.width, 2 * camera.height)
    pixels, depth = fine.project(positions)
    view = rasterise_view(
        pixels, depth, _facing(pixels, paint.triangles, fine.height, fine.width), fine.height, fine.width
    )
    normals = vertex_normals(positions, paint.mesh.polygons)
    to_camera = fine.position - positions
    to_camera /= np.linalg.norm(to_camera, axis=1, keepdims=True)
    half = to_camera + np.array([0.2, -0.6, 0.6])
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = 0.06 * gloss * np.clip((normals * half).sum(1), 0, 1) ** 24
    shading = np.clip(harmonics(normals) @ light, 0.04, None)
    hidden = np.where((paint.teeth > 0) | (paint.tongue > 0), 0.45, 1.0)[
        :, None
    ]  # the mouth's inside is in shade
    linear = view.spread(colours * shading * hidden + shine[:, None])
    if shade:
        linear *= np.exp(-shade * hollows(view.depth, view.mask, fine.focal))[..., None]
    behind = np.broadcast_to(np.asarray(background, np.float32), (camera.height, camera.width, 3))
    linear[~view.mask] = behind.repeat(2, 0).repeat(2, 1)[~view.mask]
    small = linear.reshape(camera.height, 2, camera.width, 2, 3).mean((1, 3))
    return (np.clip(to_srgb(small), 0, 1) * 255 + 0.5).astype(np.uint8)


def hollows(depth: np.ndarray, mask: np.ndarray, focal: float) -> np.ndarray:
    """Measures how far a surface lies behind its surroundings, for shade: 0 on flat and bulging parts.

    Args:
        depth: (H, W) metres; what is not in the mask does not count.
        mask: (H, W) bool.
        focal: pixels.

    Returns:
        (H, W) float32, 0 to about 1.

    Source: Luft et al. 2006, "Image enhancement by unsharp masking the depth buffer".
    """
    inside = mask.astype(np.float32)
    filled = np.where(mask, depth, 0).astype(np.float32)
    pixel = float(np.median(depth[mask])) / focal
    found = np.zeros(depth.shape, np.float32)
    for reach in _REACHES:
        around = gaussian_filter(filled, reach / pixel) / np.maximum(
            gaussian_filter(inside, reach / pixel), 1e-3
        )
        found += np.clip((filled - around) / reach, 0, 1) * inside / len(_REACHES)
    return found


def _facing(pixels: np.ndarray, triangles: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns the triangles (T, 3) of a closed surface that face the camera and touch the picture."""
    corners = pixels[triangles]
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    low, high = corners.min(1), corners.max(1)
    front = one[:, 0] * other[:, 1] < one[:, 1] * other[:, 0]  # rows count downwards
    return triangles[front & (high > 0).all(1) & (low < (width, height)).all(1)]
