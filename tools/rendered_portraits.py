"""Portraits of this extension's own people by Cycles, with the exact codes that they show.

    python -m tools.rendered_portraits --count 160 --seed 0 --out build/rendered-portraits

Each person has strands, eyes and teeth as the extension makes them, skin of the coarse albedo model without
wrinkles, and a world that is nine spherical harmonics. Writes 00000.png (256 pixels, the mask as alpha) and
00000.npz: the seven codes, the focal length in pixels, and the colour of the irises. A run that was stopped
goes on where it ended. `python -m ml_backend train render-residual` learns from them.
"""

import argparse
import dataclasses
import importlib
import os
import sys
import time
from pathlib import Path

import numpy as np

from ml_backend.geometry.light_transfer import surround_of_light
from ml_backend.hair.coded_hair import CodedHair, hair_of_code
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.face_codes import FaceCodes, code_of_light, rotation_of_angles
from ml_backend.models.face_renderer import camera_of
from ml_backend.models.skin.albedo_model import AlbedoModel
from ml_backend.simulation.portraits.coded_portrait import SIZE, draw_codes, draw_light, draw_pose

from .cycles_render import quiet_output
from .extension_session import installed_extension

ROOT = Path(__file__).resolve().parent.parent
FIRST_SEED = 3_000_000
"""Seed of the first person: no other set of pictures has these people."""
_FEWER = {"scalp": 0.4, "beard": 0.5}
"""Shares of the strands that are drawn; they are wider for it."""
_SIDEWAYS, _LARGEST_YAW = 0.35, 40.0
"""Share of the heads that are turned by any yaw, and the largest."""
_BRIGHTEST, _EXPOSURES = 0.75, 0.25
"""Light of the skin's brighter parts, and deviation of the exposure's logarithm."""
_LARGEST_COUNT = 100_000


@dataclasses.dataclass(frozen=True)
class View:
    """A person before a camera.

    Attributes:
        codes: of both.
        focal: of the camera, pixels of a picture of 256.
        surround: (64, 128, 3) radiance that is the code's light.
    """

    codes: FaceCodes
    focal: float
    surround: np.ndarray


def draw_view(person: int, number: int, face: BilinearFace) -> View:
    """Draws a view of a person.

    Args:
        person: number of the person.
        number: of the view; the others of a person differ in camera and light.
        face: the model.
    """
    codes, focal, random = draw_codes(FIRST_SEED, person, face)
    if number:
        random = np.random.default_rng([FIRST_SEED, person, number, 0x71E3])
        angles, place, focal = draw_pose(face, random)
        light = code_of_light(draw_light(random)).astype(np.float32)
        codes = dataclasses.replace(codes, rotation=angles, translation=place, illumination=light)
    if random.random() < _SIDEWAYS:
        eyes = np.mean([face.mean[face.landmarks[f"eye_{side}"]].mean(0) for side in ("left", "right")], 0)
        aim = eyes + (0, 0, -0.02)
        seen = rotation_of_angles(codes.rotation) @ aim + codes.translation
        angles = codes.rotation.copy()
        angles[0] = random.uniform(-_LARGEST_YAW, _LARGEST_YAW)
        place = seen - rotation_of_angles(angles) @ aim
        codes = dataclasses.replace(codes, rotation=angles, translation=place.astype(np.float32))
    model = AlbedoModel.default()
    skin = np.clip(model.colours(model.mixing[:, : len(codes.texture)] @ codes.texture), 0, 1)
    bright = np.quantile(skin[:, model.mask].max(0), 0.8) ** 2.2 * codes.light[0].max() * 1.5
    level = min(1.2, _BRIGHTEST / max(float(bright), 0.05)) * np.exp(_EXPOSURES * random.standard_normal())
    surround, light = surround_of_light(codes.light * level)
    codes = dataclasses.replace(codes, illumination=code_of_light(light).astype(np.float32))
    return View(codes, focal, surround)


