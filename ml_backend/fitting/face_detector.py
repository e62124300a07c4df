"""Finds faces in pictures of any size: in the whole picture, in turned copies of it and in tiles.

Source: Bazarevsky et al. 2019, "BlazeFace: sub-millisecond neural face detection on mobile GPUs" (anchors,
decoding of boxes, and the weighted mean of overlapping boxes in place of their suppression).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from .landmark_networks import LandmarkNetworks, Network

LEAST_SCORE = 0.5
_ALIKE = 0.3
"""Boxes whose intersection over union is larger show one face."""
_SAME_TURN = 0.8
"""Cosine of the angle between the eye lines of faces that are averaged."""
_MOST_LOGIT = 80.0
_FULL_RANGE_ANCHORS = 2304
_LARGEST_TILE, _FINEST_TILE = 0.6, 300
"""Sides of tiles: a share of the picture's longer side; pixels."""
_STEP = 0.65
"""Of a tile's side, from one tile to the next: a face a third of a tile wide lies wholly in one of them."""


@dataclass(frozen=True)
class DetectedFace:
    """A face as a detector sees it.

    Attributes:
        box: (2, 2) the low and the high corner, pixels.
        keypoints: (6, 2) pixels: the person's right eye, left eye, nose, mouth, right and left ear.
        score: 0..1.
    """

    box: np.ndarray
    keypoints: np.ndarray
    score: float

    @property
    def side(self) -> float:
        """The longer side of the box, pixels."""
        return float((self.box[1] - self.box[0]).max())

    @property
    def right(self) -> np.ndarray:
        """(2,) unit vector from the person's right eye to the left one."""
        line = self.keypoints[1] - self.keypoints[0]
        length = float(np.linalg.norm(line))
        return line / length if length > 1e-9 else np.array([1.0, 0.0])

    def enlarged(self, scale: np.ndarray) -> "DetectedFace":
        """The same face in a picture enlarged by (2,) right and down."""
        return DetectedFace(self.box * scale, self.keypoints * scale, self.score)


