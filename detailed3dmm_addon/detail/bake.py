"""The detail of a clip, frame by frame: asked of the worker, or made by the distilled model where there is no backend."""

from dataclasses import dataclass

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.models.detail_basis import fit_detail_basis, spread_order
from ...ml_backend.process.client import Event
from ..actions import action_writer as face_animation
from ..face import mesh as face_mesh
from ..model.face_model import expression_of, identity_of, skin_of
from ..model.registry import find_face
from ..nodes.detail_groups import FINE_FIELDS
from ..nodes.detail_modifier import MODIFIER
from . import baked as baked_detail
from . import distilled as fast_detail
from . import follow as live_update
from . import live as live_detail
from .baked import ClipDetail

PSNR_DB, MOST_COMPONENTS = 48.0, 48
FINE_RESOLUTION = 512
_FRAMES_TO_FIT = 192


@dataclass
class ClipBake:
    """One bake of a range of frames that some action moves, from the press of the button to its result in the scene.

    Attributes:
        uid: of the face; looked up again when the answer arrives.
        first_frame: of the range.
        expressions: (T, 52) float32, one row a frame.
        skins: (T, 16) float32.
    """

    uid: str
    first_frame: int
    expressions: np.ndarray
    skins: np.ndarray

    @classmethod
    def of_range(cls, scene: bpy.types.Scene, face: bpy.types.Object, first: int, last: int) -> "ClipBake":
        """Looks at what a face shows at each frame; curves, drivers and the NLA all count.

        Raises:
            UserError: the range is empty or absurd, or the mesh was edited.
        """
        if not first <= last < first + face_animation.LONGEST_RANGE:
            raise UserError(
                f"The range from {first} to {last} cannot be baked.",
                f"Choose 1 to {face_animation.LONGEST_RANGE} frames.",
            )
        if not face_mesh.has_our_topology(face):
            raise UserError(
                "This face's mesh was edited.", "Bake a face with the vertices that it was made with."
            )
        before, modifiers = (
            scene.frame_current,
            [(modifier, modifier.show_viewport) for modifier in face.modifiers],
        )
        expressions, skins = [], []
        try:
            with live_update.suspended():
                for modifier in face.modifiers:
                    modifier.show_viewport = False
                for frame in range(first, last + 1):
                    scene.frame_set(frame)
                    expressions.append(expression_of(face))
                    skins.append(skin_of(face))
        finally:
            for modifier, shown in modifiers:
                modifier.show_viewport = shown
            scene.frame_set(before)
        return cls(face.d3dmm.uid, first, np.stack(expressions), np.stack(skins))

    def request(self) -> tuple[str, dict, dict]:
        """What to ask of the worker."""
        return clip_request(self.face(), self.expressions, self.skins)

    def put_into_scene(self, scene: bpy.types.Scene, event: Event | None) -> str:
        """Stores the detail and keys it in a new action of the object's.

        Args:
            scene: is brought up to date.
            event: the worker's answer to `request`, or None to let the distilled model do it.

        Returns:
            What was done, for the report.

        Raises:
            UserError: the face has gone or was edited meanwhile, or the distilled model is broken.
        """
        face = self.face()
        if not face_mesh.has_our_topology(face):
            raise UserError(
                "The face's mesh was edited while its detail was baked.", "Undo the edit and bake again."
            )
        detail = (
            clip_of(event)
            if event is not None
            else distil_clip(identity_of(face), self.expressions, self.skins)
        )
        with live_update.suspended():
            face_animation.remove_detail_curves(face, MODIFIER)
            curves = baked_detail.store_baked_detail(face, detail)
            action = face.data.shape_keys.animation_data and face.data.shape_keys.animation_data.action
            face_animation.key_object(face, action.name if action else face.name, curves, self.first_frame)
        scene.frame_set(scene.frame_current)
        return f"Wrinkles of {len(self.expressions)} frames in {detail.describe()}" + (
            "" if event is not None else ", by the built-in model"
        )

    def face(self) -> bpy.types.Object:
        """The face as it is now.

        Raises:
            UserError: it has been deleted.
        """
        face = find_face(self.uid)
        if face is None:
            raise UserError(
                "The face was deleted while its detail was baked.", "Undo, or bake again on another face."
            )
        return face


def clip_request(face: bpy.types.Object, expressions: np.ndarray, skin: np.ndarray) -> tuple[str, dict, dict]:
    """What to ask of the worker for a clip's detail.

    Args:
        face: whose identity and imported map count.
        expressions: (T, 52) float32, one row a frame.
        skin: (16,) or (T, 16) float32.
    """
    arrays = {
        "identity": identity_of(face),
        "skin": skin,
        "expressions": expressions,
        "sample_uv": fast_detail.skin_uv(),
    }
    chosen = {"psnr_db": PSNR_DB, "most_components": MOST_COMPONENTS, "fine_resolution": FINE_RESOLUTION}
    return "bake_detail", chosen, arrays | live_detail.latent_arrays(face)


def clip_of(event: Event) -> ClipDetail:
    """The worker's answer to `clip_request`."""
    arrays = event.arrays
    names = ("mean", "basis", "coefficients", "fine_mean", "fine_fields")
    mean, fields, coefficients, fine_mean, fine_fields = (arrays[name] for name in names)
    return ClipDetail(mean, fields, coefficients, float(event.parameters["psnr_db"]), fine_mean, fine_fields)


def distil_clip(identity: np.ndarray, expressions: np.ndarray, skins: np.ndarray) -> ClipDetail:
    """A clip's detail by the distilled model: the principal fields of its frames, exact for all of them.

    Args:
        identity: (K,) float32.
        expressions: (T, 52) float32.
        skins: (T, 16) float32.

    Raises:
        UserError: the distilled model's file is missing or broken.
    """
    model, dense = fast_detail.distilled_model(), fast_detail.dense_fields()
    frames = model.coefficients(
        np.broadcast_to(identity, (len(expressions), len(identity))), skins, expressions
    )
    chosen = spread_order(frames, min(_FRAMES_TO_FIT, len(frames)))
    basis = fit_detail_basis(frames[chosen] @ dense.fields.T + dense.mean, PSNR_DB, MOST_COMPONENTS)
    scale = np.maximum((basis.fields**2).sum(1), 1e-12)[:, None]
    projection = (
        basis.fields @ dense.fields
    ) / scale  # (K, C): of coefficients of all people's fields on the clip's
    coefficients = (frames @ projection.T + (basis.fields @ (dense.mean - basis.mean)) / scale[:, 0]).astype(
        np.float32
    )
    followed = coefficients[:, :FINE_FIELDS]
    known = np.concatenate([np.ones((len(frames), 1), np.float32), followed], 1)
    steps = (
        np.linalg.pinv(known, rcond=1e-3) @ frames
    )  # (1 + L, C): what a unit of each of the clip's coefficients is in all people's
    fine_mean = fast_detail.fine_part(steps[0], FINE_RESOLUTION)
    fine_rest = fast_detail.fine_part(np.zeros_like(steps[0]), FINE_RESOLUTION)
    fine_fields = np.stack([fast_detail.fine_part(step, FINE_RESOLUTION) - fine_rest for step in steps[1:]])
    return ClipDetail(basis.mean, basis.fields, coefficients, basis.psnr_db, fine_mean, fine_fields)
