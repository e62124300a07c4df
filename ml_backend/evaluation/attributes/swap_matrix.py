"""Transfers between pictures, measured: one code of one face goes to another, and the result is read again.

A picture of each face is read; a code of the first goes into those of the second; the exact decoder draws the
result, the detector looks at it and the encoder reads it again. Row i, column k of the matrix says how much
of the difference between the two people's true codes k arrived when code i was transferred: 1 all, 0
nothing. The difference that counts as all is that between the codes read in the two pictures. Both are taken
along the true difference, so that errors of reading, which differ from picture to picture, do not count as
leaks; `spread` has
them too: the root mean square change of a code over that between people.

Source of the disentanglement score: Deng et al. 2020, "Disentangled and controllable face image generation
via 3D imitative-contrastive learning", as Zhang et al. use it (Table 3).
"""

from collections.abc import Callable

import numpy as np

from ...datasets.coded_portraits import StoredPortrait
from ...fitting.attributes.code_figures import aligned_form
from ...fitting.attributes.encode_face import encode_points
from ...models.attribute_encoder import AttributeEncoder
from ...models.face_codes import NAMES, FaceCodes
from ...models.face_renderer import SkinColours
from ...training.attributes.hidden_faces import HiddenFace, pictured

_WHITENED = ("shape", "expression", "texture", "illumination", "rotation")
"""Attributes of the paper's scores."""


def comparable(codes: FaceCodes, scale: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the codes in what they change: forms, sRGB of the skin, deviations of drawn people for the
    rest."""
    table = {name: getattr(codes, name) / scale[name] for name in NAMES}
    table["shape"] = aligned_form(codes.shape).ravel()
    table["texture"] = codes.texture @ SkinColours.default().spread.flatten(1).numpy()[:, ::7]
    return table


def scales(portraits: list[StoredPortrait]) -> dict[str, np.ndarray]:
    """Returns the deviations of codes: of people as drawn, of pose over the portraits."""
    found = {}
    for name in NAMES:
        values = np.stack([getattr(portrait.codes, name) for portrait in portraits])
        least = 0.05 if name == "expression" else 1e-6
        found[name] = np.maximum(values.std(0), least)
    return found


def swap_figures(
    encoder: AttributeEncoder,
    portraits: list[StoredPortrait],
    progress: Callable[[str], None] = lambda text: None,
) -> dict:
    """Measures.

    Args:
        encoder: in evaluation mode.
        portraits: of people that no training saw; each gives to the one before it.
        progress: told what was done.

    Returns:
        `swap` (7 x 7), `swap_error` (7 x 7, standard errors), `swap_spread` (7 x 7), `ds` (5), `pairs`.
    """
    faces = [HiddenFace(portrait.pixels, portrait.points, portrait.focal) for portrait in portraits]
    read = [encode_points(encoder, face.pixels, face.points, face.focal)[0] for face in faces]
    scale = scales(portraits)
    moved: list[np.ndarray] = []
    possible: list[list[float]] = []
    changes: list[list[list[float]]] = [[[] for _ in NAMES] for _ in NAMES]
    apart: list[list[float]] = [[] for _ in NAMES]
    for row, face in enumerate(faces):
        other = (row + 1) % len(faces)
        start = _read_again(encoder, read[row], face, row)
        if start is None:
            continue
        before = comparable(start, scale)
        true = [comparable(portraits[index].codes, scale) for index in (row, other)]
        seen = [comparable(read[index], scale) for index in (row, other)]
        again = {
            name: _read_again(encoder, read[row].with_code(name, read[other]), face, row) for name in NAMES
        }
        results = {name: result for name, result in again.items() if result is not None}
        if len(results) < len(NAMES):
            continue
        along = {name: true[1][name] - true[0][name] for name in NAMES}
        possible.append([float((seen[1][name] - seen[0][name]) @ along[name]) for name in NAMES])
        moved.append(np.zeros((7, 7)))
        for column, name in enumerate(NAMES):
            apart[column].append(float(np.square(seen[1][name] - seen[0][name]).sum()))
        for line, given in enumerate(NAMES):
            after = comparable(results[given], scale)
            for column, name in enumerate(NAMES):
                change = after[name] - before[name]
                moved[-1][line, column] = change @ along[name]
                changes[line][column].append(float(np.square(change).sum()))
        progress(f"transfers of {row + 1} of {len(faces)} people")
    share, error = shares_of(np.array(moved), np.array(possible))
    spread = np.sqrt(
        [[np.mean(values) for values in line] for line in changes] / np.array([np.mean(v) for v in apart])
    )
    return {
        "swap": np.round(share, 3).tolist(),
        "swap_error": np.round(error, 3).tolist(),
        "swap_spread": np.round(spread, 3).tolist(),
        "ds": _scores(spread),
        "pairs": len(moved),
    }


def shares_of(moved: np.ndarray, possible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns which share of what could arrive did arrive, and its standard error, both (7, 7).

    Args:
        moved: (P, 7, 7) of each pair: how far each code moved when each was transferred.
        possible: (P, 7) how far each could.

    Source: the ratio estimator and its linearised variance, Cochran 1977, "Sampling techniques", chapter 6.
    """
    share = moved.sum(0) / possible.sum(0)
    rest = moved - share * possible[:, None]
    return share, np.sqrt(np.square(rest).sum(0)) / np.abs(possible.sum(0))


def _read_again(
    encoder: AttributeEncoder, codes: FaceCodes, like: HiddenFace, number: int
) -> FaceCodes | None:
    face = pictured(codes, like, number)
    if face is None:
        return None
    return encode_points(encoder, face.pixels, face.points, face.focal)[0]


def _scores(spread: np.ndarray) -> list[float]:
    """Returns the paper's five scores: the product over other attributes of a code's variance over theirs,
    each in variances of people, when this code alone was changed."""
    rows = [NAMES.index(name) for name in _WHITENED]
    variance = np.square(spread[np.ix_(rows, rows)])
    return [
        round(float(np.prod([variance[i, i] / max(variance[i, j], 1e-6) for j in range(5) if j != i])), 2)
        for i in range(5)
    ]
