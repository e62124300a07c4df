"""Builds a portrait studio around a face: a long lens, one of five set-ups of light, a neutral backdrop.

The lights look the same in Cycles and in EEVEE, which ignores their spread.
"""

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

from ...ml_backend.errors import UserError
from ..model.registry import is_face
from ..model.scene_units import units_per_metre
from ..nodes.materials import new_material, principled_shader
from ..nodes.node_graph import NodeGraph

COLLECTION_NAME = "Portrait Studio"
DISTANCE = 1.3
"""Metres from the camera to the face: nearer, a lens swells nose and cheeks."""
F_NUMBER = 11.0
VIEW_TRANSFORM, VIEW_LOOK = "AgX", "AgX - Medium High Contrast"
_SENSOR = 36.0
_SHOWN = 0.9
"""Share of the face's height that the frame shows."""
_HEADROOM = 0.05
"""Share of the face's height that is left free above it."""
_STEP_ASIDE = 0.3
"""Metres between faces that are created at the same place."""
_EYES_BEHIND_FRONT = 0.03
"""Metres from the foremost point of a face, where the lens is focused."""
_ROOM_LIGHT = 0.15
"""Strength of the panorama that eyes and skin mirror in the set-ups with lamps."""
_WARM, _COOL, _WHITE = (1.0, 0.95, 0.89), (0.88, 0.94, 1.0), (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Lamp:
    """A rectangular light: where it stands as seen from the face, its size in metres, its power in watts."""

    name: str
    place: tuple[float, float, float]
    size: tuple[float, float]
    watts: float
    colour: tuple[float, float, float] = _WHITE


@dataclass(frozen=True)
class SetUp:
    """A set-up of light: lamps, a panorama of Blender's own with its strength, the grey of the backdrop.

    Without a backdrop the camera sees the panorama.
    """

    lamps: tuple[Lamp, ...]
    panorama: str = "studio.exr"
    strength: float = _ROOM_LIGHT
    backdrop: float | None = 0.08


_RIMS = (
    Lamp("Rim Left", (0.65, 0.75, 0.45), (0.2, 0.6), 9.0),
    Lamp("Rim Right", (-0.7, 0.7, 0.5), (0.2, 0.6), 11.0),
)
SET_UPS = {
    "SOFT": SetUp(
        (
            Lamp("Key", (0.0, -1.2, 0.34), (0.22, 0.22), 11.5),
            Lamp("Left Fill", (0.73, -0.95, 0.36), (0.22, 0.22), 3.4),
            Lamp("Right Fill", (-0.73, -0.95, 0.36), (0.22, 0.22), 4.6),
            Lamp("Background", (0.0, 1.2, 1.1), (1.2, 0.3), 24.0, _WARM),
        ),
        strength=0.34,
        backdrop=0.8,
    ),
    "REMBRANDT": SetUp(
        (
            Lamp("Key", (-0.95, -0.55, 0.72), (0.42, 0.6), 24.0, _WARM),
            Lamp("Fill", (0.55, -1.15, -0.10), (0.6, 0.6), 1.2, _COOL),
            *_RIMS,
        )
    ),
    "BUTTERFLY": SetUp(
        (
            Lamp("Key", (0.0, -0.85, 0.90), (0.6, 0.42), 19.0, _WARM),
            Lamp("Reflector", (0.0, -0.75, -0.60), (0.6, 0.4), 2.0),
            *_RIMS,
        ),
        backdrop=0.12,
    ),
    "RIM": SetUp(
        (
            Lamp("Rim Left", (0.70, 0.62, 0.30), (0.25, 0.8), 32.0),
            Lamp("Rim Right", (-0.70, 0.62, 0.30), (0.25, 0.8), 32.0),
            Lamp("Fill", (-0.35, -1.15, 0.25), (0.7, 0.7), 2.5, _COOL),
        ),
        strength=0.08,
        backdrop=0.03,
    ),
    "OUTDOOR": SetUp((), "forest.exr", 1.0, None),
}


def free_place(scene: bpy.types.Scene, face: bpy.types.Object) -> Vector:
    """Returns the place of a new face: the 3D cursor, or beside the faces that stand there.

    It is in the scene's units.
    """
    others = [
        item.matrix_world.translation
        for item in scene.objects
        if item != face and item.type == "MESH" and is_face(item)
    ]
    place = scene.cursor.location.copy()
    step = _STEP_ASIDE * units_per_metre(scene)
    nearest = step * (1 - 1e-4)  # places are rounded
    while any((other - place).length < nearest for other in others):
        place.x += step
    return place


def build_studio(
    context: bpy.types.Context, face: bpy.types.Object, set_up: str = "SOFT", turntable: int = 0
) -> None:
    """Puts camera, lights and backdrop around a face, in place of an earlier studio.

    Args:
        context: its scene receives a collection for the studio, a world and AgX's view transform.
        face: the camera looks at it; its bounding box, hair included, sets the frame.
        set_up: one of `SET_UPS`.
        turntable: frames in which the camera goes once around the face; 0 keeps it still.

    Raises:
        UserError: this Blender lacks the set-up's panorama.
    """
    scene = context.scene
    chosen = SET_UPS[set_up]
    panorama = _panorama_path(chosen.panorama)
    _remove_studio(scene)
    studio = bpy.data.collections.new(COLLECTION_NAME)
    studio["d3dmm"] = COLLECTION_NAME
    scene.collection.children.link(studio)
    metre = units_per_metre(scene)
    centre, height = _face_centre(face)
    camera = _make_camera(centre, height, metre)
    for lamp in chosen.lamps:
        studio.objects.link(_make_lamp(lamp, centre, metre))
    made = [camera] if chosen.backdrop is None else [camera, _make_backdrop(centre, metre, chosen.backdrop)]
    for item in made:
        studio.objects.link(item)
    if turntable:
        studio.objects.link(_put_on_turntable(made, face, centre, scene.frame_start, turntable))
    scene.camera = camera
    _make_world(scene, panorama, chosen.strength)
    scene.view_settings.view_transform = VIEW_TRANSFORM
    scene.view_settings.look = VIEW_LOOK


def _remove_studio(scene: bpy.types.Scene) -> None:
    """Removes the studio that was built before; what an artist added to its collection stays in the scene."""
    for studio in [item for item in scene.collection.children if item.get("d3dmm") == COLLECTION_NAME]:
        for item in list(studio.objects):
            if item.get("d3dmm") != COLLECTION_NAME:
                if item.name not in scene.collection.objects:
                    scene.collection.objects.link(item)
                continue
            data = item.data
            bpy.data.objects.remove(item)
            if data is not None and data.users == 0:
                bpy.data.batch_remove([data])
        bpy.data.collections.remove(studio)


def _make_camera(centre: Vector, height: float, metre: float) -> bpy.types.Object:
    camera = bpy.data.objects.new("Portrait Camera", bpy.data.cameras.new("Portrait Camera"))
    camera["d3dmm"] = COLLECTION_NAME
    distance = DISTANCE * metre
    lens = camera.data
    lens.sensor_fit = "VERTICAL"
    lens.sensor_height = _SENSOR
    lens.lens = _SENSOR * distance / (height * _SHOWN)
    lens.clip_start = 0.01 * metre
    lens.clip_end *= metre
    lens.display_size *= metre
    lens.dof.use_dof = True
    lens.dof.focus_distance = distance + _EYES_BEHIND_FRONT * metre
    # The pupil's size is focal length (millimetres) over the number, in scene units: keep it true to size.
    lens.dof.aperture_fstop = F_NUMBER / metre
    camera.location = centre + Vector((0.0, -distance, 0.0))
    _aim(camera, centre)
    return camera


def _make_lamp(lamp: Lamp, centre: Vector, metre: float) -> bpy.types.Object:
    light = bpy.data.lights.new(f"{lamp.name} Light", "AREA")
    light.energy = lamp.watts * metre**2  # as bright at this distance
    light.shape = "RECTANGLE"
    light.size = lamp.size[0] * metre
    light.size_y = lamp.size[1] * metre
    light.color = lamp.colour
    item = bpy.data.objects.new(light.name, light)
    item["d3dmm"] = COLLECTION_NAME
    item.location = centre + Vector(lamp.place) * metre
    _aim(item, centre + Vector((0.0, 2.2 * metre, 0.0)) if lamp.name == "Background" else centre)
    return item


def _face_centre(face: bpy.types.Object) -> tuple[Vector, float]:
    corners = _corners(face)
    low, high = corners.min(0), corners.max(0)
    hair = [_corners(item)[:, 2].max() for item in face.children if item.type == "CURVES"]
    high[2] = max([high[2], *hair])
    height = float(high[2] - low[2])
    return Vector(
        ((low[0] + high[0]) / 2, float(low[1]), float(high[2]) + (_HEADROOM - _SHOWN / 2) * height)
    ), height


def _corners(item: bpy.types.Object) -> np.ndarray:
    """Returns (8, 3): the corners of an object's bounding box, in the scene."""
    return np.array([item.matrix_world @ Vector(corner) for corner in item.bound_box])


def _aim(item: bpy.types.Object, target: Vector) -> None:
    item.rotation_euler = (target - item.location).to_track_quat("-Z", "Y").to_euler()


def _make_backdrop(centre: Vector, metre: float, grey: float) -> bpy.types.Object:
    mesh = bpy.data.meshes.new("Backdrop")
    side = 5.0 * metre
    behind = 2.2 * metre
    mesh.from_pydata(
        [(-side, 0, -side), (side, 0, -side), (side, 0, side), (-side, 0, side)], [], [(0, 1, 2, 3)]
    )
    material = new_material("Backdrop")
    shader = principled_shader(material)
    shader.inputs["Base Color"].default_value = (grey, grey, grey, 1.0)
    shader.inputs["Roughness"].default_value = 0.9
    mesh.materials.append(material)
    backdrop = bpy.data.objects.new("Backdrop", mesh)
    backdrop["d3dmm"] = COLLECTION_NAME
    backdrop.location = centre + Vector((0.0, behind, 0.0))
    return backdrop


def _put_on_turntable(
    turned: list[bpy.types.Object], face: bpy.types.Object, centre: Vector, start: int, frames: int
) -> bpy.types.Object:
    """Parents camera and backdrop to an empty in the middle of the head, keyed to turn once."""
    pivot = bpy.data.objects.new("Turntable", None)
    pivot["d3dmm"] = COLLECTION_NAME
    middle = face.matrix_world.translation
    pivot.location = (centre.x, middle.y, centre.z)
    for item in turned:
        item.parent = pivot
        item.location -= pivot.location
    for frame, angle in ((start, 0.0), (start + frames, 2 * np.pi)):
        pivot.rotation_euler.z = angle
        pivot.keyframe_insert("rotation_euler", index=2, frame=frame)
    pivot.rotation_euler.z = 0.0
    for curve in _curves(pivot.animation_data.action):
        for point in curve.keyframe_points:
            point.interpolation = "LINEAR"
    return pivot


def _curves(action: bpy.types.Action) -> list[bpy.types.FCurve]:
    """Returns an action's curves; from Blender 5.0 on they lie in the action's layers."""
    if hasattr(action, "fcurves"):
        return list(action.fcurves)
    bags = (bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags)
    return [curve for bag in bags for curve in bag.fcurves]


def _panorama_path(name: str) -> Path:
    folders = (bpy.utils.resource_path(kind) for kind in ("LOCAL", "SYSTEM"))
    for folder in folders:
        path = Path(folder) / "datafiles" / "studiolights" / "world" / name
        if folder and path.is_file():
            return path
    raise UserError(
        f"This Blender has no panorama {name}.",
        "It belongs to Blender's own studio lights: install Blender from blender.org.",
    )


def _make_world(scene: bpy.types.Scene, panorama: Path, strength: float) -> None:
    world = bpy.data.worlds.new("Portrait World")
    if world.node_tree is None:
        world.use_nodes = True
    graph = NodeGraph(world.node_tree)
    image = bpy.data.images.load(str(panorama), check_existing=True)
    if image.packed_file is None:
        image.pack()  # the file plays on a machine whose Blender lies elsewhere
    texture = graph.node("TexEnvironment", image=image)
    light = graph.node("Background", {"Color": texture.outputs[0], "Strength": strength})
    graph.node("OutputWorld", {"Surface": light.outputs[0]})
    scene.world = world
