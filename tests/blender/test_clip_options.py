"""Clips without a worker: curve files, layers, gains, targets, fewer keys, bones, a second bake."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from arkit_mesh import arkit_mesh
from checking_layout import context, draw_all

FRAMES, FIRST = 24, 10


@pytest.fixture
def clip_of(module):
    """Makes a clip with three layers on a target, as the worker's answer would."""
    clips, targets = module("detailed3dmm_addon.clips.clip"), module("detailed3dmm_addon.clips.targets")
    names = module("ml_backend.expression_names").EXPRESSION_NAMES

    def make(target, replaces=False, scale=1.0, first_frame=FIRST):
        time = np.arange(FRAMES) / 24
        speech, blinks, head = (
            np.zeros((FRAMES, 52), np.float32),
            np.zeros((FRAMES, 52), np.float32),
            np.zeros((FRAMES, 9), np.float32),
        )
        speech[:, names.index("jawOpen")] = scale * 0.25 * (1 - np.cos(2 * np.pi * 3 * time))
        speech[:, names.index("browInnerUp")] = 0.1
        blinks[8:12, names.index("eyeBlinkLeft")] = 0.7
        blinks[:, names.index("browInnerUp")] = 0.2
        head[:, 0] = 0.2 * np.sin(2 * np.pi * time)
        head[:, 1] = 0.1
        made = clips.ClipAnimation(
            target=targets.TargetName.of(target),
            source=module("detailed3dmm_addon.clips.clip_sources").SpeechSource(Path("clip.wav")),
            place=clips.ClipPlace(24.0, first_frame, with_detail=False, replaces=replaces),
        )
        none = np.zeros_like(head)
        layers = {
            "speech": (speech, none),
            "blinks": (blinks, none),
            "head": (np.zeros_like(speech), head),
        }
        made.take(module("detailed3dmm_addon.clips.clip_sources").ClipCurves(layers))
        return made

    return make


@pytest.fixture
def light(module):
    """Returns a triangle with ARKit's shape keys that turns as its own head: a light face."""
    other = arkit_mesh(module("ml_backend.expression_names").EXPRESSION_NAMES)
    other.d3dmm_animation.head_object = other
    return other


def played(target, names, frames=range(FIRST, FIRST + FRAMES)):
    """Values of shape keys and the object's rotation, frame by frame."""
    rows = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        keys = target.data.shape_keys.key_blocks
        rows.append([*(keys[name].value for name in names), *target.rotation_euler])
    return np.array(rows)


NAMES = ("jawOpen", "browInnerUp", "eyeBlinkLeft", "mouthClose")


def test_every_destination_plays_the_same(face, clip_of):
    face.rotation_euler.z = 0.3
    scene, seen = bpy.context.scene, {}
    for destination in ("ACTION", "NLA", "LAYERS"):
        face.d3dmm_animation.destination = destination
        clip_of(face, replaces=True).put_into_scene(scene, None)
        seen[destination] = played(face, NAMES)
    assert np.ptp(seen["ACTION"][:, 0]) > 0.4 and seen["ACTION"][9, 2] == pytest.approx(0.7, abs=1e-5)
    assert np.allclose(seen["ACTION"][:, 1], 0.3, atol=1e-5)
    assert seen["ACTION"][6, 6] == pytest.approx(0.5, abs=0.01) and np.allclose(
        seen["ACTION"][:, 4], -0.1, atol=1e-5
    )
    assert np.allclose(seen["NLA"], seen["ACTION"], atol=1e-5) and np.allclose(
        seen["LAYERS"], seen["ACTION"], atol=1e-5
    )
    tracks = face.data.shape_keys.animation_data.nla_tracks
    assert [track.name for track in tracks] == ["D3DMM Speech", "D3DMM Blinks"]
    assert [track.name for track in face.animation_data.nla_tracks] == ["D3DMM Head"]
    assert len(bpy.data.actions) == 3, "what was replaced is still in the file"
    tracks[1].mute = True
    assert np.allclose(played(face, NAMES)[:, 2], 0, atol=1e-6)
    assert bpy.ops.d3dmm.clear_animation() == {"FINISHED"}
    assert not len(face.data.shape_keys.animation_data.nla_tracks) and face.rotation_euler.z == pytest.approx(
        0.3
    )


