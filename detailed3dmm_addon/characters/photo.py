"""Makes a face from photographs: sliders of the fit, the photo behind it and on its skin, its wrinkles."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ...ml_backend.errors import UserError
from ...ml_backend.geometry.srgb import to_srgb
from ...ml_backend.models.skin.live_skin import TRAITS
from ...ml_backend.models.skin_vector import sample_skin
from ...ml_backend.process.client import Event
from ..appearance.eyes import set_iris_like
from ..appearance.photo_colour import COLOUR_NODE, LIGHT_NODE, PhotoColour, mix_photo
from ..appearance.photo_light import store_light
from ..appearance.photo_tone import FITTED_TONE
from ..appearance.skin_material import tone_of
from ..detail import follow as live_update
from ..detail import live as live_detail
from ..detail.inputs import detail_inputs
from ..hair.looks import apply_hair_look, photo_look
from ..model.face_model import face_model
from ..model.scene_units import units_per_metre
from ..nodes.materials import first_material, named_node
from .new_face import new_face, select_face
from .skin import write_skin

PHOTO_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jfif",
    ".png",
    ".tif",
    ".tiff",
    ".webp",
    ".bmp",
    ".heic",
    ".heif",
    ".avif",
)
PHOTO_LATENT = "d3dmm_photo_latent"
"""Name on the object: the latent of the photo's wrinkles at full share, flat."""
_SENSOR = 36.0
_RESOLUTION = 1024
_CAMERA_AXES = np.diag([1.0, -1.0, -1.0, 1.0])  # pictures count down and away, Blender's cameras up and back


@dataclass
class PhotoFit:
    """One fit, from the press of the button to the face in the scene.

    Attributes:
        paths: photographs of one person; the first gives expression, camera, colour and wrinkles.
        face_number: which face of the first photo, counted from 1, left to right; 0 for the largest.
        landmark_model: a model file of the user's, or empty.
        keep_expression: whether the face smiles as the photo does; else it is at rest.
        camera: whether to add the photo's camera with the photo behind the face.
        hair: whether hair grows as the photo is guessed to show it; else brows and beard stay painted.
    """

    paths: tuple[Path, ...]
    face_number: int = 0
    landmark_model: str = ""
    keep_expression: bool = True
    camera: bool = True
    hair: bool = False

    def check(self) -> None:
        """Looks at the files before anything is started.

        Raises:
            UserError: none was chosen, or one is missing or no photo by its name.
        """
        if not self.paths:
            raise UserError("No photo was chosen.", "Choose one, or several of one person.")
        for path in self.paths:
            if path.suffix.lower() not in PHOTO_SUFFIXES:
                raise UserError(
                    f"{path.name}: not a photo by its name.", f"Choose one of {', '.join(PHOTO_SUFFIXES)}."
                )
            if not path.is_file():
                raise UserError(f"{path.name}: no such file.", "Choose a photo.")

    def request(self) -> tuple[str, dict, dict]:
        """Returns the first request: the fit."""
        faces = [self.face_number] if self.face_number else []
        return (
            "fit_from_image",
            {
                "paths": [str(path) for path in self.paths],
                "faces": faces,
                "landmark_model": self.landmark_model,
                "painted_hair": not self.hair,
            },
            {},
        )

    def map_request(self, fit: Event) -> tuple[str, dict, dict]:
        """Returns the second request: the full map of the face that `put_into_scene` will make.

        Args:
            fit: the answer to `request`.

        Raises:
            UserError: the answer cannot be used.
        """
        arrays = fit.arrays
        if not all(np.isfinite(values).all() for values in arrays.values()):
            raise UserError(
                f"{self.paths[0].name}: the fit failed: the result is not finite.", "Try another photo."
            )
        skin = sample_skin(0)
        skin[0] += _age_offset(arrays["skin"])
        expression = np.zeros(len(face_model().expression_names), np.float32)
        if self.keep_expression:
            expression[:] = np.clip(arrays["expressions"][0], 0.0, 1.0)
        inputs = {"identity": arrays["identity"], "skin": skin, "expression": expression}
        return "generate", {"resolution": _RESOLUTION}, inputs | {"latent_offset": arrays["latent_offset"]}

    def put_into_scene(
        self, context: bpy.types.Context, fit: Event, shown: Event
    ) -> tuple[bpy.types.Object, str]:
        """Makes the face with its wrinkles; nothing was touched before.

        Args:
            context: its collection and scene receive face and camera.
            fit: the answer to `request`.
            shown: the answer to `map_request`.

        Returns:
            The face, selected and active, and the report.
        """
        arrays = fit.arrays
        fitted = fit.parameters["photos"][0]
        name = bpy.path.display_name_from_filepath(str(self.paths[0])) or "Face"
        with new_face(context, name, arrays["identity"], 0) as face:
            settings = face.d3dmm
            settings.coefficients.foreach_set("value", arrays["identity"])
            settings.wrinkle_seed = 0
            settings.identity_seed = 0
            settings.age_offset = _age_offset(arrays["skin"])
            settings.resolution = str(_RESOLUTION)
            settings.skin_tone = tone_of(middle_colour(arrays["albedo"]))
            settings.photo = self.paths[0].name
            colour = fit.parameters["skin_colour"]
            write_skin(face, {"tone": colour["tone"], **_known(colour["traits"])})
            said = [fitted["sentence"], fitted["camera"], colour["sentence"]]
            if self.hair:
                said.append(fit.parameters["hair"]["sentence"])
            settings.photo_sureness = " ".join(said)
            settings.photo_sure = fitted["sure"]
            store_light(face, arrays["light"])
            face[PHOTO_LATENT] = np.asarray(arrays["latent_offset"], float).ravel().tolist()
            if self.keep_expression:
                for key_name, value in zip(
                    face_model().expression_names, arrays["expressions"][0], strict=True
                ):
                    face.data.shape_keys.key_blocks[key_name].value = float(value)
        _colour_skin(face, arrays["albedo"], arrays["photographed"])
        face[FITTED_TONE] = float(settings.skin.tone)
        blend_wrinkles(face)
        if colour.get("iris") is not None:
            set_iris_like(face, colour["iris"])
        if self.hair:
            apply_hair_look(face, photo_look(fit.parameters["hair"]))
        select_face(context, face)
        if self.camera:
            _add_camera(context, face, fit, self.paths[0].name)
        live_detail.show_full(face, detail_inputs(face), shown.arrays["map"])
        return face, f"{self.paths[0].name}: {settings.photo_sureness}"