@lru_cache(maxsize=4)
def anchors(side: int, count: int) -> np.ndarray:
    """The places that a detector's rows belong to.

    Args:
        side: pixels of the network's picture.
        count: rows: 2304 of the full range network (one each 4 pixels), 896 of the others (two each side / 16
            pixels, then six each side / 8 pixels).

    Returns:
        (count, 2) right and down, 0..1.

    Raises:
        ValueError: no such network has so many rows.
    """
    grids = ((side // 4, 1),) if count == _FULL_RANGE_ANCHORS else ((16, 2), (8, 6))
    places = []
    for cells, repeats in grids:
        middle = (np.arange(cells) + 0.5) / cells
        down, across = np.meshgrid(middle, middle, indexing="ij")
        places.append(np.repeat(np.stack([across, down], -1).reshape(-1, 2), repeats, axis=0))
    result = np.concatenate(places)
    if len(result) != count:
        raise ValueError(f"a detector of {count} rows for {side} pixels is none of those this code reads")
    return result


def decode(regressors: np.ndarray, logits: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes, key points and scores from a detector's outputs.

    Args:
        regressors: (1, N, 16) centre, size and six points, pixels of the network's picture from the anchor.
        logits: (1, N, 1).
        side: pixels of the network's picture.

    Returns:
        (N, 8, 2) the box's corners and the points, 0..1 of the network's picture, and scores (N,).
    """
    values = regressors.reshape(-1, 8, 2).astype(np.float64) / side
    places = anchors(side, len(values))
    centre, half = values[:, 0] + places, values[:, 1] / 2
    shapes = np.concatenate(
        [(centre - half)[:, None], (centre + half)[:, None], values[:, 2:] + places[:, None]], 1
    )
    return shapes, 1 / (1 + np.exp(-np.clip(logits.ravel().astype(np.float64), -_MOST_LOGIT, _MOST_LOGIT)))


def merge_overlapping(faces: list[DetectedFace]) -> list[DetectedFace]:
    """One face for each group of overlapping ones, the highest score first.

    It is the weighted mean of those that are turned as the one of the highest score; the others are dropped.
    """
    rest = sorted(faces, key=lambda face: -face.score)
    merged = []
    while rest:
        first = rest[0]
        overlap = _overlap(first.box, np.array([face.box for face in rest])) > _ALIKE
        group = [
            face
            for index, face in enumerate(rest)
            if index == 0 or (overlap[index] and float(face.right @ first.right) > _SAME_TURN)
        ]
        weights = [face.score for face in group]
        merged.append(
            DetectedFace(
                np.average([face.box for face in group], axis=0, weights=weights),
                np.average([face.keypoints for face in group], axis=0, weights=weights),
                first.score,
            )
        )
        rest = [face for index, face in enumerate(rest) if index and not overlap[index]]
    return merged


def _overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of a box (2, 2) with boxes (N, 2, 2)."""
    sides = np.minimum(box[1], boxes[:, 1]) - np.maximum(box[0], boxes[:, 0])
    shared = np.clip(sides, 0, None).prod(1)
    areas = (boxes[:, 1] - boxes[:, 0]).prod(1)
    return shared / np.maximum((box[1] - box[0]).prod() + areas - shared, 1e-12)


def detect(network: Network, picture: np.ndarray) -> list[DetectedFace]:
    """Faces that one detector sees in a picture of its size or smaller.

    Args:
        network: the detector.
        picture: (h, w, 3) float32 in 0..1, at most the network's side; the rest is black.

    Returns:
        Faces in pixels of the picture.
    """
    height, width = picture.shape[:2]
    ground = np.full((network.side, network.side, 3), -1.0, np.float32)
    left, top = (network.side - width) // 2, (network.side - height) // 2
    ground[top : top + height, left : left + width] = 2 * picture - 1
    regressors, logits = network(ground)
    shapes, scores = decode(regressors, logits, network.side)
    chosen = np.flatnonzero((scores > LEAST_SCORE) & (shapes[:, 1] > shapes[:, 0]).all(1))
    pixels = shapes[chosen] * network.side - (left, top)
    return merge_overlapping(
        [
            DetectedFace(shape[:2], shape[2:], float(scores[index]))
            for index, shape in zip(chosen, pixels, strict=True)
        ]
    )


def detect_whole(networks: LandmarkNetworks, picture: Image.Image) -> list[DetectedFace]:
    """Faces that any detector sees in a whole picture."""
    faces = []
    for network in networks.detectors:
        small, scale = _scaled(picture, network.side / max(picture.size))
        faces += [face.enlarged(scale) for face in detect(network, np.asarray(small, np.float32) / 255)]
    return merge_overlapping(faces)


def _scaled(picture: Image.Image, scale: float) -> tuple[Image.Image, np.ndarray]:
    """A picture made smaller or larger, and the pixels of the picture (2,) for one of its copy."""
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    copy = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return copy, np.array(picture.size) / size


def detect_turned(networks: LandmarkNetworks, picture: Image.Image) -> list[DetectedFace]:
    """Faces that lie on their side or upside down: the whole picture turned by a half and by quarters."""
    faces = []
    width, height = picture.size
    for method, axes, corner in (
        (Image.Transpose.ROTATE_180, np.array([[-1, 0], [0, -1]]), (width, height)),
        (Image.Transpose.ROTATE_90, np.array([[0, 1], [-1, 0]]), (width, 0)),
        (Image.Transpose.ROTATE_270, np.array([[0, -1], [1, 0]]), (0, height)),
    ):
        for face in detect_whole(networks, picture.transpose(method)):
            box = face.box @ axes + corner
            faces.append(DetectedFace(np.sort(box, axis=0), face.keypoints @ axes + corner, face.score))
    return merge_overlapping(faces)


def detect_in_tiles(networks: LandmarkNetworks, picture: Image.Image, side: int) -> list[DetectedFace]:
    """Faces in overlapping tiles of a picture, `side` pixels wide, without those that a tile cuts."""
    network = networks.tile_detector
    copy, scale = _scaled(picture, network.side / side)
    pixels = np.asarray(copy, np.float32) / 255
    faces = []
    for top in _starts(copy.height, network.side):
        for left in _starts(copy.width, network.side):
            corner = np.array([left, top])
            for face in detect(network, pixels[top : top + network.side, left : left + network.side]):
                moved = DetectedFace(face.box + corner, face.keypoints + corner, face.score)
                if not _is_cut(moved, corner, network.side, copy.size):
                    faces.append(moved.enlarged(scale))
    return merge_overlapping(faces)


def tile_sides(width: int, height: int) -> Iterator[int]:
    """Sides of ever smaller tiles for a picture, pixels."""
    side = _LARGEST_TILE * max(width, height)
    while side >= _FINEST_TILE:
        yield round(side)
        side /= 2


def _is_cut(face: DetectedFace, corner: np.ndarray, side: int, size: tuple[int, int]) -> bool:
    """True where a face reaches over an edge of its tile that is no edge of the picture."""
    slack = 0.1 * face.side
    low_cut = (corner > 0) & (face.box[0] + slack < corner)
    high_cut = (corner + side < size) & (face.box[1] - slack > corner + side)
    return bool((low_cut | high_cut).any())


def _starts(length: int, side: int) -> list[int]:
    """Returns the starts of overlapping tiles along an edge, pixels."""
    if length <= side:
        return [0]
    count = int(np.ceil((length - side) / (_STEP * side))) + 1
    return np.linspace(0, length - side, count).round().astype(int).tolist()