def test_a_second_bake_replaces_only_what_it_made_itself(light, clip_of):
    keys, scene = light.data.shape_keys, bpy.context.scene
    keys.key_blocks["cheekPuff"].keyframe_insert("value", frame=5)
    artists = keys.animation_data.action
    light.location.x = 2.0
    light.keyframe_insert("location", index=0, frame=FIRST)
    moved = light.animation_data.action
    clip_of(light).put_into_scene(scene, None)
    assert artists.use_fake_user and moved.use_fake_user and keys.animation_data.action != artists
    before = len(bpy.data.actions)
    clip_of(light, replaces=True, scale=0.5).put_into_scene(scene, None)
    assert len(bpy.data.actions) == before and {artists.name, moved.name} <= set(bpy.data.actions.keys())
    assert played(light, NAMES)[:, 0].max() == pytest.approx(0.25, abs=0.01)
    assert light.location.x == pytest.approx(2.0), "the artist's own curves go on"
    animation = keys.animation_data.action
    animation.name = "touched by hand"
    curve = next(c for c in module_curves(keys) if "jawOpen" in c.data_path)
    curve.keyframe_points[3].co[1] = 0.9
    done = clip_of(light, replaces=True).put_into_scene(scene, None)
    assert (
        "touched by hand" in bpy.data.actions
        and bpy.data.actions["touched by hand"].use_fake_user
        and "touched by hand" in done
    )
    assert keys.animation_data.action.name != "touched by hand"


def module_curves(owner):
    """The curves of an owner's action in every version."""
    data = owner.animation_data
    if not hasattr(data.action, "slots"):
        return list(data.action.fcurves)
    return list(data.action.layers[0].strips[0].channelbag(data.action_slot).fcurves)


def test_curves_that_the_artist_adds_to_our_action_go_on(light, clip_of):
    keys, scene = light.data.shape_keys, bpy.context.scene
    clip_of(light).put_into_scene(scene, None)
    keys.key_blocks["tongueOut"].value = 0.0
    missing = [c for c in module_curves(keys) if "tongueOut" in c.data_path]
    assert missing, "every expression is keyed"
    modifier = light.keyframe_insert("scale", index=0, frame=FIRST)
    assert modifier
    clip_of(light, replaces=True).put_into_scene(scene, None)
    assert any(c.data_path == "scale" for c in module_curves(light))


def test_an_edited_layer_stays_muted_beside_the_new_one(light, clip_of):
    scene, keys = bpy.context.scene, light.data.shape_keys
    light.d3dmm_animation.destination = "LAYERS"
    clip_of(light).put_into_scene(scene, None)
    blinks = keys.animation_data.nla_tracks[1].strips[0].action
    bag = (
        blinks.fcurves
        if not hasattr(blinks, "slots")
        else blinks.layers[0].strips[0].channelbag(blinks.slots[0]).fcurves
    )
    bag[0].keyframe_points[0].co[1] = 0.4
    clip_of(light, replaces=True).put_into_scene(scene, None)
    tracks = keys.animation_data.nla_tracks
    assert [track.name for track in tracks].count("D3DMM Speech") == 1 and blinks.name in bpy.data.actions
    assert [strip.mute for track in tracks for strip in track.strips if strip.action == blinks] == [True]
    assert played(light, NAMES)[9, 2] == pytest.approx(0.7, abs=1e-5)


def test_a_second_clip_later_in_time_shares_the_tracks(light, clip_of):
    scene = bpy.context.scene
    light.d3dmm_animation.destination = "LAYERS"
    clip_of(light).put_into_scene(scene, None)
    later = clip_of(light, scale=0.5, first_frame=100)
    later.put_into_scene(scene, None)
    assert [len(track.strips) for track in light.data.shape_keys.animation_data.nla_tracks] == [2, 2]
    assert played(light, NAMES)[:, 0].max() == pytest.approx(0.5, abs=0.02)
    assert played(light, NAMES, range(100, 124))[:, 0].max() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("tolerance", [0.002, 0.02])
