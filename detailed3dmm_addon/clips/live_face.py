"""A mesh that follows an actor live: frames move its shape keys and head; after it they go back."""

from dataclasses import dataclass, field

import bpy
import numpy as np

from ...ml_backend.expression_names import EXPRESSION_NAMES
from ..model.arkit_keys import expression_keys
from . import targets as animation_targets
from .targets import TargetName


@dataclass
class Recording:
    """The recording of this Blender.

    Attributes:
        runs: whether there is one.
        wish: "keep" or "drop" once it is to end.
    """

    runs: bool = False
    wish: str = ""


RECORDING = Recording()


@dataclass
class LiveFace:
    """The mesh while it follows.

    Attributes:
        target: its name.
        head: whether it turns too.
        before: values of its shape keys by name, as they were.
        turned: rotation of the object, as it was; None where it is not turned.
    """

    target: TargetName
    head: bool
    before: dict[str, float] = field(default_factory=dict)
    turned: tuple[float, float, float] | None = None

    @classmethod
    def of(cls, target: TargetName, head: bool) -> "LiveFace":
        """Remembers a mesh as it is.

        Raises:
            UserError: it has gone.
        """
        face = cls(target, head)
        mesh = target.find()
        blocks = mesh.data.shape_keys.key_blocks
        keys = [key for names in expression_keys(mesh.data).values() for key in names]
        face.before = {key: blocks[key].value for key in keys}
        owner = animation_targets.head_owner(mesh) if head else None
        if owner is mesh:
            face.turned = tuple(mesh.rotation_euler)
        return face

    def show(self, curves: np.ndarray, head: np.ndarray) -> None:
        """Shows a frame.

        Args:
            curves: (52,) coefficients.
            head: (9,) radians.

        Raises:
            UserError: the mesh has gone.
        """
        mesh = self.target.find()
        blocks = mesh.data.shape_keys.key_blocks
        for name, keys in expression_keys(mesh.data).items():
            for key in keys:
                blocks[key].value = float(curves[EXPRESSION_NAMES.index(name)])
        if self.turned is not None:
            turn = animation_targets.as_euler(np.asarray(head, float)[None])[0]
            mesh.rotation_euler = np.array(self.turned) + turn

    def put_back(self) -> None:
        """Gives the mesh its own values again.

        Raises:
            UserError: the mesh has gone.
        """
        mesh = self.target.find()
        blocks = mesh.data.shape_keys.key_blocks
        for key, value in self.before.items():
            if key in blocks:
                blocks[key].value = value
        if self.turned is not None:
            mesh.rotation_euler = self.turned
        bpy.context.view_layer.update()
