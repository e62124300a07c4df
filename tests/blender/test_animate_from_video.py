"""Videos on faces: the real worker on a painted actor, and takes that are solved already."""

import os
import shutil
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest
from arkit_mesh import arkit_mesh
from checking_layout import context, draw_all
from scene_state import evaluated

FRAMES, RATE = 30, 30.0
MARKED = {3: "doubtful", 4: "doubtful", 12: "held", 13: "held", 14: "held", 15: "doubtful"}


def strips():
    """The scene's strips, under the names of every version."""
    editor = bpy.context.scene.sequence_editor
    return [] if editor is None else list(editor.strips if hasattr(editor, "strips") else editor.sequences)


def scene_of(target):
    """Everything that must not change when an import fails, and come back when it is taken back."""
    scene, keys = bpy.context.scene, target.data.shape_keys
    return (
        sorted((strip.name, strip.type) for strip in strips()),
        sorted((marker.name, marker.frame) for marker in scene.timeline_markers),
        keys.animation_data and keys.animation_data.action and keys.animation_data.action.name,
        (scene.frame_end, scene.render.resolution_x, scene.camera and scene.camera.name),
        sorted(item.name for item in bpy.data.objects),
        [round(key.value, 5) for key in keys.key_blocks],
        "d3dmm_take" in target,
        [round(angle, 5) for angle in target.rotation_euler],
    )


def played(target, key, frames):
    """Values of a shape key, frame by frame."""
    values = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        values.append(target.data.shape_keys.key_blocks[key].value)
    return np.array(values)


@pytest.fixture
def take(module):
    """A second of a performance at 30 frames a second: the jaw swings, the head turns, the eyes look left."""
    names = module("ml_backend.expression_names").EXPRESSION_NAMES
    view = module("ml_backend.geometry.camera_view")
    model = module("detailed3dmm_addon.model.face_model").face_model()
    seconds = np.arange(FRAMES) / RATE
    raw = np.zeros((FRAMES, 52), np.float32)
    raw[:, names.index("jawOpen")] = 0.3 - 0.3 * np.cos(2 * np.pi * seconds)
    raw[:, names.index("browInnerUp")] = 0.4 + 0.1 * (-1.0) ** np.arange(FRAMES)
    raw[:, names.index("eyeLookOutLeft")] = 0.5
    head = np.zeros((FRAMES, 9), np.float32)
    head[:, 0] = 0.3 * np.sin(2 * np.pi * seconds)
    turns = [view.FRONTAL @ view.rotation_about(2, yaw) for yaw in head[:, 0]]
    return module("ml_backend.files.take_file").Take(
        seconds,
        raw,
        head,
        np.ones((FRAMES, 52), np.float32),
        np.array(turns),
        np.tile([0.02, 0.01, 0.8], (FRAMES, 1)) + np.outer(seconds, [0.03, 0, 0]),
        tuple(MARKED.get(index, "seen") for index in range(FRAMES)),
        ("tongueOut", "cheekPuff"),
        {"focal": 900.0, "column": 310.0, "row": 250.0, "width": 640.0, "height": 480.0},
        np.zeros(model.identity_size, np.float32),
        model.fingerprint(),
        (0,),
        ("3 frames show no face and are held",),
        "actor.mp4",
    )


@pytest.fixture
def solved(module, take, tmp_path):
    """Puts the take onto a target as the worker's answer would."""
    clips, video = module("detailed3dmm_addon.clips.clip"), module("detailed3dmm_addon.clips.video_clip")
    targets = module("detailed3dmm_addon.clips.targets")

    def put(target, first_frame=1, camera=False, movie_strip=False, path=tmp_path / "actor.mp4", **more):
        place = clips.ClipPlace(24.0, first_frame, with_detail=False)
        source = module("detailed3dmm_addon.clips.clip_sources").VideoSource(path, solved=take, **more)
        clip = video.VideoClip(
            targets.TargetName.of(target), source, place, camera=camera, movie_strip=movie_strip
        )
        with pytest.raises(StopIteration) as done:
            next(clip.work(bpy.context))
        return done.value.value

    return put


@pytest.fixture
def light(module):
    """Returns a triangle with ARKit's shape keys that turns as its own head."""
    other = arkit_mesh(module("ml_backend.expression_names").EXPRESSION_NAMES)
    other.d3dmm_animation.head_object = other
    return other