def test_fewer_keys_stay_within_the_error_that_is_stated(light, clip_of, tolerance):
    scene, keys = bpy.context.scene, light.data.shape_keys
    clip_of(light).put_into_scene(scene, None)
    every = played(light, NAMES)
    full = sum(len(curve.keyframe_points) for curve in module_curves(keys))
    light.d3dmm_animation.key_error = tolerance
    done = clip_of(light, replaces=True).put_into_scene(scene, None)
    assert (
        sum(len(curve.keyframe_points) for curve in module_curves(keys)) < 0.25 * full
        and "error at most" in done
    )
    assert np.abs(played(light, NAMES) - every).max() <= tolerance * 1.01


def test_gains_and_offset_are_applied_and_lips_stay_closed(light, clip_of, module):
    editing, scene = module("ml_backend.animation.curve_editing"), bpy.context.scene
    clip_of(light).put_into_scene(scene, None)
    every = played(light, NAMES)
    settings = light.d3dmm_animation
    settings.gain_jaw, settings.gain_eyes, settings.gain_head, settings.offset = 1.5, 0.5, 0.0, 2.0
    clip = clip_of(light, replaces=True)
    clip.put_into_scene(scene, None)
    changed = played(light, NAMES)
    assert np.allclose(changed[2:, 2], 0.5 * every[:-2, 2], atol=1e-5) and not changed[:, 4:].any()
    assert changed[:, 0].max() == pytest.approx(0.75, abs=0.01)
    closed = editing.lip_gap(clip_of(light).frames()) < 0.5
    assert editing.lip_gap(clip.frames())[closed].max() < 1.0


@pytest.mark.parametrize(
    "style",
    [
        "jawOpen eyeBlinkLeft",
        "JawOpen EyeBlinkLeft",
        "jaw_open eyeBlink_L",
        "A25_Jaw_Open A14_Eye_Blink_Left",
        "blendShape1.jawOpen blendShape1.eyeBlinkLeft",
        "Head:jawOpen Head:eyeBlinkL",
    ],
)
def test_any_mesh_with_arkits_names_is_a_target(module, tmp_path, style):
    targets, curves = module("detailed3dmm_addon.clips.targets"), module("ml_backend.files.curve_file")
    names = module("ml_backend.expression_names").EXPRESSION_NAMES
    jaw, blink = style.split()
    other = arkit_mesh(
        [jaw, blink, *(name for name in names if name.startswith("brow") or "Smile" in name), "somethingElse"]
    )
    found = module("detailed3dmm_addon.model.arkit_keys").expression_keys(other.data)
    assert found["jawOpen"] == [jaw] and found["eyeBlinkLeft"] == [blink] and targets.is_target(other)
    frames = np.zeros((12, 52), np.float32)
    frames[:, names.index("jawOpen")] = np.linspace(0, 1, 12)
    frames[:, names.index("eyeBlinkLeft")] = 0.5
    curves.write_csv(
        tmp_path / "take.csv", curves.Animation(30.0, names, frames, np.zeros((12, 9), np.float32))
    )
    bpy.context.scene.render.fps = 30
    assert bpy.ops.d3dmm.import_curves(filepath=str(tmp_path / "take.csv")) == {"FINISHED"}
    bpy.context.scene.frame_set(12)
    keys = other.data.shape_keys.key_blocks
    assert keys[jaw].value == pytest.approx(1, abs=1e-5) and keys[blink].value == pytest.approx(0.5, abs=1e-5)
    assert bpy.ops.d3dmm.clear_animation() == {"FINISHED"} and keys[jaw].value == 0


def test_a_key_for_both_sides_shows_their_mean_and_two_keys_show_one_expression(module):
    names = module("ml_backend.expression_names").EXPRESSION_NAMES
    other = arkit_mesh(["eyeBlink", "cheekPuff_L", "cheekPuff_R", "jawOpen"])
    frames = np.zeros((3, 52), np.float32)
    for name, value in (("eyeBlinkLeft", 0.2), ("eyeBlinkRight", 0.6), ("cheekPuff", 0.5)):
        frames[:, names.index(name)] = value
    curves = module("detailed3dmm_addon.clips.targets").expression_curves(other, frames, False)
    assert {path: pytest.approx(float(values[0])) for (path, _), values in curves.items()} == {
        'key_blocks["eyeBlink"].value': 0.4,
        'key_blocks["cheekPuff_L"].value': 0.5,
        'key_blocks["cheekPuff_R"].value': 0.5,
    }