def blend_wrinkles(face: bpy.types.Object) -> None:
    """Writes the photo's share of wrinkles into the latent of the face's detail."""
    stored = face.get(PHOTO_LATENT)
    if stored is None:
        return
    offset = np.array(stored, np.float32).reshape(live_detail.LATENT_SHAPE) * face.d3dmm.photo_wrinkles
    if not offset.any():
        live_detail.clear_latent(face)
        return
    digest = hashlib.sha256(offset.tobytes()).hexdigest()[:8]
    live_detail.set_latent(face, offset, f"{face.d3dmm.photo} {digest}")


def wrinkles_changed(face: bpy.types.Object) -> None:
    """Follows the slider between the encoder's wrinkles and the photo's."""
    if PHOTO_LATENT in face:
        blend_wrinkles(face)
        live_update.skin_changed(face)


def colour_changed(face: bpy.types.Object) -> None:
    """Follows the slider between the painted skin and the photo's colour."""
    for name, value in ((COLOUR_NODE, face.d3dmm.photo_colour), (LIGHT_NODE, face.d3dmm.photo_light)):
        node = named_node(first_material(face), name)
        if node is not None:
            node.outputs[0].default_value = value


def _known(traits: Mapping[str, float]) -> dict[str, float]:
    """Returns the sliders' values among those that suit a photo's skin."""
    return {name: float(value) for name, value in traits.items() if name in TRAITS}


def _age_offset(skin: np.ndarray) -> float:
    """Returns the value of the slider Skin Age for a fitted skin vector (16,)."""
    return float(np.clip(skin[0] - sample_skin(0)[0], -4.0, 4.0))


def middle_colour(albedo: np.ndarray) -> np.ndarray:
    """Returns the median colour over cheeks and nose: (3,) linear."""
    size = len(albedo)
    return np.median(
        albedo[int(0.38 * size) : int(0.55 * size), int(0.3 * size) : int(0.7 * size)].reshape(-1, 3), axis=0
    )


def _packed_image(name: str, colours: np.ndarray) -> bpy.types.Image:
    """Returns an 8-bit sRGB image inside the file, of (H, W, 3) values in 0..1, row 0 at the bottom."""
    height, width = colours.shape[:2]
    image = bpy.data.images.new(name, width, height, alpha=False)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = colours
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    image.pack()
    return image


def _colour_skin(face: bpy.types.Object, albedo: np.ndarray, photographed: np.ndarray) -> None:
    """Mixes the photo's colour into the skin, except under the cropped hair.

    Args:
        face: the face.
        albedo, photographed: (R, R, 3) linear, row 0 at the bottom: without the photo's light and with it.
    """
    without_light, as_photographed = (
        _packed_image(f"{face.name} {name}", np.clip(to_srgb(colours), 0, 1))
        for name, colours in (("Albedo", albedo), ("As Photographed", photographed))
    )
    settings = face.d3dmm
    mix_photo(
        face.data.materials[0],
        PhotoColour(without_light, as_photographed, settings.photo_colour, settings.photo_light),
    )


def _add_camera(context: bpy.types.Context, face: bpy.types.Object, event: Event, name: str) -> None:
    """Adds the photo's camera as the scene's, with the photo behind the face; renders take its shape."""
    fitted = event.parameters["photos"][0]
    photo = event.arrays["photo"]
    data = bpy.data.cameras.new("Photo Camera")
    camera = bpy.data.objects.new("Photo Camera", data)
    context.collection.objects.link(camera)
    metre = units_per_metre(context.scene)
    data.sensor_fit = "AUTO"
    data.sensor_width = _SENSOR
    data.clip_start = 0.01 * metre
    data.clip_end *= metre
    data.display_size *= metre
    data.lens = _SENSOR * fitted["focal_of_longer_side"]
    right, down = fitted["principal_off_centre"]
    data.shift_x = -right  # the frame moves, the optical axis stays
    data.shift_y = down
    to_camera = np.eye(4)
    to_camera[:3, :3] = event.arrays["rotation"][0]
    to_camera[:3, 3] = event.arrays["translation"][0]
    placed = face.matrix_world @ Matrix((np.linalg.inv(to_camera) @ _CAMERA_AXES).tolist())
    location, rotation, _ = placed.decompose()
    camera.matrix_world = Matrix.LocRotScale(location, rotation, None)
    image = _packed_image(name, photo[::-1].astype(np.float32) / 255)
    data.show_background_images = True
    behind = data.background_images.new()
    behind.image = image
    behind.alpha = 1.0
    behind.display_depth = "BACK"
    behind.frame_method = "FIT"
    render = context.scene.render
    render.resolution_y, render.resolution_x = photo.shape[:2]
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    context.scene.camera = camera
