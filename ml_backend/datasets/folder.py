"""Reads a plain layout of own scans.

PERSON/identity.json or PERSON/neutral.obj, PERSON/EXPRESSION/expression.json and map.exr, .png or .npy.

identity.json is a face file: {"identity": [...], "skin": [...]}, the skin vector as one likes, zeros by
default. neutral.obj, where there is no identity, is a mesh at rest that shares the face model's vertices.
expression.json is ARKit coefficients: {"jawOpen": 0.5}; {} is the face at rest. Maps are as `generate` writes
them.
"""

import sys
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files.displacement_file import SUFFIXES, read_displacement
from ..files.face_file import read_face
from ..files.wavefront import read_obj_vertices
from ..models.bilinear_face import BilinearFace
from ..models.earlier_face import carry_face
from ..models.skin_vector import SKIN_SIZE
from .registered_mesh import fit_identity
from .scanned_maps import ReadMap, ScannedPerson, order_maps


def read_folder(root: Path, face: BilinearFace) -> tuple[list[ScannedPerson], ReadMap]:
    """Finds the people of a folder.

    Raises:
        UserError: the folder holds none, or a file of one is missing or wrong.
    """
    people = (
        [_read_person(folder, face) for folder in sorted(root.iterdir()) if folder.is_dir()]
        if root.is_dir()
        else []
    )
    if not people:
        raise UserError(
            f"{root}: no folder of a person in it.",
            "The layout is PERSON/identity.json, PERSON/EXPRESSION/map.exr.",
        )
    return people, read_displacement


def _read_person(folder: Path, face: BilinearFace) -> ScannedPerson:
    identity, skin = _identity(folder, face)
    maps = []
    for one in sorted(path for path in folder.iterdir() if path.is_dir()):
        given = [one / f"map{suffix}" for suffix in SUFFIXES if (one / f"map{suffix}").is_file()]
        if len(given) != 1:
            raise UserError(
                f"{one}: {len(given)} maps.", "Each expression has one map.exr, map.png or map.npy."
            )
        maps.append((read_face(one / "expression.json").expression, given[0]))
    if not maps:
        raise UserError(
            f"{folder}: no expression in it.", "Each expression is a folder with expression.json and a map."
        )
    return ScannedPerson(folder.name, identity, skin, order_maps(maps))


def _identity(folder: Path, face: BilinearFace) -> tuple[np.ndarray, np.ndarray]:
    """Identity and skin, from identity.json, or the identity from neutral.obj."""
    given, mesh = folder / "identity.json", folder / "neutral.obj"
    stored = None
    if given.is_file():
        stored, said = carry_face(read_face(given), face, str(given))
        if said:
            print(f"note: {said}", file=sys.stderr, flush=True)
    skin = np.zeros(SKIN_SIZE, np.float32) if stored is None or stored.skin is None else stored.skin
    if skin.shape != (SKIN_SIZE,):
        raise UserError(
            f"{given}: the skin vector has {len(skin)} values, not {SKIN_SIZE}.",
            "Leave it out if you do not know it.",
        )
    if stored is not None and stored.identity is not None:
        return stored.identity, skin
    if not mesh.is_file():
        raise UserError(
            f"{folder}: neither identity coefficients nor a mesh.",
            "Give identity.json, or neutral.obj with the face model's vertices to fit them from.",
        )
    return fit_identity(face, read_obj_vertices(mesh, face.vertex_count))[0], skin
