"""Real photographs: what the decoder makes of their codes, and a sheet of transfers to look at."""

from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.coded_portraits import StoredPortrait
from ...files.image_writers import write_png
from ...fitting.attributes.code_figures import picture_errors
from ...fitting.attributes.encode_face import encode_points
from ...models.attribute_encoder import AttributeEncoder
from ...models.face_codes import FaceCodes
from ...models.face_renderer import camera_of, draw_face, picture_of
from ...simulation.portraits.coded_portrait import SIZE, linear_pixels
from ...training.attributes.hidden_faces import HiddenFace, faces_of_photos, rendered

ROWS = ("expression", "texture", "illumination")


def photo_figures(encoder: AttributeEncoder, folder: Path, networks: Path | None) -> dict[str, Any]:
    """Returns means over photos: L1 and SSIM inside the drawn head; with networks LPIPS and a face network's
    cosine between photo and drawing.

    Raises:
        UserError: the folder holds no photo with a face, or the networks are missing.
    """
    faces = faces_of_photos(folder)
    compare = None
    if networks:
        from ..skin.photo_networks import FaceNetwork, PerceptualDistance

        compare = PerceptualDistance(networks), FaceNetwork(networks)
    rows: dict[str, list[float]] = {}
    for face in faces:
        codes = encode_points(encoder, face.pixels, face.points, face.focal)[0]
        linear, mask = draw_face(codes, camera_of(codes, face.focal, SIZE, SIZE), linear_pixels(face.pixels))
        made = picture_of(linear)
        values = picture_errors(made, face.pixels, mask)
        if compare:
            pair = [picture.astype(np.float32) / 255 for picture in (made, face.pixels)]
            described = [compare[1](_cut(picture, face)) for picture in pair]
            cosine = float(described[0] @ described[1] / np.prod([np.linalg.norm(one) for one in described]))
            values |= {"lpips": compare[0](*pair), "face_network_cosine": cosine}
        for name, value in values.items():
            rows.setdefault(name, []).append(value)
    return {name: round(float(np.mean(values)), 4) for name, values in rows.items()} | {
        "n_photos": len(faces)
    }


def _cut(picture: np.ndarray, face: HiddenFace) -> np.ndarray:
    """Cuts a square from brow to chin out of a picture (256, 256, 3)."""
    low, high = face.points.min(0), face.points.max(0)
    half = int((high - low).max() * 0.55)
    column, row = ((low + high) / 2).astype(int)
    rows, columns = (np.arange(at - half, at + half).clip(0, SIZE - 1) for at in (row, column))
    return picture[np.ix_(rows, columns)]


def draw_sheet(
    path: Path, encoder: AttributeEncoder, people: list[StoredPortrait], photos: Path | None = None
) -> None:
    """Writes a sheet of 7 x 4: people (or photos), and each with expression, skin and light of the next one.

    Rows: the picture; expression of the next; skin of the next; light of the next. All but the first are
    drawn by the exact decoder.

    Raises:
        UserError: the file cannot be written.
    """
    faces = [HiddenFace(portrait.pixels, portrait.points, portrait.focal) for portrait in people]
    if photos:
        found = faces_of_photos(photos)
        faces = found[:: max(1, len(found) // len(people))][: len(people)]
    codes: list[FaceCodes] = [encode_points(encoder, one.pixels, one.points, one.focal)[0] for one in faces]
    columns = []
    for number, face in enumerate(faces):
        other = codes[(number + 1) % len(codes)]
        made = [rendered(codes[number].with_code(name, other), face) for name in ROWS]
        columns.append(np.concatenate([face.pixels, *made]))
    write_png(path, np.concatenate(columns, 1)[::-1])
