"""Reads exported files back, and tells whether an export changed the scene."""

import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np


def read_back(path: Path, tmp_path: Path) -> dict:
    """Reads a file in another process, with the libraries of the development environment."""
    python = os.environ.get("D3DMM_TOOLS_PYTHON") or os.environ.get("D3DMM_WORKER_PYTHON") or sys.executable
    script = Path(__file__).with_name("read_back.py")
    done = subprocess.run(
        [python, str(script), str(path), str(tmp_path / "read.npz")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "read.npz") as found:
        return dict(found)


def census() -> dict:
    """Returns the data blocks of the file and the surface of the active face."""
    face, scene = bpy.context.active_object, bpy.context.scene
    ids = {}
    for name in (item.identifier for item in bpy.data.bl_rna.properties if item.type == "COLLECTION"):
        counted = bpy.app.version >= (4, 3) or name not in (
            "images",
            "node_groups",
        )  # 4.2 miscounts a copied material's groups and images until it reloads
        ids[name] = sorted(
            (item.name_full, item.users if counted else item.users > 0) for item in getattr(bpy.data, name)
        )
    keys = face.data.shape_keys
    values = np.array([key.value for key in keys.key_blocks])
    live = np.empty(len(face.data.vertices), np.float32)
    face.data.attributes["d3dmm_live"].data.foreach_get("value", live)
    uv = np.empty(2 * len(face.data.loops), np.float32)
    face.data.uv_layers[0].uv.foreach_get("vector", uv)
    state = (
        scene.name,
        scene.frame_current,
        face.name,
        face.select_get(),
        bpy.context.window.scene.name,
        face.data.get("d3dmm_shown"),
    )
    return {
        "ids": ids,
        "values": values,
        "live": live,
        "uv": uv,
        "state": state,
        "places": np.array(face.matrix_world),
        "actions": keys.animation_data.action.name,
    }


def assert_same(before: dict, after: dict):
    """Fails where a census differs from another."""
    for name, value in before.items():
        assert (
            np.array_equal(value, after[name]) if isinstance(value, np.ndarray) else value == after[name]
        ), name