def test_a_mesh_without_them_is_none(module):
    arkit_mesh(["jawOpen", "smile", "frown"])
    assert not bpy.ops.d3dmm.import_curves.poll() and not bpy.ops.d3dmm.import_audio.poll()


def csv_take(module, path, fps=30.0, count=60):
    curves = module("ml_backend.files.curve_file")
    names = module("ml_backend.expression_names").EXPRESSION_NAMES
    frames = np.zeros((count, 52), np.float32)
    time = np.arange(count) / fps
    frames[:, names.index("jawOpen")] = 0.3 + 0.3 * np.sin(2 * np.pi * time)
    frames[:, names.index("browInnerUp")] = np.clip(time, 0, 1)
    head = np.zeros((count, 9), np.float32)
    head[:, 0], head[:, 2] = 0.2, -0.1
    head[:, 3] = head[:, 6] = -0.3  # both eyes to the person's left
    curves.write_csv(path, curves.Animation(fps, names, frames, head))


def test_live_link_face_at_another_rate_with_head_and_eyes(face, module, tmp_path):
    csv_take(module, tmp_path / "take.csv")
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start = 24, 5
    assert bpy.ops.d3dmm.import_curves(filepath=str(tmp_path / "take.csv"), bake_detail=False) == {"FINISHED"}
    keys = face.data.shape_keys.key_blocks
    assert tuple(face.data.shape_keys.animation_data.action.frame_range) == (5, 52)
    scene.frame_set(5 + 12)
    assert keys["browInnerUp"].value == pytest.approx(0.5, abs=1e-4)
    assert (
        keys["eyeLookOutLeft"].value == pytest.approx(keys["eyeLookInRight"].value)
        and keys["eyeLookOutLeft"].value > 0.3
    )
    assert face.rotation_euler.z == pytest.approx(0.2, abs=1e-5) and face.rotation_euler.y == pytest.approx(
        -0.1, abs=1e-5
    )
    scene.frame_end = 52
    assert bpy.ops.d3dmm.export_curves(filepath=str(tmp_path / "back.csv")) == {"FINISHED"}
    curves = module("ml_backend.files.curve_file")
    back, take = curves.read_curves(tmp_path / "back.csv"), curves.read_curves(tmp_path / "take.csv")
    jaw, brow = (take.names.index(name) for name in ("jawOpen", "browInnerUp"))
    assert back.fps == 24 and len(back.frames) == 48
    for column in (jaw, brow):
        assert np.allclose(
            back.frames[:, column],
            np.interp(np.arange(48) / 24, np.arange(60) / 30, take.frames[:, column]),
            atol=1e-4,
        )
    assert np.allclose(back.head[:, :3], [0.2, 0.0, -0.1], atol=2e-3) and np.allclose(
        back.head[:, [3, 6]], -0.3, atol=1e-3
    )
    face.d3dmm_animation.gain_brows = 0.5
    assert bpy.ops.d3dmm.update_animation() == {"FINISHED"}
    scene.frame_set(5 + 12)
    assert keys["browInnerUp"].value == pytest.approx(0.25, abs=1e-4)


