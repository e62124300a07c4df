"""Scenes, face files, presets and clips of the version before fingerprints open and are carried over.

`earlier/` holds what `make_earlier_files.py` wrote with that version; where git has its history, the whole
scene is made again with it.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import bpy
import numpy as np
import pytest
from checking_layout import context, draw_all

HERE = Path(__file__).resolve().parent
EARLIER = HERE / "earlier"
COMMIT = "5edda6698569afdb5bc3bfbafbd8587b888a7c7a"
"""The last commit with the earlier face model and without fingerprints."""
NEEDED = (
    "__init__.py blender_manifest.toml detailed3dmm_addon operators panels ml_backend/*.py "
    "ml_backend/assets/face_model.safetensors ml_backend/assets/distilled_detail.safetensors"
).split()
CACHES = {
    "detailed3dmm_addon.model.face_model": ("face_model", "dense_mesh", "dense_parts"),
    "detailed3dmm_addon.face.attributes": ("mean_places",),
    "detailed3dmm_addon.face.neighbours": ("neighbours", "opposite_neighbours", "moving_skin"),
    "detailed3dmm_addon.appearance.eye_shapes": ("lid_shape", "_lid_graph"),
    "detailed3dmm_addon.appearance.skin_colour": ("painter",),
    "detailed3dmm_addon.hair.groom": ("mean_head",),
    "detailed3dmm_addon.detail.distilled": ("dense_fields", "skin_uv", "_wrinkling"),
}


@pytest.fixture(scope="session")
def other_file(module, tmp_path_factory) -> Path:
    """A model of the same heads with another basis, mesh and chart."""
    spec = importlib.util.spec_from_file_location(
        "other_face_model", HERE.parent / "pure" / "other_face_model.py"
    )
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    other = maker.make_other_model(module("ml_backend.models.bilinear_face").BilinearFace.default())
    path = tmp_path_factory.mktemp("model") / "face_model.safetensors"
    module("ml_backend.files.tensor_file").write_tensors(path, *other.tensors())
    return path


@pytest.fixture
def other_model(module, monkeypatch, other_file):
    """Lets the extension use another face model; returns it."""
    models = module("ml_backend.models.bilinear_face")

    def clear():
        for name, functions in CACHES.items():
            for function in functions:
                getattr(module(name), function).cache_clear()

    with monkeypatch.context() as patch:
        patch.setattr(models, "DEFAULT_FILE", other_file)
        clear()
        yield module("detailed3dmm_addon.model.face_model").face_model()
    clear()


@pytest.fixture(scope="session")
def whole_scene(tmp_path_factory) -> Path:
    """The scene with the whole face, made by the earlier version itself."""
    root = HERE.parents[1]
    known = ["git", "-C", str(root), "cat-file", "-e", f"{COMMIT}^{{commit}}"]
    if shutil.which("git") is None or subprocess.run(known, capture_output=True).returncode:
        pytest.skip("git has no history here: the earlier version cannot make its files")
    folder = tmp_path_factory.mktemp("earlier")
    archive, checkout, out = folder / "earlier.tar", folder / "checkout", folder / "out"
    out.mkdir()
    take = ["git", "-C", str(root), "archive", f"--output={archive}", COMMIT, "--", *NEEDED]
    subprocess.run(take, check=True, timeout=120)
    with tarfile.open(archive) as packed:
        packed.extractall(checkout)
    make = [sys.executable, str(HERE / "make_earlier_files.py"), str(checkout), str(out), "whole"]
    subprocess.run(make, check=True, timeout=300, capture_output=True)
    assert (out / "ada.json").read_bytes() == (EARLIER / "ada.json").read_bytes()
    return out / "scene.blend"


def opened(path: Path) -> bpy.types.Object:
    """Opens a scene and makes Ada active."""
    bpy.ops.wm.open_mainfile(filepath=str(path))
    face = bpy.data.objects["Ada"]
    bpy.context.view_layer.objects.active = face
    face.select_set(True)
    return face


def state(face) -> dict:
    """Everything of a face that must not change when its file is opened and played."""
    keys = face.data.shape_keys
    action = keys.animation_data.action
    return {
        "shapes": {key.name: positions(key).tobytes() for key in keys.key_blocks},
        "values": {key.name: round(key.value, 6) for key in keys.key_blocks},
        "curves": curves(action),
        "object curves": curves(face.animation_data.action),
        "place": [tuple(row) for row in face.matrix_world],
        "parent": face.parent.name,
        "collections": [item.name for item in face.users_collection],
        "materials": [item.name for item in face.data.materials],
        "modifiers": [item.name for item in face.modifiers],
        "skin": [round(value, 6) for value in (face.d3dmm.skin_tone, face.d3dmm.hair, face.d3dmm.age_offset)],
        "wrinkles": face.d3dmm.wrinkle_seed,
    }


def curves(action) -> list:
    bags = (
        [bag.fcurves for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
        if hasattr(action, "layers")
        else [action.fcurves]
    )
    return [
        (curve.data_path, curve.array_index, [tuple(key.co) for key in curve.keyframe_points])
        for bag in bags
        for curve in bag
    ]


def positions(key) -> np.ndarray:
    values = np.empty(3 * len(key.data), np.float32)
    key.data.foreach_get("co", values)
    return values.reshape(-1, 3)


def uv_near(mesh, layer: str, place) -> np.ndarray:
    """The mean texture coordinate of the corners at the vertex nearest to a place."""
    rest = positions(mesh.shape_keys.key_blocks[0])
    nearest = np.linalg.norm(rest - place, axis=1).argmin()
    corner_vertex = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corner_vertex)
    values = np.empty((len(mesh.loops), 2), np.float32)
    mesh.uv_layers[layer].uv.foreach_get("vector", values.ravel())
    return values[corner_vertex == nearest].mean(0)


def played(face) -> list[np.ndarray]:
    """The evaluated mesh at three frames."""
    shown = []
    for frame in (1, 12, 20):
        bpy.context.scene.frame_set(frame)
        mesh = face.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        values = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", values)
        shown.append(values)
    bpy.context.scene.frame_set(12)
    return shown


def test_an_earlier_scene_opens_with_the_embedded_model(module):
    model = module("detailed3dmm_addon.model.face_model")
    face = opened(EARLIER / "scene.blend")
    assert face.d3dmm.face_model == "" and face.d3dmm.directions["age"].value == pytest.approx(0.4)
    earlier = module("ml_backend.models.earlier_face").earlier_face().fingerprint
    assert model.made_with(face) == earlier
    assert model.is_of_earlier(face) == (model.face_model().fingerprint() != earlier)
    if model.is_current(face):
        stored = module("ml_backend.files.face_file").read_face(EARLIER / "ada.json")
        np.testing.assert_allclose(model.identity_of(face), stored.identity, atol=1e-5)
        assert not any("earlier face model" in text for text in draw_all(context()))


def test_with_another_model_it_plays_as_before_and_its_person_is_fixed(module, other_model):
    face = opened(EARLIER / "scene.blend")
    before, motion = state(face), played(face)
    face.d3dmm.show_detail = True
    assert " ".join(draw_all(context())).count("Made with an earlier face") >= 1
    for button in ("random_face", "reset_face", "update_detail", "new_wrinkle_seed", "bake_detail"):
        with pytest.raises(RuntimeError, match=r"Carry Over lets its person|poll\(\) failed"):
            getattr(bpy.ops.d3dmm, button)()
    assert bpy.ops.d3dmm.carry_over_face.poll()
    face.d3dmm.directions["age"].value = -0.6
    face.d3dmm.coefficients[3].value = 2.0
    face.d3dmm.directions["age"].value = 0.4
    face.d3dmm.show_detail = False
    after = state(face)
    assert after == before
    for mine, theirs in zip(played(face), motion, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_expressions_of_an_earlier_face_go_on_working(module, other_model):
    face = opened(EARLIER / "scene.blend")
    face.data.shape_keys.animation_data_clear()
    face.d3dmm.show_detail = True
    assert bpy.ops.d3dmm.set_expression_preset(preset="surprise") == {"FINISHED"}
    assert face.data.shape_keys.key_blocks["browInnerUp"].value > 0
    assert bpy.ops.d3dmm.load_face(filepath=str(EARLIER / "preset_expression.json")) == {"FINISHED"}
    assert face.data.shape_keys.key_blocks["jawOpen"].value == pytest.approx(0.8)


def test_no_request_for_detail_takes_an_earlier_face(module, other_model):
    errors = module("ml_backend.errors")
    face = opened(EARLIER / "scene.blend")
    inputs = module("detailed3dmm_addon.detail.inputs")
    with pytest.raises(errors.UserError, match="is a face of another face model"):
        inputs.detail_inputs(face)
    bake = module("detailed3dmm_addon.detail.bake")
    with pytest.raises(errors.UserError, match="Carry Over"):
        bake.ClipBake.of_range(bpy.context.scene, face, 1, 2)
    with pytest.raises(RuntimeError, match="is a face of another face model"):
        bpy.ops.d3dmm.load_face(filepath=str(EARLIER / "ada.json"))


def test_an_edited_mesh_is_carried_over_only_on_request(module, other_model):
    face = opened(EARLIER / "scene.blend")
    before = state(face)
    with pytest.raises(RuntimeError, match="vertices were edited"):
        bpy.ops.d3dmm.carry_over_face()
    assert state(face) == before
    assert bpy.ops.d3dmm.carry_over_face(discard_edits=True) == {"FINISHED"}
    check_carried(module, face, before)


def check_carried(module, face, before):
    """Compares a carried face with what it was and with the person of the earlier model."""
    model = module("detailed3dmm_addon.model.face_model")
    earlier = module("ml_backend.models.earlier_face").earlier_face()
    after = state(face)
    for same in before.keys() - {"shapes"}:
        assert after[same] == before[same], same
    assert set(after["shapes"]) == set(before["shapes"])
    assert model.is_current(face) and len(face.data.vertices) == model.dense_mesh().vertex_count
    assert face.d3dmm.directions["age"].value == pytest.approx(0.4)
    assert face.d3dmm.directions["nose_length"].value == pytest.approx(-0.5)
    keyed = [path for path, _, _ in after["object curves"] if path.startswith("d3dmm.")]
    assert keyed and all(face.path_resolve(path.removesuffix(".value")).name == "weight" for path in keyed)
    stored = module("ml_backend.files.face_file").read_face(EARLIER / "ada.json")
    present = model.face_model()
    shape, was = present.neutral(model.identity_of(face)), earlier.neutral(stored.identity)
    names = [name for name in earlier.marks if name in present.landmarks and len(earlier.marks[name]) == 1]
    middle = earlier.neutral(np.zeros_like(stored.identity))
    mine = np.array([(shape - present.mean)[present.landmarks[name][0]] for name in names])
    theirs = np.array([(was - middle)[earlier.marks[name][0]] for name in names])
    apart = 1000 * np.linalg.norm(theirs - mine, axis=1)
    print(f"off the average by what it was, up to {apart.mean():.2f} mm, {apart.max():.2f} at most")
    assert apart.mean() < 1.5 and np.corrcoef(mine.ravel(), theirs.ravel())[0, 1] > 0.8
    rest = model.dense_mesh().refine(shape)
    np.testing.assert_allclose(positions(face.data.shape_keys.key_blocks[0]), rest, atol=1e-6)
    moved = positions(face.data.shape_keys.key_blocks["jawOpen"]) - rest
    expected = model.dense_mesh().refine(
        present.shapes(model.identity_of(face))[1][present.expression_names.index("jawOpen")]
    )
    np.testing.assert_allclose(moved, expected, atol=2e-6)
    skin = face.vertex_groups["skin"].index
    members = sum(any(group.group == skin for group in vertex.groups) for vertex in face.data.vertices)
    assert members == (model.dense_parts() == present.part_names.index("skin")).sum()


def test_a_whole_face_plays_its_baked_wrinkles_as_before(module, other_model, whole_scene):
    face = opened(whole_scene)
    before, motion = state(face), played(face)
    smooth = positions(face.data.shape_keys.key_blocks[0])
    assert len(motion[0]) == smooth.size and "Made with an earlier face" in " ".join(draw_all(context()))
    face.d3dmm.show_detail = False
    plain = played(face)
    face.d3dmm.show_detail = True
    assert all(np.abs(mine - theirs).max() > 1e-5 for mine, theirs in zip(motion, plain, strict=True))
    for mine, theirs in zip(played(face), motion, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert state(face) == before


def test_a_whole_face_is_carried_over_with_what_the_artist_added(module, other_model, whole_scene):
    face = opened(whole_scene)
    keys = face.data.shape_keys.key_blocks
    rest = positions(keys[0])
    nose = rest[rest[:, 1].argmin()]
    bump = np.exp(-(((rest - nose) / 0.015) ** 2).sum(1))[:, None] * np.array([0, -0.01, 0], np.float32)
    added = face.shape_key_add(name="Long Nose", from_mix=False)
    added.data.foreach_set("co", (rest + bump).astype(np.float32).ravel())
    added.value = 0.5
    group = face.vertex_groups.new(name="Tip")
    group.add(np.flatnonzero(np.linalg.norm(rest - nose, axis=1) < 0.01).tolist(), 0.75, "REPLACE")
    driver = keys["cheekPuff"].driver_add("value").driver
    driver.expression = "0.25"
    bpy.context.view_layer.update()
    old_uv = uv_near(face.data, "UVMap", nose)
    before, motion = state(face), played(face)
    assert face.d3dmm.has_baked_detail and face.d3dmm.detail_source == "BAKED"
    assert bpy.ops.d3dmm.carry_over_face() == {"FINISHED"}
    assert not face.d3dmm.has_baked_detail and face.d3dmm.detail_source == "LIVE"
    picture = face.data.materials[0].node_tree.nodes["Place of the Picture"]
    assert picture.uv_map == "Earlier UVMap" and face.data.uv_layers.active.name == "UVMap"
    check_carried(module, face, before)
    keys = face.data.shape_keys.key_blocks
    now = positions(keys[0])
    tip = now[:, 1].argmin()
    offset = positions(keys["Long Nose"]) - now
    assert np.linalg.norm(offset, axis=1).max() == pytest.approx(0.01, abs=5e-4)
    assert -0.0102 < offset[tip, 1] < -0.0095 and keys["Long Nose"].value == pytest.approx(0.5)
    np.testing.assert_allclose(uv_near(face.data, "Earlier UVMap", now[tip]), old_uv, atol=0.015)
    own_uv = module("detailed3dmm_addon.model.face_model").dense_mesh().vertex_uv()[tip]
    np.testing.assert_allclose(uv_near(face.data, "UVMap", now[tip]), own_uv, atol=1e-5)
    weights = [
        g.weight for g in face.data.vertices[int(tip)].groups if g.group == face.vertex_groups["Tip"].index
    ]
    assert weights == [pytest.approx(0.75, abs=0.01)]
    assert face.data.shape_keys.animation_data.drivers[0].data_path == 'key_blocks["cheekPuff"].value'
    for mine, theirs in zip(played(face), motion, strict=True):  # the same head moves in the same way
        assert mine.reshape(-1, 3)[:, 2].max() == pytest.approx(theirs.reshape(-1, 3)[:, 2].max(), abs=0.012)
    face.d3dmm.directions["age"].value = 0.9
    assert not np.allclose(positions(keys[0]), now)


def test_carrying_over_is_one_undo_step_and_can_be_saved(module, other_model, tmp_path):
    face = opened(EARLIER / "scene.blend")
    bpy.ops.ed.undo_push(message="opened")
    count = len(face.data.vertices)
    assert bpy.ops.d3dmm.carry_over_face("EXEC_DEFAULT", True, discard_edits=True) == {"FINISHED"}
    assert len(bpy.data.objects["Ada"].data.vertices) != count
    path = tmp_path / "carried.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True)
    bpy.ops.ed.undo()
    assert len(bpy.data.objects["Ada"].data.vertices) == count
    face = opened(path)
    assert face.d3dmm.face_model == other_model.fingerprint()
    assert bpy.ops.d3dmm.random_face(seed=4) == {"FINISHED"}


@pytest.mark.parametrize("name", ["ada.json", "preset_character.json"])
def test_an_earlier_face_file_loads_into_a_face_of_another_model(module, other_model, name):
    assert bpy.ops.d3dmm.create_face(identity_seed=8, update_detail=False) == {"FINISHED"}
    face = bpy.context.active_object
    face.d3dmm.show_detail = False
    preset = module("detailed3dmm_addon.characters.face_file").read_preset(EARLIER / name)
    assert preset.note.startswith(f"{name} was made with an earlier face model: its person was carried over")
    assert bpy.ops.d3dmm.load_face(filepath=str(EARLIER / name)) == {"FINISHED"}
    model = module("detailed3dmm_addon.model.face_model")
    np.testing.assert_allclose(model.identity_of(face), preset.parameters.identity, atol=1e-4)
    assert face.d3dmm.directions["age"].value == pytest.approx(0.4) and face.d3dmm.wrinkle_seed == 31
    assert face.data.shape_keys.key_blocks["jawOpen"].value == pytest.approx(0.8)


def test_an_earlier_face_saves_itself_as_what_it_is(module, other_model, tmp_path):
    opened(EARLIER / "scene.blend")
    path = tmp_path / "again.json"
    assert bpy.ops.d3dmm.save_face(filepath=str(path), check_existing=False) == {"FINISHED"}
    again, first = (json.loads(file.read_text("utf-8")) for file in (path, EARLIER / "ada.json"))
    np.testing.assert_allclose(again["identity"], first["identity"], atol=1e-5)
    assert again["face_model"] == module("ml_backend.models.earlier_face").earlier_face().fingerprint


def test_an_earlier_clip_moves_a_face_of_any_model(module, other_model):
    assert bpy.ops.d3dmm.create_face(identity_seed=8, update_detail=False) == {"FINISHED"}
    face = bpy.context.active_object
    face.d3dmm.show_detail = False
    assert bpy.ops.d3dmm.import_curves(filepath=str(EARLIER / "clip.csv"), bake_detail=False) == {"FINISHED"}
    keys = face.data.shape_keys.animation_data.action
    names = {path for path, _, _ in curves(keys)}
    assert {'key_blocks["jawOpen"].value', 'key_blocks["browInnerUp"].value'} <= names