@pytest.fixture(scope="module")
def counted(tmp_path_factory) -> Path:
    """A video of 30 frames at 30 a second, each lighter than the one before; with a buzz as its sound."""
    path = tmp_path_factory.mktemp("counted") / "counted.mkv"
    code = (
        "import sys, av, numpy as np\n"
        "with av.open(sys.argv[1], 'w') as file:\n"
        "    pictures = file.add_stream('ffv1', rate=30)\n"
        "    pictures.width = pictures.height = 64\n"
        "    pictures.pix_fmt = 'yuv420p'\n"
        "    sound = file.add_stream('pcm_s16le', rate=16000)\n"
        "    for index in range(30):\n"
        "        shown = np.full((64, 64, 3), 20 + 6 * index, np.uint8)\n"
        "        file.mux(pictures.encode(av.VideoFrame.from_ndarray(shown, format='rgb24')))\n"
        "    file.mux(pictures.encode())\n"
        "    heard = (8000 * np.sin(np.arange(16000) / 20)).astype(np.int16)[None]\n"
        "    wave = av.AudioFrame.from_ndarray(heard, format='s16', layout='mono')\n"
        "    wave.sample_rate = 16000\n"
        "    file.mux(sound.encode(wave))\n"
        "    file.mux(sound.encode())\n"
    )
    subprocess.run([os.environ["D3DMM_WORKER_PYTHON"], "-c", code, str(path)], check=True, timeout=300)
    return path


def shown_frame(number: int) -> float:
    """The frame of `counted` that the sequencer shows at a scene frame, read off its brightness."""
    scene = bpy.context.scene
    scene.frame_set(number)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    level = 255 * np.array(image.pixels[:]).reshape(64, 64, 4)[20:40, 20:40, 0].mean()
    bpy.data.images.remove(image)
    return (level - 20) / 6


def test_an_actors_video_becomes_a_performance(worker, wrinkled, performance, module):
    """One solve: everything in the scene, Adjust without another, undo, Clear."""
    scene = bpy.context.scene
    bpy.ops.ed.undo_push(message="created")
    name, before = wrinkled.name, scene_of(wrinkled)
    assert bpy.ops.d3dmm.import_video(filepath=str(performance)) == {"FINISHED"}
    face = bpy.data.objects[name]
    keys = face.data.shape_keys
    assert "actor" in keys.animation_data.action.name and 18 <= scene.frame_end <= 20
    jaw = played(face, "jawOpen", range(1, 20))
    assert jaw[-2:].mean() > jaw[:12].mean() + 0.15, "the mouth opens at the end"
    assert played(face, "eyeBlinkLeft", range(1, 20)).max() > 0.6
    assert face.d3dmm.detail_source == "BAKED"
    assert [strip.type for strip in strips()].count("MOVIE") == 1
    kept = module("detailed3dmm_addon.clips.kept_take").kept_take(face)
    assert len(kept.seconds) == 24 and kept.source == "actor.mp4"
    assert np.ptp(kept.head[:, 0]) > np.radians(15)
    scene.frame_set(5)
    turned = face.rotation_euler.z

    backend = module("detailed3dmm_addon.worker.jobs")
    asked = []
    ask = backend.session.ask
    backend.ask = lambda *request, **more: asked.append(request[0]) or ask(*request, **more)
    try:
        settings = face.d3dmm_animation
        settings.video_head, settings.video_strength = False, 0.5
        assert bpy.ops.d3dmm.adjust_video() == {"FINISHED"}
    finally:
        backend.ask = ask
    assert asked == ["bake_detail"], "the video is not solved again"
    assert abs(turned) > 0.02 and face.rotation_euler.z == pytest.approx(0, abs=1e-6)
    assert played(face, "jawOpen", [19])[0] == pytest.approx(0.5 * jaw[-1], abs=0.03)

    assert bpy.ops.d3dmm.clear_animation() == {"FINISHED"}
    assert not strips() and "d3dmm_take" not in face and face.d3dmm.detail_source == "LIVE"
    assert not bpy.ops.d3dmm.adjust_video.poll() and bpy.ops.d3dmm.update_animation.poll()
    bpy.ops.ed.undo_push(message="cleared")
    bpy.ops.ed.undo()
    assert scene_of(bpy.data.objects[name])[2:] == before[2:]


