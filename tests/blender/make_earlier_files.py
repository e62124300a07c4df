"""Writes the files of `tests/blender/earlier`: a scene, a face file, two presets and a clip.

    python tests/blender/make_earlier_files.py CHECKOUT FOLDER [whole]

The extension is taken from CHECKOUT, a checkout of the version whose files are wanted. The face's mesh is cut
down to the skin around the nose, so that the scene is small; with `whole` it stays as Create Face made it,
with baked wrinkles and a picture on its skin.
"""

import os
import sys
import tempfile
from pathlib import Path

MODULE = "bl_ext.user_default.detailed3dmm"
KEPT_AROUND_NOSE = 0.007
"""Metres."""


def main(checkout: Path, folder: Path, whole: bool) -> None:
    """Enables the checkout's extension and writes the files."""
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory(prefix="d3dmm-earlier-") as resources:
        os.environ["BLENDER_USER_RESOURCES"] = resources
        place = Path(resources) / "extensions" / "user_default"
        place.mkdir(parents=True)
        (place / "detailed3dmm").symlink_to(checkout.resolve(), target_is_directory=True)
        import bpy

        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        bpy.ops.preferences.addon_enable(module=MODULE)
        write_files(folder, whole)
        bpy.ops.preferences.addon_disable(module=MODULE)


def write_files(folder: Path, whole: bool) -> None:
    """Makes a face with sliders, keys, a parent and a collection, and saves it in every way there is."""
    import bpy

    scene = bpy.context.scene
    people = bpy.data.collections.new("People")
    scene.collection.children.link(people)
    layers = bpy.context.view_layer.layer_collection.children
    bpy.context.view_layer.active_layer_collection = layers["People"]
    assert bpy.ops.d3dmm.create_face(identity_seed=3, update_detail=False) == {"FINISHED"}
    face = bpy.context.active_object
    face.name = "Ada"
    stand = bpy.data.objects.new("Stand", None)
    people.objects.link(stand)
    face.parent = stand
    face.location = (0.25, -0.5, 1.5)
    settings = face.d3dmm
    settings.show_detail = False
    settings.resolution = "256"
    settings.skin_tone, settings.hair, settings.age_offset = 0.62, 0.5, 1.25
    settings.wrinkle_seed = 31
    settings.directions["age"].value = 0.4
    settings.directions["nose_length"].value = -0.5
    keys = face.data.shape_keys
    for name, frames in {"jawOpen": (0.0, 0.8, 0.1), "mouthSmileLeft": (0.2, 0.0, 0.6)}.items():
        for frame, value in zip((1, 12, 24), frames, strict=True):
            keys.key_blocks[name].value = value
            keys.key_blocks[name].keyframe_insert("value", frame=frame)
    for frame, value in ((1, 0.0), (24, 0.1)):
        face.location.x = value
        face.keyframe_insert("location", index=0, frame=frame)
    settings.directions["weight"].keyframe_insert("value", frame=1)
    scene.frame_set(12)
    bpy.ops.d3dmm.save_face(filepath=str(folder / "ada.json"), check_existing=False)
    for kind in ("CHARACTER", "EXPRESSION"):
        bpy.ops.d3dmm.add_preset(kind=kind, name="Ada")
        made = Path(bpy.utils.user_resource("SCRIPTS")) / "presets" / "detailed3dmm" / f"{kind.lower()}s"
        (folder / f"preset_{kind.lower()}.json").write_text((made / "Ada.json").read_text("utf-8"), "utf-8")
    _write_clip(folder / "clip.csv")
    if whole:
        bake = {"whole_action": False, "first_frame": 1, "last_frame": 3, "without_backend": True}
        assert bpy.ops.d3dmm.bake_detail(**bake) == {"FINISHED"}
        settings.show_detail = True
        _paint(face)
    else:
        _cut_down(face)
    bpy.context.preferences.filepaths.save_version = 0
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"), compress=True)


def _write_clip(path: Path) -> None:
    """Writes a clip of twelve frames with this version's own writer."""
    import importlib

    import numpy as np

    files = importlib.import_module(".ml_backend.files.curve_file", MODULE)
    names = importlib.import_module(".ml_backend.expression_names", MODULE).EXPRESSION_NAMES
    frames = np.zeros((12, len(names)), np.float32)
    frames[:, names.index("jawOpen")] = np.linspace(0, 0.75, 12)
    frames[:, names.index("browInnerUp")] = np.linspace(1, 0.25, 12)
    files.write_curves(path, files.Animation(30.0, names, frames, np.zeros((12, 9), np.float32)))


def _paint(face) -> None:
    """Lays a picture of the artist's over the skin, in the face's texture space."""
    import bpy

    nodes = face.data.materials[0].node_tree
    place = nodes.nodes.new("ShaderNodeUVMap")
    place.uv_map = "UVMap"
    place.name = "Place of the Picture"
    picture = nodes.nodes.new("ShaderNodeTexImage")
    picture.image = bpy.data.images.new("Painted", 8, 8)
    nodes.links.new(place.outputs["UV"], picture.inputs["Vector"])


def _cut_down(face) -> None:
    """Deletes all but the skin around the nose, as an artist would; sliders, keys and materials stay."""
    import bmesh
    import bpy
    import numpy as np

    mesh = face.data
    positions = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.shape_keys.key_blocks[0].data.foreach_get("co", positions)
    positions = positions.reshape(-1, 3)
    nose = positions[positions[:, 1].argmin()]
    far = np.linalg.norm(positions - nose, axis=1) > KEPT_AROUND_NOSE
    shape = bmesh.new()
    shape.from_mesh(mesh)
    shape.verts.ensure_lookup_table()
    bmesh.ops.delete(shape, geom=[shape.verts[index] for index in np.flatnonzero(far)], context="VERTS")
    shape.to_mesh(mesh)
    shape.free()
    for image in list(bpy.data.images):
        image.scale(1, 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] == ["whole"])
    sys.stdout.flush()
    os._exit(0)
