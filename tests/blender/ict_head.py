"""ICT-FaceKit's head as a mesh object with its own shape keys, from test data outside the repository."""

from pathlib import Path

import bpy
import numpy as np

FILE = Path(__file__).resolve().parents[3] / "shared" / "data" / "ict_facekit_light_f32.npz"


def ict_head(scale: float = 0.01) -> bpy.types.Object:
    """The average head, Z up, facing -Y; `scale` is metres a centimetre."""
    with np.load(FILE, allow_pickle=False) as data:
        arrays = dict(data)

    def place(values):
        return np.stack([values[..., 0], -values[..., 2], values[..., 1]], -1) * np.float32(scale)

    faces = arrays["faces"]
    mesh = bpy.data.meshes.new("ICT Head")
    mesh.from_pydata(
        place(arrays["neutral"]).tolist(), [], [[v for v in face if v >= 0] for face in faces.tolist()]
    )
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), bool))
    uv = arrays["uv"][arrays["faces_uv"][arrays["faces_uv"] >= 0]]
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", np.ascontiguousarray(uv, np.float32).ravel())
    names = sorted(set(arrays["materials"].tolist()))
    mesh.polygons.foreach_set(
        "material_index", np.array([names.index(name) for name in arrays["materials"]], np.int32)
    )
    for name in names:
        mesh.materials.append(bpy.data.materials.new(str(name)))
    head = bpy.data.objects.new("ICT Head", mesh)
    bpy.context.scene.collection.objects.link(head)
    head.shape_key_add(name="Basis", from_mix=False)
    neutral = place(arrays["neutral"])
    for name, delta in zip(arrays["expression_names"].tolist(), arrays["expression"], strict=True):
        key = head.shape_key_add(name=str(name), from_mix=False)
        key.points.foreach_set("co", (neutral + place(delta)).ravel())
        key.value = 0.0
    bpy.context.view_layer.objects.active = head
    return head