def test_a_sequence_of_pictures_plays_before_its_camera(worker, face, performance, tmp_path, module):
    code = (
        "import sys, av\n"
        "with av.open(sys.argv[1]) as file:\n"
        "    for index, frame in enumerate(file.decode(video=0)):\n"
        "        if 12 <= index < 24:\n"
        "            frame.to_image().save(f'{sys.argv[2]}/shot_{index:04d}.png')\n"
    )
    python = os.environ["D3DMM_WORKER_PYTHON"]
    subprocess.run([python, "-c", code, str(performance), str(tmp_path)], check=True, timeout=300)
    scene = bpy.context.scene
    scene.render.fps = 30
    before = scene_of(face)
    done = bpy.ops.d3dmm.import_video(
        filepath=str(tmp_path / "shot_0015.png"), bake_detail=False, camera=True, same_person=True
    )
    assert done == {"FINISHED"}
    assert scene.frame_end == 12 and played(face, "jawOpen", range(1, 13))[-2:].mean() > 0.15
    (strip,) = strips()
    assert strip.type == "IMAGE" and strip.frame_final_duration == 12
    kept = module("detailed3dmm_addon.clips.kept_take").kept_take(face)
    model = module("detailed3dmm_addon.model.face_model")
    assert np.allclose(kept.identity, model.identity_of(face), atol=1e-5)
    behind = scene.camera.data.background_images[0]
    assert behind.image.source == "SEQUENCE" and scene.render.resolution_x == 288
    for frame in (1, 7):
        scene.frame_set(frame)
        assert behind.image_user.frame_offset + frame == 11 + frame, "Blender counts files by their numbers"
    assert bpy.ops.d3dmm.clear_animation() == {"FINISHED"}
    assert scene_of(face)[:2] == before[:2] and scene_of(face)[4:] == before[4:]
    assert not [image for image in bpy.data.images if "shot" in image.name]


def test_the_active_movie_strip_is_performed_where_it_stands_and_solved_again(
    worker, light, performance, module
):
    scene = bpy.context.scene
    scene.render.fps = 30
    editor = scene.sequence_editor_create()
    channel = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = channel.new_movie("actor", str(performance), 1, 50)
    strip.frame_offset_start = 16
    assert bpy.ops.d3dmm.animate_movie(gaze=False) == {"FINISHED"}
    kept = module("detailed3dmm_addon.clips.kept_take").kept_take
    assert len(kept(light).seconds) == 8 and len(strips()) == 1
    action = light.data.shape_keys.animation_data.action
    assert tuple(action.frame_range) == (66, 73) and not played(light, "eyeLookOutLeft", range(66, 74)).any()
    assert played(light, "jawOpen", [73])[0] > 0.08
    light.d3dmm_animation.video_neutral = 22
    assert bpy.ops.d3dmm.update_animation() == {"FINISHED"}
    assert kept(light).raw[6, 17:24].max() < 0.15, "the neutral frame is neutral"
    assert tuple(light.data.shape_keys.animation_data.action.frame_range) == (66, 73) and len(strips()) == 1