def test_wrinkles_come_with_a_curve_file_and_with_nla_strips_without_a_backend(
    wrinkled, module, tmp_path, no_worker
):
    csv_take(module, tmp_path / "take.csv", count=20)
    scene, settings = bpy.context.scene, wrinkled.d3dmm_animation
    scene.render.fps = 30
    settings.destination = "LAYERS"
    assert bpy.ops.d3dmm.import_curves(filepath=str(tmp_path / "take.csv")) == {"FINISHED"}
    assert wrinkled.d3dmm.detail_source == "BAKED"
    assert [track.name for track in wrinkled.animation_data.nla_tracks] == ["D3DMM Curves", "D3DMM Wrinkles"]

    def coefficient():
        modifier = wrinkled.modifiers["D3DMM Detail"]
        path = module("detailed3dmm_addon.nodes.modifier_inputs").input_path(modifier, "Coefficient 0")
        return wrinkled.path_resolve(f'modifiers["D3DMM Detail"]{path}')

    before = []
    for frame in (1, 20):
        scene.frame_set(frame)
        before.append(coefficient())
    assert abs(before[0] - before[1]) > 1e-4, "the wrinkles do not move"
    assert bpy.ops.d3dmm.bake_detail(without_backend=True) == {"FINISHED"}
    after = []
    for frame in (1, 20):
        scene.frame_set(frame)
        after.append(coefficient())
    assert (
        abs(abs(after[0] - after[1]) - abs(before[0] - before[1])) < 0.05 * abs(before[0] - before[1]) + 1e-4
    )
    assert bpy.ops.d3dmm.update_animation() == {"FINISHED"} and len(wrinkled.animation_data.nla_tracks) == 2


@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ"])
def test_the_head_can_be_a_bone(light, clip_of, mode):
    data = bpy.data.armatures.new("Rig")
    rig = bpy.data.objects.new("Rig", data)
    bpy.context.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bone = data.edit_bones.new("head")
    bone.head, bone.tail, bone.roll = (0, 0, 0), (0, 0.2, 1), 0.7
    bpy.ops.object.mode_set(mode="OBJECT")
    rig.pose.bones["head"].rotation_mode = mode
    bpy.context.view_layer.objects.active = light
    settings = light.d3dmm_animation
    settings.head_object, settings.head_bone = rig, "head"
    clip_of(light).put_into_scene(bpy.context.scene, None)
    bpy.context.scene.frame_set(FIRST + 6)
    assert not any(light.rotation_euler), "the mesh turns as well"
    pose = rig.pose.bones["head"]
    turn = (pose.matrix.to_3x3() @ pose.bone.matrix_local.to_3x3().inverted()).to_euler("XYZ")
    assert np.allclose(turn, (-0.1, 0.0, 0.2), atol=5e-3)
    settings.head_bone = "neck"
    with pytest.raises(Exception, match="neck"):
        clip_of(light).put_into_scene(bpy.context.scene, None)


@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ"])
def test_eye_bones_look_where_the_actor_looks(light, module, tmp_path, mode):
    """A take of an actor who looks to the left and up, with the signs of Live Link Face."""
    data = bpy.data.armatures.new("Rig")
    rig = bpy.data.objects.new("Rig", data)
    bpy.context.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, x in (("eye_left", 0.03), ("eye_right", -0.03)):
        bone = data.edit_bones.new(name)
        bone.head, bone.tail = (x, 0.0, 0.0), (x, -0.1, 0.0)  # looks along -Y, as the face
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.context.view_layer.objects.active = light
    settings = light.d3dmm_animation
    settings.head_object = rig
    settings.eye_bone_left, settings.eye_bone_right = "eye_left", "eye_right"
    for bone in rig.pose.bones:
        bone.rotation_mode = mode
    rows = [f"10:20:30:{frame:02d}.000,61,0.5,0.5,0.3,-0.3,-0.2,-0.3,-0.2" for frame in range(30)]
    titles = "EyeLookOutLeft,EyeLookInRight,EyeLookUpLeft,LeftEyeYaw,LeftEyePitch,RightEyeYaw,RightEyePitch"
    (tmp_path / "take.csv").write_text("\n".join([f"Timecode,BlendShapeCount,{titles}", *rows]))
    assert bpy.ops.d3dmm.import_curves(filepath=str(tmp_path / "take.csv"), bake_detail=False) == {"FINISHED"}
    bpy.context.scene.frame_set(bpy.context.scene.frame_start + 5)
    for bone in rig.pose.bones:
        gaze = bone.tail - bone.head  # the person's left is +X, up is +Z
        assert gaze.x > 0.02 and gaze.z > 0.01 and gaze.y < 0


