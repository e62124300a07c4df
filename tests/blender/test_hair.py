"""Hair curves: they follow the skin, survive save, undo and copies, and stay out of eyes and head."""

import bpy
import numpy as np
import pytest
from scene_state import shown_points


@pytest.fixture
def thin(face, groom, settings):
    """A face without hair whose sliders ask for little, so that tests are quick; all of it is shown."""
    groom.remove_hair(face, ["brows", "lashes"])
    with settings.changes_held():
        for part in ("brows", "lashes", "scalp", "beard", "vellus"):
            sliders = getattr(face.d3dmm_hair, part)
            sliders.density = 0.05 if part not in ("brows", "lashes") else 1.0
            sliders.viewport = 1.0
    return face


def shown_skin(face) -> np.ndarray:
    bpy.context.view_layer.update()
    mesh = face.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    places = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", places.ravel())
    return places


def test_a_new_face_has_brows_and_lashes_unless_asked_not_to(groom):
    bpy.ops.d3dmm.create_face(identity_seed=3, update_detail=False)
    assert set(groom.hair_objects(bpy.context.active_object)) == {"brows", "lashes"}
    bpy.ops.d3dmm.create_face(identity_seed=4, update_detail=False, hair=False)
    assert groom.hair_objects(bpy.context.active_object) == {}


def test_a_new_face_wears_the_hair_that_random_hair_would_give_it(groom):
    bpy.ops.d3dmm.create_face(identity_seed=5, update_detail=False, suiting_hair=True)
    face = bpy.context.active_object
    parts = set(groom.hair_objects(face))
    values = [getattr(face.d3dmm_hair.scalp, name) for name in ("style", "length", "melanin", "grey")]
    assert {"brows", "lashes", "scalp"} <= parts
    bpy.ops.d3dmm.random_hair(seed=5)
    assert set(groom.hair_objects(face)) == parts
    assert values == [getattr(face.d3dmm_hair.scalp, name) for name in ("style", "length", "melanin", "grey")]


def test_another_person_wears_their_own_hair_unless_the_artist_chose_it(groom, module):
    looks = module("detailed3dmm_addon.hair.looks")
    bpy.ops.d3dmm.create_face(identity_seed=5, update_detail=False, suiting_hair=True)
    face = bpy.context.active_object
    assert looks.wears_suiting_hair(face, 5) and not looks.wears_suiting_hair(face, 6)
    bpy.ops.d3dmm.random_face(seed=6)
    assert looks.wears_suiting_hair(face, 6)
    drawn = face.d3dmm_hair.brows.redness
    face.d3dmm_hair.brows.redness = drawn + 0.2 if drawn < 0.5 else drawn - 0.2
    assert not looks.wears_suiting_hair(face, 6)
    face.d3dmm_hair.brows.redness = drawn
    assert looks.wears_suiting_hair(face, 6)
    other = "BOB" if face.d3dmm_hair.scalp.style != "BOB" else "LONG"
    face.d3dmm_hair.scalp.style = other
    bpy.ops.d3dmm.random_face(seed=7)
    assert face.d3dmm_hair.scalp.style == other and not looks.wears_suiting_hair(face, 7)


def test_add_hair_grows_each_part_as_a_child_of_the_face(thin, groom):
    assert bpy.ops.d3dmm.add_hair(parts={"brows", "lashes", "scalp", "beard", "vellus"}) == {"FINISHED"}
    grown = groom.hair_objects(thin)
    assert set(grown) == {"brows", "lashes", "scalp", "beard", "vellus"}
    for item in grown.values():
        assert item.type == "CURVES" and item.parent == thin and len(item.data.curves) > 100
    assert bpy.ops.d3dmm.remove_hair(parts={"beard"}) == {"FINISHED"}
    assert set(groom.hair_objects(thin)) == {"brows", "lashes", "scalp", "vellus"}


@pytest.mark.parametrize("part", ["brows", "scalp"])
def test_the_node_groups_do_what_numpy_does(thin, groom, module, part):
    strands_of = module("ml_backend.hair.strands")
    thin.d3dmm_hair.scalp.style = "WAVY"
    keys = thin.data.shape_keys.key_blocks
    item = groom.add_hair(thin, [part])[part]
    keys["browInnerUp"].value = 1.0
    keys["jawOpen"].value = 0.6
    strands = groom._grown(part, groom.hair_part(thin, part))
    rest = np.empty((len(thin.data.vertices), 3), np.float32)
    keys[0].points.foreach_get("co", rest.ravel())
    expected = strands_of.follow_face(strands, groom.mean_head(), shown_skin(thin), rest)
    assert np.abs(shown_points(item) - expected.reshape(-1, 3)).max() < 2e-5


