"""Hair leaves as cards in glTF and FBX: meshes with a picture, which move as the strands do."""

import bpy
import numpy as np
import pytest
from exported_files import assert_same, census, read_back
from mathutils.kdtree import KDTree
from scene_state import evaluated, shown_points

PARTS = ["beard", "brows", "lashes", "scalp"]
ONE_FRAME = {"scene_range": False, "first_frame": 1, "last_frame": 1}
FROM_GLTF = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)


@pytest.fixture
def haired(face, groom, settings):
    """A face with few strands of every part, which raises its brows from frame 1 to 2."""
    with settings.changes_held():
        for part in ("scalp", "beard", "vellus"):
            getattr(face.d3dmm_hair, part).density = 0.05
            getattr(face.d3dmm_hair, part).viewport = 1.0
    groom.add_hair(face, ["brows", "lashes", "scalp", "beard", "vellus"])
    scene, key = bpy.context.scene, face.data.shape_keys.key_blocks["browInnerUp"]
    scene.frame_start, scene.frame_end, scene.render.fps = 1, 2, 25
    for frame in (1, 2):
        key.value = frame - 1.0
        key.keyframe_insert("value", frame=frame)
    scene.frame_set(1)
    return face


def moved_strands(face, groom, part: str) -> tuple[np.ndarray, np.ndarray]:
    """A part's points at rest and how far each moves until frame 2, (N, 3)."""
    item = groom.hair_objects(face)[part]
    rest = shown_points(item)
    bpy.context.scene.frame_set(2)
    moved = shown_points(item) - rest
    bpy.context.scene.frame_set(1)
    return rest, moved


def assert_like_strands(places, moved, strands, strands_moved) -> None:
    """Cards move within a millimetre of the strands beside them, and no card lies far from hair."""
    tree = KDTree(len(strands))
    for index, place in enumerate(strands.tolist()):
        tree.insert(place, index)
    tree.balance()
    near = [tree.find(place) for place in places.tolist()]
    apart = np.linalg.norm(moved - strands_moved[[entry[1] for entry in near]], axis=1)
    assert np.quantile([entry[2] for entry in near], 0.95) < 0.004
    assert apart.mean() < 0.0004 and np.quantile(apart, 0.99) < 0.001


def test_gltf_holds_cards_that_rise_with_the_brows(haired, groom, tmp_path):
    strands, strands_moved = moved_strands(haired, groom, "brows")
    assert strands_moved[:, 2].max() > 0.003
    before = census()
    path = tmp_path / "face.glb"
    done = bpy.ops.d3dmm.export_gltf(filepath=str(path), resolution="512", wrinkle_count=0, textures=False)
    assert done == {"FINISHED"}
    assert_same(before, census())
    assert [item.name for item in tmp_path.iterdir()] == ["face.glb"]
    read = read_back(path, tmp_path)
    assert read["hair"].tolist() == PARTS
    for part in PARTS:
        assert read[f"{part}_is_child"] and len(read[f"{part}_positions"]) > 100
        assert read[f"{part}_alpha"].tolist() == ["MASK", read[f"{part}_alpha"][1], "True"]
        assert float(read[f"{part}_alpha"][1]) == pytest.approx(0.35, abs=0.01)
        picture = read[f"{part}_picture"]
        assert picture.shape == (512, 512, 4) and 0.005 < (picture[..., 3] > 127).mean() < 0.95
        assert (
            picture[..., :3][picture[..., 3] == 0].mean()
            > 0.5 * picture[..., :3][picture[..., 3] > 200].mean()
        )
        assert read[f"{part}_uv"].min() >= 0 and read[f"{part}_uv"].max() <= 1
    names = read["brows_names"].tolist()
    rise = read["brows_targets"][names.index("browInnerUp")] @ FROM_GLTF
    assert_like_strands(read["brows_positions"] @ FROM_GLTF, rise, strands, strands_moved)
    assert np.linalg.norm(read["brows_targets"], axis=2).max(1).min() > 4e-5
    weights = read["brows_weights_values"].reshape(len(read["brows_weights_times"]), -1)
    assert weights[-1, names.index("browInnerUp")] == pytest.approx(1.0, abs=1e-4)
    assert "jawOpen" in read["beard_names"].tolist() and "eyeBlinkLeft" in read["lashes_names"].tolist()
    assert len(read["scalp_names"]) < 20


