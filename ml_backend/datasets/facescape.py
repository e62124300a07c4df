"""Reads FaceScape's topologically uniform models.

ID/models_reg/N_EXPRESSION.obj and ID/dpmap/N_EXPRESSION.png, 20 expressions of each person.

The maps lie in FaceScape's own texture space, so the face model must be FaceScape's (`build-face-model
--source facescape`). Identity is fitted to the neutral mesh, expressions to theirs where the meshes are
there; a person's expressions without a mesh are what the list below says in ARKit coefficients. FaceScape
publishes the maps' height only as the scale of a rendering program, so it must be given: ROOT/facescape.json
holds {"zero": 32768, "range_mm": ...}, the value of no displacement and the millimetres between 0 and 65535.
Ages are read from info_list_v1.txt in ROOT where it is (index, gender, age, label). FaceScape's data are for
non-commercial use and are not part of this project.

Source: Yang et al. 2020, "FaceScape", and the description of the data at its authors' page.
"""

import json
import re
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..expression_names import both_sides
from ..files.face_file import expression_vector
from ..files.wavefront import read_obj_vertices
from ..models.bilinear_face import BilinearFace
from ..models.skin_vector import SKIN_SIZE, YEARS_PER_SKIN_AGE
from .registered_mesh import fit_expression, fit_identity
from .scanned_maps import ReadMap, ScannedPerson, order_maps

SCALE_FILE, AGES_FILE = "facescape.json", "info_list_v1.txt"

EXPRESSIONS: dict[int, tuple[str, dict[str, float]]] = {
    1: ("neutral", {}),
    2: ("smile", both_sides(mouthSmile=0.9, cheekSquint=0.4)),
    3: ("mouth_stretch", both_sides(jawOpen=1.0)),
    4: ("anger", both_sides(browDown=1.0, noseSneer=0.5, eyeSquint=0.4, mouthPress=0.4)),
    5: ("jaw_left", both_sides(jawLeft=1.0)),
    6: ("jaw_right", both_sides(jawRight=1.0)),
    7: ("jaw_forward", both_sides(jawForward=1.0)),
    8: ("mouth_left", both_sides(mouthLeft=1.0)),
    9: ("mouth_right", both_sides(mouthRight=1.0)),
    10: ("dimpler", both_sides(mouthDimple=1.0)),
    11: ("chin_raiser", both_sides(mouthShrugLower=1.0, mouthShrugUpper=0.5)),
    12: ("lip_puckerer", both_sides(mouthPucker=1.0)),
    13: ("lip_funneler", both_sides(mouthFunnel=1.0)),
    14: ("sadness", both_sides(browInnerUp=0.8, mouthFrown=0.8)),
    15: ("lip_roll", both_sides(mouthRollLower=1.0, mouthRollUpper=1.0)),
    16: ("grin", both_sides(mouthSmile=0.7, mouthStretch=0.5, mouthLowerDown=0.4)),
    17: ("cheek_blowing", both_sides(cheekPuff=1.0)),
    18: ("eye_closed", both_sides(eyeBlink=1.0)),
    19: ("brow_raiser", both_sides(browInnerUp=1.0, browOuterUp=1.0)),
    20: ("brow_lower", both_sides(browDown=1.0)),
}


def read_facescape_maps(root: Path, face: BilinearFace) -> tuple[list[ScannedPerson], ReadMap]:
    """Finds the people of FaceScape's layout.

    Raises:
        UserError: the folder holds none, the scale is not given, or a file of a person is missing or wrong.
    """
    folders = sorted(
        (path for path in root.iterdir() if (path / "dpmap").is_dir()),
        key=lambda path: (len(path.name), path.name),
    )
    if not folders:
        raise UserError(
            f"{root}: no person of FaceScape's in it.",
            "The layout is ID/dpmap/1_neutral.png and ID/models_reg/1_neutral.obj.",
        )
    zero, step = _scale(root / SCALE_FILE)
    ages = _ages(root / AGES_FILE)
    people = [_read_person(folder, face, ages.get(folder.name)) for folder in folders]
    return people, lambda path: (read_grey16(path) - zero) * step


def read_grey16(path: Path) -> np.ndarray:
    """A 16-bit grey PNG as (H, W) float32, 0 to 65535, row 0 at the bottom.

    Raises:
        UserError: it cannot be read, or is another kind of image.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in ("I;16", "I;16B", "I"):
                raise ValueError(f"mode {image.mode}, not 16-bit grey")
            return np.ascontiguousarray(np.asarray(image).astype(np.float32)[::-1])
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(
            f"{path}: not a displacement map of FaceScape's ({error}).", "They are 16-bit grey PNG."
        ) from error


def _scale(path: Path) -> tuple[float, float]:
    try:
        content = json.loads(path.read_text("utf-8"))
        zero, span = float(content["zero"]), float(content["range_mm"])
        if not (0 <= zero <= 65535 and 0 < span < 1000):
            raise ValueError(f"zero {zero}, range_mm {span}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: the maps' scale is not given ({error}).",
            'Write {"zero": 32768, "range_mm": R}, R the millimetres between black and white.',
        ) from error
    return zero, span / 65535


def _ages(path: Path) -> dict[str, float]:
    """Years by person, of those whose age the list gives; none without the list."""
    if not path.is_file():
        return {}
    rows = [line.split() for line in path.read_text("utf-8", errors="replace").splitlines()]
    return {row[0]: float(row[2]) for row in rows if len(row) >= 3 and re.fullmatch(r"\d+(\.\d+)?", row[2])}


def _expression_number(path: Path) -> int:
    """Returns the number, of twenty, of the expression that a file shows: `7_jaw_forward`, or `ID_7`."""
    match = re.fullmatch(r"(\d+)_([a-z_]+)", path.stem) or re.fullmatch(r"\d+_(\d+)", path.stem)
    number = int(match[1]) if match else 0
    if number not in EXPRESSIONS or (match and match.re.groups == 2 and match[2] != EXPRESSIONS[number][0]):
        listed = ", ".join(f"{n}_{name}" for n, (name, _) in EXPRESSIONS.items())
        raise UserError(f"{path}: none of FaceScape's expressions.", f"They are {listed}.")
    return number


def _read_person(folder: Path, face: BilinearFace, years: float | None) -> ScannedPerson:
    meshes = {_expression_number(path): path for path in sorted((folder / "models_reg").glob("*.obj"))}
    if 1 not in meshes:
        raise UserError(
            f"{folder / 'models_reg' / '1_neutral.obj'}: not there.",
            "A person's identity is fitted to the neutral mesh.",
        )
    identity, _ = fit_identity(face, read_obj_vertices(meshes[1], face.vertex_count))
    skin = np.zeros(SKIN_SIZE, np.float32)
    if years is not None:
        skin[0] = np.clip((years - face.age_years(identity)) / YEARS_PER_SKIN_AGE, -2.5, 2.5)
    maps = []
    for path in sorted((folder / "dpmap").glob("*.png")):
        number = _expression_number(path)
        if number != 1 and number in meshes:
            expression = fit_expression(face, identity, read_obj_vertices(meshes[number], face.vertex_count))
        else:
            expression = expression_vector(EXPRESSIONS[number][1], str(path))
        maps.append((expression, path))
    if not maps:
        raise UserError(
            f"{folder / 'dpmap'}: no map in it.",
            "FaceScape's maps are dpmap/1_neutral.png to 20_brow_lower.png.",
        )
    return ScannedPerson(folder.name, identity, skin, order_maps(maps))
