"""Measurements of a scene and of the face in it, which several tests share."""

import bpy
import numpy as np


def evaluated(face) -> np.ndarray:
    """Returns the positions after shape keys and modifiers, (N, 3) float32, metres."""
    mesh = face.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    positions = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", positions.ravel())
    return positions


def live_height(face) -> np.ndarray:
    """Returns the heights of the live detail at the vertices, (N,) float32, millimetres."""
    values = np.empty(len(face.data.vertices), np.float32)
    face.data.attributes["d3dmm_live"].data.foreach_get("value", values)
    return values


def full_map(module, face, resolution=512) -> np.ndarray:
    """Returns the worker's map for the face's sliders, (resolution, resolution) float32, millimetres."""
    inputs = module("detailed3dmm_addon.detail.inputs").detail_inputs(face).arrays()
    return (
        module("detailed3dmm_addon.worker.jobs")
        .ask("generate", {"resolution": resolution}, inputs)
        .arrays["map"]
    )


def sampled(module, face, full) -> np.ndarray:
    """Returns the coarse band of a full map at the vertices, (N,) float32, millimetres; 0 off the skin."""
    coarse, _ = module("ml_backend.geometry.map_bands").split_map(full)
    uv = module("detailed3dmm_addon.detail.distilled").skin_uv()
    return np.where((uv >= 0).all(1), module("ml_backend.geometry.texture_space").sample_map(coarse, uv), 0)


def state_of_scene() -> dict:
    """Returns everything that an undo must restore, as plain values."""
    scene = bpy.context.scene
    state: dict = {
        "objects": sorted(item.name for item in bpy.data.objects),
        "assets": sorted(
            item.name for item in (*bpy.data.objects, *bpy.data.actions) if item.asset_data is not None
        ),
        "camera": (
            scene.camera.name if scene.camera else "",
            scene.render.resolution_x,
            scene.render.resolution_y,
        ),
    }
    for face in (
        item for item in bpy.data.objects if item.type == "MESH" and item.data.shape_keys is not None
    ):
        keys, settings = face.data.shape_keys, face.d3dmm
        actions = [
            owner.animation_data.action.name
            for owner in (face, keys)
            if owner.animation_data and owner.animation_data.action
        ]
        state[face.name] = {
            "keys": [round(key.value, 5) for key in keys.key_blocks],
            "identity": [round(item.value, 5) for item in (*settings.directions, *settings.coefficients)],
            "settings": [
                settings.wrinkle_seed,
                settings.identity_seed,
                settings.detail_source,
                settings.imported_map,
                settings.has_baked_detail,
            ],
            "modifiers": [modifier.name for modifier in face.modifiers],
            "actions": actions,
            "drivers": len(face.animation_data.drivers) if face.animation_data else 0,
            "attributes": sorted(item.name for item in face.data.attributes),
            "photo": [settings.photo, round(settings.photo_wrinkles, 5), round(settings.photo_colour, 5)],
            "emotions": len(face.d3dmm_animation.emotions),
            "surface": np.round(evaluated(face), 5).sum(0).round(2).tolist(),
        }
    return state


def shown_points(item) -> np.ndarray:
    """Returns the evaluated points of a hair object, (N, 3) float32, metres."""
    bpy.context.view_layer.update()
    data = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    places = np.empty((len(data.points), 3), np.float32)
    data.attributes["position"].data.foreach_get("vector", places.ravel())
    return places