def test_cancelling_and_videos_without_a_face_change_nothing(worker, face, performance, counted, module):
    backend = module("detailed3dmm_addon.worker.jobs")
    clips, video = module("detailed3dmm_addon.clips.clip"), module("detailed3dmm_addon.clips.video_clip")
    targets = module("detailed3dmm_addon.clips.targets")
    before = scene_of(face)
    clip = video.VideoClip(
        targets.TargetName.of(face),
        module("detailed3dmm_addon.clips.clip_sources").VideoSource(performance),
        clips.ClipPlace(24.0, 1),
        movie_strip=True,
    )
    work = clip.work(bpy.context)
    job = backend.begin_job(*next(work))
    assert not bpy.ops.d3dmm.import_video.poll(), "a second job could be started"
    said = set()
    while job.outcome is None:
        backend.pump()
        said.add(job.message)
        if "Following" in job.message:
            backend.cancel_job()
    assert job.outcome.kind == "cancelled" and any("frame 1 of 24" in text for text in said)
    assert scene_of(face) == before and backend.running_job() is None
    with pytest.raises(RuntimeError, match=r"counted.mkv: no face was found") as refused:
        bpy.ops.d3dmm.import_video(filepath=str(counted), end=0.2)
    assert len(str(refused.value).strip().splitlines()) >= 2, "no remedy"
    assert scene_of(face) == before


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "still", "times"])
def test_what_is_no_video_is_named_and_changes_nothing(worker, light, tmp_path, photo, kind):
    path, options = tmp_path / f"{kind}.mp4", {}
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("Dear reader, " * 50)
    elif kind == "still":
        path = tmp_path / "still_1.png"
        shutil.copy(photo, path)
    elif kind == "times":
        path.write_text("not looked at")
        options = {"start": 2.0, "end": 1.0}
    before = scene_of(light)
    with pytest.raises(RuntimeError, match=kind) as refused:
        bpy.ops.d3dmm.import_video(filepath=str(path), **options)
    assert "Traceback" not in str(refused.value) and len(str(refused.value).strip().splitlines()) >= 2
    assert scene_of(light) == before


def test_any_arkit_mesh_takes_the_performance_with_gaze_and_strength(light, solved):
    report = solved(light, first_frame=10, gaze=False, strength=0.5, camera=True, same_person=True)
    assert "Same Person was not used" in report
    assert "24 frames of video" in report and "only a face of this extension" in report
    assert "3 frames show no face and are held" in report
    assert played(light, "jawOpen", range(10, 34)).max() == pytest.approx(0.3, abs=0.01)
    assert not played(light, "eyeLookOutLeft", range(10, 34)).any()
    bpy.context.scene.frame_set(16)
    assert light.rotation_euler.z == pytest.approx(0.3, abs=0.01)
    settings = light.d3dmm_animation
    settings.video_gaze, settings.video_head = True, False
    settings.video_smoothing_brows = 1.0
    actions = len(bpy.data.actions)
    brows = played(light, "browInnerUp", range(10, 34))
    assert bpy.ops.d3dmm.adjust_video() == {"FINISHED"}
    assert len(bpy.data.actions) <= actions, "the clip before is replaced"
    assert played(light, "eyeLookOutLeft", range(10, 34)).min() == pytest.approx(0.5, abs=1e-5)
    assert light.rotation_euler.z == pytest.approx(0, abs=1e-6)
    smooth = played(light, "browInnerUp", range(10, 34))
    assert np.abs(np.diff(smooth, 2)).sum() < 0.3 * np.abs(np.diff(brows, 2)).sum()
    settings.destination = "NLA"
    assert bpy.ops.d3dmm.adjust_video() == {"FINISHED"}
    (track,) = light.data.shape_keys.animation_data.nla_tracks
    assert track.strips[0].frame_start == 10


def test_doubtful_and_held_frames_are_marked_until_cleared(light, solved):
    scene = bpy.context.scene
    scene.timeline_markers.new("mine", frame=3)
    solved(light, first_frame=101)
    expected = {
        "mine": [3], "actor: doubtful": [103, 113], "actor: held": [111], "actor: sure again": [105, 114],
    }  # fmt: skip

    def markers():
        found: dict[str, list[int]] = {}
        for marker in scene.timeline_markers:
            found.setdefault(marker.name, []).append(marker.frame)
        return {name: sorted(frames) for name, frames in found.items()}

    assert markers() == expected
    assert bpy.ops.d3dmm.adjust_video() == {"FINISHED"}
    assert markers() == expected, "no marker is there twice"
    assert bpy.ops.d3dmm.clear_animation() == {"FINISHED"}
    assert markers() == {"mine": [3]}