def test_a_curve_file_that_is_none_changes_nothing(light, tmp_path):
    for name, text in (("a.csv", "hello"), ("b.json", "{}"), ("c.txt", "x"), ("d.csv", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(RuntimeError, match=name):
            bpy.ops.d3dmm.import_curves(filepath=str(tmp_path / name))
    assert not bpy.data.actions and not bpy.ops.d3dmm.update_animation.poll()


def test_emotions_are_added_and_removed(light, module):
    bpy.context.scene.frame_set(33)
    assert bpy.ops.d3dmm.add_emotion() == {"FINISHED"} and bpy.ops.d3dmm.add_emotion() == {"FINISHED"}
    settings = light.d3dmm_animation
    settings.emotions[1].emotion, settings.emotions[1].frame = "anger", 57
    asked = settings.request(4, 33, 24.0)
    assert asked["emotions"] == [(0.0, "joy", pytest.approx(0.6)), (1.0, "anger", pytest.approx(0.6))]
    assert asked["seeds"]["blinks"] == 4 and asked["breath"] == 1
    assert set(module("detailed3dmm_addon.clips.settings").EMOTION_NAMES) >= {"joy", "neutral"}
    assert bpy.ops.d3dmm.remove_emotion(index=0) == {"FINISHED"} and settings.emotions[0].emotion == "anger"
    with pytest.raises(RuntimeError):
        bpy.ops.d3dmm.remove_emotion(index=7)


def test_the_voice_gives_an_emotion_where_none_is_chosen(light, module):
    settings = light.d3dmm_animation
    assert "voice_emotion" not in settings.request(0, 1, 24.0)
    settings.voice_emotion = "joy"
    assert settings.request(0, 1, 24.0)["voice_emotion"] == "joy"
    names = {item.identifier for item in settings.bl_rna.properties["voice_emotion"].enum_items}
    voice = module("ml_backend.animation.voice_emotion")
    assert names == {"none", *voice.VOICE_EMOTIONS}
    bpy.ops.d3dmm.add_emotion()
    assert "voice_emotion" not in settings.request(0, 1, 24.0)


def test_a_transcript_goes_with_its_language(light, module, tmp_path):
    settings = light.d3dmm_animation
    languages = {item.identifier for item in settings.bl_rna.properties["language"].enum_items}
    assert languages == set(module("ml_backend.phonetics.spelling.languages").TRANSCRIPT_LANGUAGES)
    source = module("detailed3dmm_addon.clips.clip_sources").SpeechSource(tmp_path / "a.wav")
    assert "transcript" not in next(source.curves(settings, 1, 24.0))[2]
    (tmp_path / "a.txt").write_text("Guten Morgen", "utf-8")
    settings.transcript, settings.language = str(tmp_path / "a.txt"), "de"
    asked = next(source.curves(settings, 1, 24.0))[2]
    assert asked["transcript"] == "Guten Morgen" and asked["language"] == "de"
    assert {"Transcript", "Language", "From Voice"} <= set(draw_all(context()))
    settings.transcript = str(tmp_path / "none.txt")
    with pytest.raises(module("ml_backend.errors").UserError, match=r"none\.txt"):
        next(source.curves(settings, 1, 24.0))


def test_the_panel_shows_layers_emotions_and_bones(light):
    assert bpy.ops.d3dmm.add_emotion() == {"FINISHED"}
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    light.d3dmm_animation.head_object = rig
    said = draw_all(context())
    assert {
        "Import Audio",
        "Animate Sound Strip",
        "Import Curves",
        "Update",
        "Jaw",
        "Lips",
        "Smoothing",
        "Breath",
        "Head Bone",
    } <= set(said)
    assert {"Add Emotion", "Bake To", "Key Error", "Encoder"} <= set(said)
    other = arkit_mesh([key.name for key in light.data.shape_keys.key_blocks if key.name.startswith("mouth")])
    assert bpy.context.active_object == other and "Import Curves" in draw_all(context())


def test_save_and_undo_keep_the_settings(light, clip_of, tmp_path):
    light.d3dmm_animation.gain_jaw = 1.25
    clip_of(light).put_into_scene(bpy.context.scene, None)
    name = light.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    light = bpy.data.objects[name]
    assert light.d3dmm_animation.gain_jaw == 1.25 and light.d3dmm_animation.source == "clip.wav"
    clip_of(light, replaces=True).put_into_scene(bpy.context.scene, None)
    assert len([action for action in bpy.data.actions if action.get("d3dmm")]) == 2


@pytest.mark.parametrize("destination", ["ACTION", "NLA"])
def test_an_nla_in_tweak_mode_is_told_before_anything_is_touched(light, clip_of, module, destination):
    keys, scene = light.data.shape_keys, bpy.context.scene
    light.d3dmm_animation.destination = "NLA"
    clip_of(light).put_into_scene(scene, None)
    data = keys.animation_data
    data.nla_tracks[0].strips[0].select = True
    data.nla_tracks.active = data.nla_tracks[0]
    data.use_tweak_mode = True
    assert data.use_tweak_mode
    light.d3dmm_animation.destination = destination
    before = set(bpy.data.actions), len(sound_strips(scene)), scene.frame_end
    errors = module("ml_backend.errors")
    for replaces in (False, True):
        with pytest.raises(errors.UserError, match="tweak"):
            clip_of(light, replaces=replaces).put_into_scene(scene, None)
        with pytest.raises(errors.UserError, match="tweak"):
            clip_of(light, replaces=replaces).check()
    with pytest.raises(RuntimeError, match="tweak"):
        bpy.ops.d3dmm.clear_animation()
    assert (set(bpy.data.actions), len(sound_strips(scene)), scene.frame_end) == before
    data.use_tweak_mode = False


def sound_strips(scene):
    editor = scene.sequence_editor
    return [] if editor is None else list(editor.strips if hasattr(editor, "strips") else editor.sequences)


def make_still(target, name, kind):
    keys = target.data.shape_keys
    if kind == "driven":
        keys.key_blocks[name].driver_add("value").driver.expression = "0.25"
    elif kind == "muted":
        keys.key_blocks[name].mute = True
    elif kind == "basis":
        keys.key_blocks[name].data[0].co.z = 0.0


@pytest.mark.parametrize("kind", ["driven", "muted", "basis"])
def test_keys_that_cannot_move_are_named(light, clip_of, module, kind):
    make_still(light, "jawOpen", kind)
    report = clip_of(light).put_into_scene(bpy.context.scene, None)
    problem = module("detailed3dmm_addon.worker.jobs").problem
    assert f"does not move: jawOpen ({kind}" in report.replace("it has the shape of its basis", "basis")
    assert "jawOpen" in problem.message and "eyeBlinkLeft" not in problem.message and problem.remedy
    assert played(light, NAMES)[9, 2] == pytest.approx(0.7, abs=1e-5)


def test_a_mesh_of_which_no_key_can_move_is_refused_and_left_alone(light, clip_of, module):
    errors = module("ml_backend.errors")
    light.data.shape_keys.use_relative = False
    with pytest.raises(errors.UserError, match="absolute"):
        clip_of(light).put_into_scene(bpy.context.scene, None)
    light.data.shape_keys.use_relative = True
    light.show_only_shape_key = True
    with pytest.raises(errors.UserError, match="pinned"):
        clip_of(light).put_into_scene(bpy.context.scene, None)
    assert not bpy.data.actions and bpy.context.scene.frame_end == 250


def test_slider_ranges_are_widened_to_the_clip(light, clip_of):
    key = light.data.shape_keys.key_blocks["jawOpen"]
    key.slider_min, key.slider_max = 0.2, 0.3
    report = clip_of(light, scale=3.0).put_into_scene(bpy.context.scene, None)
    seen = played(light, NAMES)[:, 0]
    assert "does not move" not in report and seen.min() == pytest.approx(0, abs=1e-5)
    assert seen.max() > 1.2 and key.slider_max == pytest.approx(seen.max(), abs=1e-4)


def test_what_another_animation_overrides_is_told(light, clip_of, module):
    scene, keys = bpy.context.scene, light.data.shape_keys
    light.d3dmm_animation.destination = "NLA"
    clip_of(light).put_into_scene(scene, None)
    keys.animation_data.nla_tracks[0].is_solo = True
    light.d3dmm_animation.destination = "ACTION"
    module("detailed3dmm_addon.worker.jobs").clear_problem()
    report = clip_of(light, scale=0.1).put_into_scene(scene, None)
    assert "jawOpen" in report and "another animation" in report
