"""Bakes the detail of a clip, frame by frame: by the worker, or by the distilled model without a backend."""

from dataclasses import dataclass

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.models.detail_basis import fit_detail_basis, spread_order
from ...ml_backend.process.client import Event
from ..actions import action_writer
from ..face import mesh as face_mesh
from ..model.face_model import check_current, expression_of, identity_of, skin_of
from ..model.registry import find_face
from ..nodes.detail_groups import FINE_FIELDS
from ..nodes.detail_modifier import MODIFIER
from . import baked, distilled, live
from .baked import ClipDetail
from .follow import suspended

PSNR_DB = 48.0
MOST_COMPONENTS = 48
FINE_RESOLUTION = 512
_FRAMES_TO_FIT = 192


@dataclass
class ClipBake:
    """One bake of a range of frames, from the press of the button to its result in the scene.

    Attributes:
        uid: identifier of the face, which is looked up again when the answer arrives.
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
        """Reads the inputs that a face shows at each frame; curves, drivers and the NLA all count.

        Raises:
            UserError: the range is empty or too long, the mesh was edited, or the face is of another model.
        """
        check_current(face)
        if not first <= last < first + action_writer.LONGEST_RANGE:
            raise UserError(
                f"The range from {first} to {last} cannot be baked.",
                f"Choose 1 to {action_writer.LONGEST_RANGE} frames.",
            )
        if not face_mesh.has_our_topology(face):
            raise UserError(
                "This face's mesh was edited.", "Bake a face with the vertices that it was made with."
            )
        current_frame = scene.frame_current
        shown = [(modifier, modifier.show_viewport) for modifier in face.modifiers]
        expressions, skins = [], []
        try:
            with suspended():
                for modifier in face.modifiers:
                    modifier.show_viewport = False
                for frame in range(first, last + 1):
                    scene.frame_set(frame)
                    expressions.append(expression_of(face))
                    skins.append(skin_of(face))
        finally:
            for modifier, is_shown in shown:
                modifier.show_viewport = is_shown
            scene.frame_set(current_frame)
        return cls(face.d3dmm.uid, first, np.stack(expressions), np.stack(skins))

    def request(self) -> tuple[str, dict, dict]:
        """Returns the worker's request: name, parameters and arrays."""
        return clip_request(self.face(), self.expressions, self.skins)

    def put_into_scene(self, scene: bpy.types.Scene, event: Event | None) -> str:
        """Stores the detail and keys it in a new action of the object.

        Args:
            scene: is brought up to date.
            event: the worker's answer to `request`, or None for the distilled model.

        Returns:
            The report.

        Raises:
            UserError: the face was deleted or edited meanwhile, or the distilled model is broken.
        """
        face = self.face()
        if not face_mesh.has_our_topology(face):
            raise UserError(
                "The face's mesh was edited while its detail was baked.", "Undo the edit and bake again."
            )
        if event is not None:
            detail = clip_of(event)
        else:
            detail = distil_clip(identity_of(face), self.expressions, self.skins)
        with suspended():
            action_writer.remove_detail_curves(face, MODIFIER)
            curves = baked.store_baked_detail(face, detail)
            action = face.data.shape_keys.animation_data and face.data.shape_keys.animation_data.action
            action_writer.key_object(face, action.name if action else face.name, curves, self.first_frame)
        scene.frame_set(scene.frame_current)
        source = "" if event is not None else ", by the built-in model"
        return f"Wrinkles of {len(self.expressions)} frames in {detail.describe()}{source}"

    def face(self) -> bpy.types.Object:
        """Returns the face as it is now.

        Raises:
            UserError: it was deleted.
        """
        face = find_face(self.uid)
        if face is None:
            raise UserError(
                "The face was deleted while its detail was baked.", "Undo, or bake again on another face."
            )
        return face


def clip_request(face: bpy.types.Object, expressions: np.ndarray, skin: np.ndarray) -> tuple[str, dict, dict]:
    """Returns the worker's request for a clip's detail: name, parameters and arrays.

    Args:
        face: its identity and imported map count.
        expressions: (T, 52) float32, one row a frame.
        skin: (16,) or (T, 16) float32.
    """
    parameters = {
        "psnr_db": PSNR_DB,
        "most_components": MOST_COMPONENTS,
        "fine_resolution": FINE_RESOLUTION,
    }
    arrays = {
        "identity": identity_of(face),
        "skin": skin,
        "expressions": expressions,
        "sample_uv": distilled.skin_uv(),
    }
    return "bake_detail", parameters, arrays | live.latent_arrays(face)


def clip_of(event: Event) -> ClipDetail:
    """Returns the detail in the worker's answer to `clip_request`."""
    arrays = event.arrays
    return ClipDetail(
        mean=arrays["mean"],
        fields=arrays["basis"],
        coefficients=arrays["coefficients"],
        psnr_db=float(event.parameters["psnr_db"]),
        fine_mean=arrays["fine_mean"],
        fine_fields=arrays["fine_fields"],
    )


def distil_clip(identity: np.ndarray, expressions: np.ndarray, skins: np.ndarray) -> ClipDetail:
    """Computes a clip's detail by the distilled model: the principal fields of its frames.

    The distilled model is linear in its coefficients, so all frames are projected exactly and no map of a
    frame is drawn; the worker's bake (`pipelines/bake_detail`) has to sample maps instead.

    Args:
        identity: (K,) float32.
        expressions: (T, 52) float32.
        skins: (T, 16) float32.

    Raises:
        UserError: the distilled model's file is missing or broken.
    """
    model = distilled.distilled_model()
    dense = distilled.dense_fields()
    people = np.broadcast_to(identity, (len(expressions), len(identity)))
    frames = model.coefficients(people, skins, expressions)  # [TC]
    chosen = spread_order(frames, min(_FRAMES_TO_FIT, len(frames)))
    basis = fit_detail_basis(frames[chosen] @ dense.fields.T + dense.mean, PSNR_DB, MOST_COMPONENTS)
    scale = np.maximum((basis.fields**2).sum(1), 1e-12)[:, None]
    projection = (basis.fields @ dense.fields) / scale  # [KC]
    at_rest = (basis.fields @ (dense.mean - basis.mean)) / scale[:, 0]
    coefficients = (frames @ projection.T + at_rest).astype(np.float32)
    leading = np.concatenate([np.ones((len(frames), 1), np.float32), coefficients[:, :FINE_FIELDS]], 1)
    # The model's coefficients for the clip's mean and for a unit of each leading coefficient, [1 + L, C].
    steps = np.linalg.pinv(leading, rcond=1e-3) @ frames
    fine_mean = distilled.fine_part(steps[0], FINE_RESOLUTION)
    fine_rest = distilled.fine_part(np.zeros_like(steps[0]), FINE_RESOLUTION)
    fine_fields = np.stack([distilled.fine_part(step, FINE_RESOLUTION) - fine_rest for step in steps[1:]])
    return ClipDetail(basis.mean, basis.fields, coefficients, basis.psnr_db, fine_mean, fine_fields)