def test_fbx_holds_cards_that_rise_with_the_brows(haired, groom, tmp_path):
    strands, strands_moved = moved_strands(haired, groom, "brows")
    before = census()
    path = tmp_path / "face.fbx"
    done = bpy.ops.d3dmm.export_fbx(
        filepath=str(path), mesh="BASE", textures=False, resolution="512", detail=False
    )
    assert done == {"FINISHED"}
    assert_same(before, census())
    assert [item.name for item in tmp_path.iterdir()] == ["face.fbx"]
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.context.scene.render.fps = 25
    assert bpy.ops.import_scene.fbx(filepath=str(path), anim_offset=0.0) == {"FINISHED"}
    cards = {item.name.split()[-2].lower(): item for item in bpy.data.objects if "Cards" in item.name}
    assert sorted(cards) == PARTS
    for item in cards.values():
        assert item.parent is not None and item.parent.type == "MESH"
        (material,) = item.data.materials
        links = {link.to_socket.name: link.from_node for link in material.node_tree.links}
        for socket, spread in (("Alpha", 0.05), ("Base Color", 0.002)):
            image = links[socket].image
            values = np.empty(len(image.pixels), np.float32)
            image.pixels.foreach_get(values)
            channels = values.reshape(-1, 4)
            assert tuple(image.size) >= (512, 512)
            assert (channels[:, 3] if socket == "Alpha" else channels[:, 0]).std() > spread
        assert len(item.data.uv_layers) == 1
    brows, places = cards["brows"], []
    for frame in (1, 2):
        bpy.context.scene.frame_set(frame)
        matrix = np.array(brows.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world)
        places.append(evaluated(brows) @ matrix[:3, :3].T + matrix[:3, 3])
    assert_like_strands(places[0], places[1] - places[0], strands, strands_moved)


def test_without_hair_there_are_no_cards_and_vellus_has_none(haired, groom, tmp_path):
    groom.remove_hair(haired, ["brows", "lashes", "scalp", "beard"])
    path = tmp_path / "face.glb"
    bpy.ops.d3dmm.export_gltf(filepath=str(path), resolution="512", wrinkle_count=0, textures=False)
    assert read_back(path, tmp_path)["hair"].tolist() == []
    groom.add_hair(haired, ["lashes"])
    groom.hair_objects(haired)["lashes"].hide_render = True
    bpy.ops.d3dmm.export_gltf(filepath=str(path), resolution="512", wrinkle_count=0, textures=False)
    assert read_back(path, tmp_path)["hair"].tolist() == []


def test_the_report_tells_of_cards_and_of_what_is_left(haired, module, tmp_path):
    formats, stages = module("detailed3dmm_addon.export.formats"), module("detailed3dmm_addon.export.stage")
    with stages.export_stage(bpy.context, haired, 1, 1) as stage:
        said = formats.export_gltf(stage, tmp_path / "face.glb", True, 512, 0, False, lambda share: None)
    assert "hair as 4 meshes of cards" in said and "without vellus" in said


def test_cards_stand_where_the_hair_of_another_person_does(haired, groom, tmp_path):
    """Another identity and a sculpted shape move the hair; so they move its cards."""
    haired.d3dmm.coefficients[0].value, haired.d3dmm.coefficients[1].value = 2.0, -2.0
    path = tmp_path / "face.glb"
    options = {"resolution": "512", "wrinkle_count": 0, "textures": False, **ONE_FRAME}
    assert bpy.ops.d3dmm.export_gltf(filepath=str(path), **options) == {"FINISHED"}
    read = read_back(path, tmp_path)
    for part in ("brows", "scalp"):
        strands = shown_points(groom.hair_objects(haired)[part])
        places = read[f"{part}_positions"] @ FROM_GLTF
        distance = nearest_distance(places, strands)
        assert np.quantile(distance, 0.98) < 0.006 and distance.max() < 0.02
        assert np.quantile(nearest_distance(strands, places), 0.98) < 0.012


def nearest_distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Metres from each of points (N, 3) to the nearest of others (M, 3)."""
    tree = KDTree(len(others))
    for index, place in enumerate(others.tolist()):
        tree.insert(place, index)
    tree.balance()
    return np.array([tree.find(point)[2] for point in points.tolist()])


def test_a_bob_is_small(face, groom, tmp_path):
    """Cards and pictures of a whole bob with brows and lashes take less than 6 MB."""
    sizes = []
    options = {"resolution": "1024", "wrinkle_count": 0, "textures": False, **ONE_FRAME}
    for hair in (False, True):
        if hair:
            face.d3dmm_hair.scalp.style = "BOB"
            groom.add_hair(face, ["brows", "lashes", "scalp"])
        path = tmp_path / f"{hair}.glb"
        assert bpy.ops.d3dmm.export_gltf(filepath=str(path), **options) == {"FINISHED"}
        sizes.append(path.stat().st_size)
    print(f"cards and pictures of a bob: {(sizes[1] - sizes[0]) / 1e6:.2f} MB")
    assert 1e6 < sizes[1] - sizes[0] < 6e6
