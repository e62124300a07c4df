"""Reads the inputs of a face's detail: identity, skin and expression, now, at a frame or as evaluated."""

import hashlib
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ..actions.action_reader import curves_of
from ..model.face_model import expression_of, face_model, identity_of, key_values, skin_of

_DECIMALS = 5


@dataclass(frozen=True)
class DetailInputs:
    """Everything that a face's detail is made from, apart from the artist's scales.

    Attributes:
        identity: (K,) float32, standard deviations.
        skin: (16,) float32, the skin vector.
        expression: (52,) float32.
        imported_map: name of the imported map that the detail starts from; empty without one.
    """

    identity: np.ndarray
    skin: np.ndarray
    expression: np.ndarray
    imported_map: str = ""

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the arrays by name, for the distilled model and for the worker's requests."""
        return {"identity": self.identity, "skin": self.skin, "expression": self.expression}

    def digest(self) -> str:
        """Returns a short name for these inputs; inputs that are equal to five decimals have the same.

        Meshes in saved files hold such names: the order of hashing and the rounding must never change.
        """
        digest = hashlib.blake2b(digest_size=12)
        for values in (self.identity, self.skin, self.expression):
            digest.update((np.round(values, _DECIMALS) + np.float32(0)).tobytes())  # + 0 turns -0 into 0
        digest.update(self.imported_map.encode())
        return digest.hexdigest()

    def person(self) -> np.ndarray:
        """Returns (K + 16,) float32: identity and skin, without the expression."""
        return np.concatenate([self.identity, self.skin])


def detail_inputs(face: bpy.types.Object) -> DetailInputs:
    """Returns the inputs that a face's sliders show now."""
    return DetailInputs(identity_of(face), skin_of(face), expression_of(face), face.d3dmm.imported_map)


def evaluated_inputs(face: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> DetailInputs:
    """Returns a face's inputs as a dependency graph evaluated them: curves, drivers and the NLA all count.

    Args:
        face: a face of this file.
        depsgraph: evaluated; that of a render does not write its values back to the file.
    """
    evaluated = face.evaluated_get(depsgraph)
    keys = face.data.shape_keys.evaluated_get(depsgraph)
    expression = key_values(keys, face_model().expression_names)
    return DetailInputs(identity_of(evaluated), skin_of(evaluated), expression, face.d3dmm.imported_map)


def inputs_at(face: bpy.types.Object, frame: float) -> DetailInputs:
    """Returns a face's inputs at a frame by the shape keys' own action; drivers and the NLA do not count."""
    inputs = detail_inputs(face)
    keys = face.data.shape_keys
    names = face_model().expression_names
    index_of = {f'key_blocks["{name}"].value': index for index, name in enumerate(names)}
    expression = inputs.expression.copy()
    for curve in curves_of(keys):
        index = index_of.get(curve.data_path)
        if index is not None and not curve.mute and not keys.key_blocks[names[index]].mute:
            expression[index] = curve.evaluate(frame)
    return replace(inputs, expression=expression)