def test_the_movie_plays_in_step_at_every_frame_rate(light, solved, counted, tmp_path):
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(tmp_path / "shown.png")
    scene.view_settings.view_transform = "Standard"
    for fps, start in ((24, 0.0), (30, 0.2), (60, 0.5)):
        scene.render.fps = fps
        solved(light, first_frame=11, movie_strip=True, path=counted, start=start)
        kinds = sorted(strip.type for strip in strips())
        sound = ["SOUND"] if bpy.app.build_options.audaspace else []
        assert kinds == sorted(["MOVIE", *sound, *(["SPEED"] if fps != 30 else [])])
        assert all(round(strip.frame_final_start) == 11 for strip in strips())
        for ahead in (0.1, 0.3):
            frame = 11 + round(ahead * fps)
            should = (start + (frame - 11) / fps) * 30
            assert shown_frame(frame) == pytest.approx(should, abs=1.01), (fps, frame)
        solved(light, first_frame=11, movie_strip=True, path=counted, start=start)
        assert sorted(strip.type for strip in strips()) == kinds, "nothing is added twice"
        assert bpy.ops.d3dmm.clear_animation() == {"FINISHED"}
        assert not strips() and not len(bpy.data.sounds)


def test_a_strip_of_the_sequencer_tells_its_part_and_its_pace(module, counted):
    movies = module("detailed3dmm_addon.actions.movie_strip")
    scene = bpy.context.scene
    scene.render.fps = 24
    assert not bpy.ops.d3dmm.animate_movie.poll()
    editor = scene.sequence_editor_create()
    channel = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = channel.new_movie("counted", str(counted), 1, 20)
    strip.frame_offset_start = 6
    footage = movies.footage_of(movies.active_movie(scene), scene)
    assert (footage.first_frame, footage.frames) == (26, 24)
    assert footage.start == pytest.approx(0.2) and footage.pace == pytest.approx(24 / 30), (
        "Blender plays one frame of a movie in a frame of the scene"
    )
    channel.remove(strip)
    movies.add_movie(scene, movies.Footage(counted, 5, 20, 0.1), "tag")
    editor.active_strip = next(strip for strip in strips() if strip.type == "MOVIE")
    again = movies.footage_of(movies.active_movie(scene), scene)
    assert again.pace == pytest.approx(1, abs=1e-3) and again.start == pytest.approx(0.1, abs=1e-3)
    editor.active_strip.filepath = "//gone.mkv"
    errors = module("ml_backend.errors")
    with pytest.raises(errors.UserError, match=r"gone.mkv: the strip's video is missing"):
        movies.footage_of(editor.active_strip, scene)


@pytest.mark.parametrize("head", [True, False])
def test_the_camera_sees_the_face_where_the_video_shows_it(face, solved, take, counted, module, head):
    scene = bpy.context.scene
    scene.render.fps = 24
    face.location, face.rotation_euler = (0.4, -0.2, 1.0), (0.0, 0.0, 0.5)
    face.d3dmm_animation.video_head = head
    bpy.context.view_layer.update()
    solved(face, first_frame=5, camera=True, path=counted)
    if not head:
        face.d3dmm_animation.video_head = False
        assert bpy.ops.d3dmm.adjust_video() == {"FINISHED"}
    camera = scene.camera
    assert (scene.render.resolution_x, scene.render.resolution_y) == (640, 480)
    point = np.array([0.03, 0.06, 0.02])
    for frame in (5, 9, 21, 28):
        scene.frame_set(frame)
        row = (frame - 5) / 24 * RATE
        low = int(row)
        rotation = take.rotation[low]
        seen = rotation @ point + take.translation[low]
        pixel = 900 * seen[:2] / seen[2] + (310, 250)
        window = np.array(
            camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), x=640, y=480)
        ) @ np.array(camera.matrix_world.inverted())
        world = np.array(face.matrix_world) @ [*point, 1]
        clip = window @ world
        shown = np.array([320 * (clip[0] / clip[3] + 1), 240 * (1 - clip[1] / clip[3])])
        assert np.abs(shown - pixel).max() < (0.5 if row == low else 4), frame
    behind = camera.data.background_images[0]
    assert behind.image.source == "MOVIE"
    for frame in (5, 14, 28):
        scene.frame_set(frame)
        number = frame - behind.image_user.frame_start + 1 + behind.image_user.frame_offset
        assert abs((number - 1) - (frame - 5) / 24 * 30) < 1.01
    assert bpy.ops.d3dmm.clear_animation() == {"FINISHED"}
    assert scene.camera is None and scene.render.resolution_x == 1920
    assert not bpy.data.cameras and not [image for image in bpy.data.images if "counted" in image.name]
    assert face.rotation_euler.z == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("destination", ["ACTION", "NLA"])