class Studio:
    """A Blender scene that shows one person after the other.

    Args:
        extension: its module's name.
        samples: of Cycles.
        threads: of Cycles.
    """

    def __init__(self, extension: str, samples: int, threads: int):
        self.samples, self.threads = samples, threads
        rooms = ("hair.groom", "hair.settings", "hair.parts", "appearance.skin_colour", "appearance.eyes",
                 "nodes.map_images", "model.face_model")  # fmt: skip
        self.room = {
            name: importlib.import_module(f".detailed3dmm_addon.{name}", extension) for name in rooms
        }

    def show(self, codes: FaceCodes, person: int, size: int):
        """Empties the scene and shows a person.

        Args:
            codes: of the person.
            person: number of the person, as in `draw_view`.
            size: of the picture, pixels.

        Returns:
            The face.
        """
        import bpy

        bpy.ops.wm.read_homefile(use_empty=True)
        bpy.ops.d3dmm.create_face(identity_seed=FIRST_SEED + person, update_detail=False, hair=False)
        face, scene = bpy.context.view_layer.objects.active, bpy.context.scene
        assert face is not None and scene is not None
        face.location = (0, 0, 0)
        face.d3dmm.show_detail = False
        for name, value in zip(
            self.room["model.face_model"].face_model().expression_names, codes.expression, strict=True
        ):
            face.data.shape_keys.key_blocks[name].value = float(value)
        self._colour(face, codes.texture)
        self._grow(face, hair_of_code(codes.hair))
        render = scene.render
        render.engine, render.film_transparent = "CYCLES", True
        render.threads_mode, render.threads = "FIXED", self.threads
        render.resolution_x = render.resolution_y = size
        render.resolution_percentage = 100
        render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGBA"
        render.use_persistent_data = True  # another view needs no new strands
        scene.view_settings.view_transform = "Standard"
        scene.cycles.device, scene.cycles.samples = "CPU", self.samples
        scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = True, False
        scene.cycles_curves.shape, scene.cycles_curves.subdivisions = "RIBBONS", 2
        scene.cycles.max_bounces, scene.cycles.transparent_max_bounces = 3, 6
        return face

    def render(self, view: View, picture: Path) -> None:
        """Renders the person that is shown before a camera, in its light."""
        import bpy

        scene = bpy.context.scene
        assert scene is not None
        scene.world = _world(view.surround)
        scene.camera = _camera(view.codes, view.focal)
        scene.collection.objects.link(scene.camera)
        scene.render.filepath = str(picture)
        with quiet_output():
            bpy.ops.render.render(write_still=True)

    def _colour(self, face, texture: np.ndarray) -> None:
        """Paints the skin of a texture code (48,)."""
        colour = self.room["appearance.skin_colour"]
        model = AlbedoModel.default()
        coarse = model.colours((model.mixing[:, : len(texture)] @ texture).astype(np.float32))
        self.room["nodes.map_images"].write_colours(
            colour.colour_image(face), np.clip(coarse, 0.02, 1).astype(np.float32)
        )

    def _grow(self, face, hair: CodedHair) -> None:
        """Grows the strands of a hair code, fewer and thicker ones."""
        groom = self.room["hair.groom"]
        with self.room["hair.settings"].changes_held():
            for part, style in hair.styles.items():
                sliders = groom.hair_part(face, part)
                sliders.style = style
                sliders.melanin, sliders.redness, sliders.grey = hair.pigments[part]
                for name, value in hair.numbers.get(part, {}).items():
                    setattr(sliders, name, value)
                share = _FEWER.get(part, 1.0)
                sliders.density *= share
                sliders.thickness *= share**-0.75
        groom.add_hair(face, list(hair.styles))

    def iris(self, face) -> np.ndarray:
        """Returns the linear colour (3,) of a face's irises."""
        return np.array(self.room["appearance.eyes"].get_eye(face, "Iris")[:3], np.float32)