def test_a_blink_moves_the_lashes_and_a_brow_raise_the_brows(thin, groom):
    grown = groom.add_hair(thin, ["brows", "lashes"])
    keys = thin.data.shape_keys.key_blocks
    before = {part: shown_points(item) for part, item in grown.items()}
    keys["eyeBlinkLeft"].value = 1.0
    moved = np.linalg.norm(shown_points(grown["lashes"]) - before["lashes"], axis=1)
    left = before["lashes"][:, 0] > 0
    assert np.quantile(moved[left], 0.8) > 0.006 and moved[~left].max() < 0.0005
    keys["eyeBlinkLeft"].value = 0.0
    keys["browInnerUp"].value = 1.0
    raised = shown_points(grown["brows"])[:, 2] - before["brows"][:, 2]
    assert np.quantile(raised, 0.7) > 0.001
    keys["browInnerUp"].value = 0.0
    assert np.allclose(shown_points(grown["lashes"]), before["lashes"], atol=1e-6)


def test_long_hair_hangs_still_while_the_jaw_opens_and_follows_another_person(thin, groom):
    thin.d3dmm_hair.scalp.style = "BOB"
    bob = groom.add_hair(thin, ["scalp"])["scalp"]
    before = shown_points(bob)
    thin.data.shape_keys.key_blocks["jawOpen"].value = 1.0
    assert np.abs(shown_points(bob) - before).max() < 0.002
    bpy.ops.d3dmm.random_face(seed=11)
    assert np.linalg.norm(shown_points(bob) - before, axis=1).mean() > 0.001


def test_sliders_grow_and_colour_at_once(thin, groom, module):
    names = module("detailed3dmm_addon.hair.hair_material")
    hair = groom.add_hair(thin, ["scalp"])["scalp"]
    short = shown_points(hair)
    thin.d3dmm_hair.scalp.length = 2.0
    assert np.abs(shown_points(hair) - short).max() > 0.003
    thin.d3dmm_hair.scalp.melanin = 0.4
    thin.d3dmm_hair.scalp.grey = 0.5
    nodes = hair.data.materials[0].node_tree.nodes
    assert nodes[names.MELANIN_NODE].outputs[0].default_value == pytest.approx(0.4)
    assert nodes[names.GREY_NODE].outputs[0].default_value == pytest.approx(0.5)
    solid = np.array(hair.data.materials[0].diffuse_color)
    thin.d3dmm_hair.scalp.grey = 0.0
    assert (np.array(hair.data.materials[0].diffuse_color)[:3] < solid[:3]).all()  # in solid shading too
    everything = len(shown_points(hair))
    thin.d3dmm_hair.scalp.viewport = 0.25
    assert len(shown_points(hair)) == pytest.approx(everything / 4, rel=0.02)
    assert len(hair.data.points) == everything


def test_the_same_sliders_grow_the_same_hair_and_a_seed_another(thin, groom):
    hair = groom.add_hair(thin, ["scalp"])["scalp"]
    first = shown_points(hair)
    groom.regrow(thin, "scalp")
    again = shown_points(hair)
    assert again.shape == first.shape and np.abs(again - first).max() < 1e-6, np.abs(again - first).max()
    thin.d3dmm_hair.scalp.seed = 5
    other = shown_points(hair)
    assert other.shape != first.shape or np.abs(other - first).max() > 0.005


def test_painted_hair_gives_way_and_comes_back(thin, groom):
    def painted(name):
        values = np.empty(len(thin.data.vertices), np.float32)
        thin.data.attributes[name].data.foreach_get("value", values)
        return values

    before = painted("d3dmm_brows"), painted("d3dmm_scalp")
    groom.add_hair(thin, ["brows"])
    assert painted("d3dmm_brows").max() < 0.5 * before[0].max()
    groom.remove_hair(thin, ["brows"])
    assert np.allclose(painted("d3dmm_brows"), before[0])
    assert np.allclose(painted("d3dmm_scalp"), before[1])


def test_the_skin_shows_between_grey_hair(thin, groom):
    def darkness():
        return thin.data.materials[0].node_tree.nodes["D3DMM Hair Roots"].outputs[0].default_value

    assert darkness() == 1
    groom.add_hair(thin, ["scalp"])
    thin.d3dmm_hair.scalp.grey = 0.0
    assert darkness() == 1
    thin.d3dmm_hair.scalp.grey = 1.0
    assert darkness() < 0.2
    groom.remove_hair(thin, ["scalp"])
    assert darkness() == 1


def test_hair_is_saved_and_loaded(thin, groom, tmp_path):
    grown = groom.add_hair(thin, ["brows", "scalp"])
    before = shown_points(grown["scalp"])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "haired.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "haired.blend"))
    loaded = groom.hair_objects(next(item for item in bpy.data.objects if item.d3dmm.is_face))
    assert set(loaded) == {"brows", "scalp"}
    assert np.allclose(shown_points(loaded["scalp"]), before, atol=1e-6)


@pytest.mark.parametrize("link", [False, True])
def test_hair_comes_along_with_a_face_from_another_file(thin, groom, tmp_path, link):
    grown = groom.add_hair(thin, ["brows"])
    before = shown_points(grown["brows"])
    name = thin.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "haired.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "haired.blend"), link=link) as (_source, wanted):
        wanted.objects = [name]
    face = wanted.objects[0]
    bpy.context.scene.collection.objects.link(face)
    brows = groom.hair_objects(face)["brows"]
    if brows.name not in bpy.context.scene.objects:
        bpy.context.scene.collection.objects.link(brows)
    assert np.allclose(shown_points(brows), before, atol=1e-6)