def test_corrected_keys_are_held_and_the_frames_between_follow(light, solved, module, destination):
    light.d3dmm_animation.destination = destination
    solved(light, first_frame=11)
    frames = np.arange(11, 35)
    before = {name: played(light, name, frames) for name in ("jawOpen", "browInnerUp", "mouthPucker")}
    with pytest.raises(RuntimeError, match="no key of this clip was changed"):
        bpy.ops.d3dmm.refine_video()
    data = light.data.shape_keys.animation_data
    action = data.action or data.nla_tracks[0].strips[0].action
    reader = module("detailed3dmm_addon.actions.action_reader")
    bag = list(reader.our_curves(light.data.shape_keys))
    jaw = next(curve for curve in bag if "jawOpen" in curve.data_path)
    for frame, added in ((15, 0.3), (19, -0.1)):
        jaw.keyframe_points[frame - 11].co[1] += added
    assert bpy.ops.d3dmm.refine_video() == {"FINISHED"}
    assert action.users and (action.use_fake_user or destination == "NLA"), "the corrected action is kept"
    jaw = played(light, "jawOpen", frames) - before["jawOpen"]
    assert jaw[4] == pytest.approx(0.3, abs=1e-4) and jaw[8] == pytest.approx(-0.1, abs=1e-4)
    assert np.allclose(jaw[4:9], np.linspace(0.3, -0.1, 5), atol=1e-3), "the error goes over evenly"
    assert np.abs(jaw[16:]).max() < 1e-5, "far from the corrections the take stays"
    for name in ("browInnerUp", "mouthPucker"):
        assert np.allclose(played(light, name, frames), before[name], atol=1e-5)
    held = played(light, "jawOpen", [15, 19])
    bpy.context.scene.render.fps = 48
    assert bpy.ops.d3dmm.adjust_video() == {"FINISHED"}
    assert np.allclose(played(light, "jawOpen", [19, 27]), held, atol=1e-4), "at the same moments"
    bpy.context.scene.render.fps = 24
    light.d3dmm_animation.video_smoothing_lips = 0.8
    light.d3dmm_animation.gain_jaw = 1.3
    assert bpy.ops.d3dmm.adjust_video() == {"FINISHED"}
    assert np.allclose(played(light, "jawOpen", [15, 19]), held, atol=1e-4), "Adjust keeps corrections"
    assert not np.allclose(played(light, "jawOpen", [28]), before["jawOpen"][17], atol=0.02)


def test_a_take_goes_with_a_copy_and_a_broken_one_is_named(light, solved, take, module):
    solved(light)
    keeping = module("detailed3dmm_addon.clips.kept_take")
    copy = light.copy()
    kept = keeping.kept_take(copy)
    assert np.array_equal(kept.raw, take.raw) and kept.marks == take.marks and kept.camera == take.camera
    light[keeping.TAKE]["raw"] = [0.0, float("nan")]
    errors = module("ml_backend.errors")
    with pytest.raises(errors.UserError, match="kept with this mesh is broken"):
        keeping.kept_take(light)
    with pytest.raises(RuntimeError, match="is broken"):
        bpy.ops.d3dmm.adjust_video()


def test_the_panel_offers_what_there_is_to_do(light, module, monkeypatch):
    said = draw_all(context())
    assert {"Import Video", "Animate Movie Strip", "Adjust Video", "Neutral Frame", "Jaw and Lips"} <= set(
        said
    )
    backend = module("detailed3dmm_addon.worker.jobs")
    monkeypatch.setattr(backend.session, "job", backend.Job(1, "Video", 0.4, "Following the face, frame 1"))
    said = draw_all(context())
    assert {"Video", "Following the face, frame 1"} <= set(said) and "Import Video" not in said


def test_a_video_can_be_dropped_on_the_viewport_of_a_face(face, module, tmp_path):
    drops = module("operators.drop_files")
    assert ".mp4" in drops.D3DMM_FH_video.bl_file_extensions
    assert drops.D3DMM_FH_video.bl_import_operator == "d3dmm.drop_video"
    with pytest.raises(RuntimeError, match=r"nothing.mp4"):
        bpy.ops.d3dmm.drop_video(filepath=str(tmp_path / "nothing.mp4"))
    assert evaluated(face).shape[1] == 3