def _world(surround: np.ndarray):
    """Returns a world of a surround (rows, 2 rows, 3), linear."""
    import bpy

    rows, columns = surround.shape[:2]
    image = bpy.data.images.new("Surround", columns, rows, float_buffer=True, is_data=True)
    pixels = np.ones((rows, columns, 4), np.float32)
    pixels[..., :3] = surround
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    image.pack()
    world = bpy.data.worlds.new("Surround")
    if world.node_tree is None:
        world.use_nodes = True
    tree = world.node_tree
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    background = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBackground")
    tree.links.new(texture.outputs["Color"], background.inputs["Color"])
    return world


def _camera(codes: FaceCodes, focal: float):
    """Returns the camera of codes; focal in pixels of a picture of 256."""
    import bpy
    from mathutils import Matrix

    camera = camera_of(codes, focal, SIZE, SIZE)
    lens = bpy.data.cameras.new("Camera")
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", 36.0
    lens.lens = focal * lens.sensor_width / SIZE
    lens.clip_start = 0.01
    item = bpy.data.objects.new("Camera", lens)
    placed = np.eye(4)
    placed[:3, :3] = camera.rotation.T @ np.diag([1.0, -1.0, -1.0])  # Blender's looks along -Z, Y up
    placed[:3, 3] = camera.position
    item.matrix_world = Matrix(placed.tolist())
    return item


def portray(people: range, views: int, samples: int, threads: int, size: int, out: Path) -> int:
    """Renders the pictures that a folder still lacks.

    Args:
        people: their numbers.
        views: pictures of each.
        samples, threads: of Cycles.
        size: pixels along a side; 256 to learn from.
        out: an existing folder.

    Returns:
        Pictures that were made now.
    """
    face_model = BilinearFace.default()
    lacking = {
        person: [view for view in range(views) if not (out / f"{person * views + view:05d}.npz").exists()]
        for person in people
    }
    lacking = {person: numbers for person, numbers in lacking.items() if numbers}
    whole, done = sum(map(len, lacking.values())), 0
    if not whole:
        return 0
    with installed_extension() as extension:
        studio = Studio(extension, samples, threads)
        for person, numbers in lacking.items():
            began = time.perf_counter()
            face = studio.show(draw_view(person, 0, face_model).codes, person, size)
            iris = studio.iris(face)
            for number in numbers:
                view, name = draw_view(person, number, face_model), f"{person * views + number:05d}"
                studio.render(view, out / f"{name}.png")
                partial = out / f"{name}.partial.npz"
                np.savez(
                    partial,
                    focal=np.float32(view.focal),
                    iris=iris,
                    person=np.int64(person),
                    **view.codes.table(),
                )
                os.replace(partial, out / f"{name}.npz")  # last: a picture without it is made again
                done += 1
            print(f"{done} of {whole}: {time.perf_counter() - began:.1f} s", flush=True)
    return done


def main() -> int:
    """Parses the arguments and renders."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.rendered_portraits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=160, help="people (default: 160)")
    parser.add_argument("--views", type=int, default=2, help="pictures of each person (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="number of the first person (default: 0)")
    parser.add_argument("--samples", type=int, default=6, help="samples of Cycles (default: 6)")
    parser.add_argument("--threads", type=int, default=1, help="threads of Cycles (default: 1)")
    parser.add_argument("--size", type=int, default=SIZE, help=f"pixels along a side (default: {SIZE})")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build/rendered-portraits", help="folder for the pictures"
    )
    args = parser.parse_args()
    if (
        not 1 <= args.count <= _LARGEST_COUNT
        or min(args.samples, args.threads, args.views) < 1
        or args.seed < 0
    ):
        parser.error("--count, --views, --samples and --threads must be at least 1, --seed at least 0")
    if not 16 <= args.size <= 4096:
        parser.error("--size must be 16 to 4096")
    args.out.mkdir(parents=True, exist_ok=True)
    people = range(args.seed, args.seed + args.count)
    portray(people, args.views, args.samples, args.threads, args.size, args.out.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