def test_undo_takes_hair_away_and_redo_brings_it_back(thin, groom):
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.d3dmm.add_hair(parts={"brows"})
    bpy.ops.ed.undo_push(message="hair")
    bpy.ops.ed.undo()
    face = next(item for item in bpy.data.objects if item.d3dmm.is_face)
    assert groom.hair_objects(face) == {}
    bpy.ops.ed.redo()
    face = next(item for item in bpy.data.objects if item.d3dmm.is_face)
    assert set(groom.hair_objects(face)) == {"brows"}


def test_looks_dress_a_face_and_random_hair_suits_it(thin, groom, module):
    looks = module("detailed3dmm_addon.hair.looks")
    assert bpy.ops.d3dmm.set_hair_look(look="SHAVED") == {"FINISHED"}
    assert thin.d3dmm_hair.beard.style == "GOATEE" and "beard" in groom.hair_objects(thin)
    assert bpy.ops.d3dmm.set_hair_look(look="CROPPED") == {"FINISHED"}
    assert thin.d3dmm_hair.scalp.style == "CROPPED"
    thin.d3dmm.age_offset = 3.0
    drawn = [looks.suiting_hair(thin, seed) for seed in range(8)]
    greys = [look.colour[2] for look in drawn]
    lengths = [look.numbers["scalp"]["length"] for look in drawn if "scalp" in look.styles]
    assert len(set(lengths)) > 1 and all(0.2 <= length <= 1.5 for length in lengths)
    thin.d3dmm.age_offset = -3.0
    assert np.mean(greys) > np.mean([looks.suiting_hair(thin, seed).colour[2] for seed in range(8)])


def test_a_face_file_keeps_hair_and_another_face_wears_it(thin, groom, tmp_path):
    path = tmp_path / "face.json"
    thin.d3dmm_hair.brows.style = "ARCHED"
    thin.d3dmm_hair.brows.melanin = 0.35
    shape = shown_points(groom.add_hair(thin, ["brows"])["brows"])
    assert bpy.ops.d3dmm.save_face(filepath=str(path)) == {"FINISHED"}
    thin.d3dmm_hair.brows.style = "THICK"
    groom.add_hair(thin, ["lashes", "scalp"])
    assert bpy.ops.d3dmm.load_face(filepath=str(path)) == {"FINISHED"}
    assert set(groom.hair_objects(thin)) == {"brows"}
    assert thin.d3dmm_hair.brows.style == "ARCHED"
    assert thin.d3dmm_hair.brows.melanin == pytest.approx(0.35)
    assert np.allclose(shown_points(groom.hair_objects(thin)["brows"]), shape, atol=1e-6)
    text = path.read_text().replace("ARCHED", "PLAITED")
    path.write_text(text)
    with pytest.raises(RuntimeError, match="PLAITED"):
        bpy.ops.d3dmm.load_face(filepath=str(path))


@pytest.mark.parametrize("kind", ["alembic", "usd"])
def test_hair_leaves_as_curves(thin, groom, tmp_path, kind):
    brows = groom.add_hair(thin, ["brows"])["brows"]
    thin.d3dmm_hair.brows.viewport = 0.1
    thin.data.shape_keys.key_blocks["browInnerUp"].value = 1.0
    thin.location = (0.0, 0.0, 0.0)
    before = set(bpy.data.objects)
    path = tmp_path / ("hair.abc" if kind == "alembic" else "hair.usdc")
    operator = getattr(bpy.ops.d3dmm, f"export_{kind}")
    plain = {"textures": False} if kind == "usd" else {}
    assert operator(filepath=str(path), scene_range=False, first_frame=1, last_frame=1, **plain) == {
        "FINISHED"
    }
    assert set(bpy.data.objects) == before
    if kind == "alembic":
        bpy.ops.wm.alembic_import(filepath=str(path), as_background_job=False)
    else:
        bpy.ops.wm.usd_import(filepath=str(path))
    read = [item for item in bpy.data.objects if item not in before and item.type in ("CURVES", "CURVE")]
    count = sum(len(item.data.curves if item.type == "CURVES" else item.data.splines) for item in read)
    assert count == len(brows.data.curves)


def test_wrinkles_move_short_hair_with_the_skin(thin, groom):
    brows = groom.add_hair(thin, ["brows"])["brows"]
    before = shown_points(brows)
    live = np.full(len(thin.data.vertices), 2.0, np.float32)
    thin.d3dmm.show_detail = True
    thin.data.attributes["d3dmm_live"].data.foreach_set("value", live)
    thin.data.update_tag()
    moved = np.linalg.norm(shown_points(brows) - before, axis=1)
    assert moved.mean() == pytest.approx(0.002, rel=0.3)
