"""Import Audio through the real worker: what it puts into the scene, what it refuses, what interrupts it."""

import os
import signal
import time
import wave

import bpy
import numpy as np
import pytest
from scene_state import evaluated

pytestmark = pytest.mark.usefixtures("worker")


def sound_strips():
    """The scene's strips, under the names of every version."""
    editor = bpy.context.scene.sequence_editor
    return [] if editor is None else list(editor.strips if hasattr(editor, "strips") else editor.sequences)


def scene_state(face):
    """Returns everything that must not change when an import fails."""
    scene = bpy.context.scene
    keys = face.data.shape_keys
    return (
        len(sound_strips()),
        len(bpy.data.actions),
        keys.animation_data and keys.animation_data.action,
        [modifier.name for modifier in face.modifiers],
        len(face.data.attributes),
        face.d3dmm.detail_source,
        scene.frame_end,
        [key.value for key in keys.key_blocks],
    )


@pytest.fixture
def spoken(wrinkled, recording):
    """A face that has imported the recording."""
    bpy.context.scene.render.fps = 25
    assert bpy.ops.d3dmm.import_audio(filepath=str(recording), seed=1) == {"FINISHED"}
    return wrinkled


def test_sound_curves_and_detail_are_in_the_scene(spoken, module):
    scene, keys = bpy.context.scene, spoken.data.shape_keys
    if bpy.app.build_options.audaspace:
        (strip,) = sound_strips()
        assert strip.type == "SOUND" and strip.frame_start == scene.frame_start
    assert keys.animation_data.action["d3dmm"] and "buzz" in keys.animation_data.action.name
    assert 24 <= scene.frame_end <= 26
    assert spoken.d3dmm.detail_source == "BAKED" and module(
        "detailed3dmm_addon.nodes.detail_modifier"
    ).is_baked(spoken)
    jaw, detail = [], []
    for frame in range(1, scene.frame_end + 1):
        scene.frame_set(frame)
        jaw.append(keys.key_blocks["jawOpen"].value)
        spoken.d3dmm.show_detail = False
        smooth = evaluated(spoken)
        spoken.d3dmm.show_detail = True
        detail.append(np.linalg.norm(evaluated(spoken) - smooth, axis=1).max())
    assert np.ptp(jaw) > 0.02, "the jaw does not move"
    assert 2e-5 < max(detail) < 4e-3


def test_baked_detail_is_the_generators(spoken, module):
    model, backend = module("detailed3dmm_addon.model.face_model"), module("detailed3dmm_addon.worker.jobs")
    texture = module("ml_backend.geometry.texture_space")
    scene = bpy.context.scene
    scene.frame_set(12)
    inputs = module("detailed3dmm_addon.detail.inputs")
    coarse = backend.ask("generate", {"resolution": 256}, inputs.detail_inputs(spoken).arrays()).arrays["map"]
    baked = evaluated(spoken)
    spoken.d3dmm.show_detail = False
    smooth = evaluated(spoken)
    mesh = spoken.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    normals = np.empty_like(smooth)
    mesh.vertex_normals.foreach_get("vector", normals.ravel())
    height = ((baked - smooth) * normals).sum(1) * 1e3
    skin = model.dense_parts() == 0
    expected = texture.sample_map(coarse, model.dense_mesh().vertex_uv())
    span = np.ptp(np.percentile(expected[skin], [0.1, 99.9]))
    psnr = 20 * np.log10(span / np.sqrt(((height - expected)[skin] ** 2).mean()))
    assert psnr > 38, psnr
    assert spoken.d3dmm.baked_components >= 1 and spoken.d3dmm.baked_psnr > 38
    assert np.abs(height[~skin]).max() < 1e-3


def test_a_second_import_makes_new_actions_and_keeps_the_old(spoken, recording):
    first = spoken.data.shape_keys.animation_data.action
    curves = len(bpy.data.actions)
    assert bpy.ops.d3dmm.import_audio(filepath=str(recording), seed=2, sound_strip=False) == {"FINISHED"}
    assert spoken.data.shape_keys.animation_data.action != first and first.use_fake_user
    assert len(bpy.data.actions) > curves
    assert [modifier.name for modifier in spoken.modifiers].count("D3DMM Detail") == 1


def test_undo_takes_the_whole_import_back(face, recording):
    bpy.ops.ed.undo_push(message="created")
    name, before = face.name, scene_state(face)
    assert bpy.ops.d3dmm.import_audio(filepath=str(recording)) == {"FINISHED"}
    bpy.ops.ed.undo_push(message="imported")
    bpy.ops.ed.undo()
    face = bpy.data.objects[name]
    after = scene_state(face)
    assert after[0] == before[0] and after[2:] == before[2:]
    bpy.ops.ed.redo()
    assert bpy.data.objects[name].d3dmm.detail_source == "BAKED"


def test_a_strip_is_spoken_as_far_as_it_is_not_cut_away(face, tmp_path, recording):
    if not bpy.app.build_options.audaspace:
        pytest.skip("this Blender was built without sound")
    scene = bpy.context.scene
    scene.render.fps = 25
    longer = tmp_path / "longer.wav"
    write_wave(longer, wave_samples(recording) * 3)  # three seconds
    editor = scene.sequence_editor_create()
    strip = (editor.strips if hasattr(editor, "strips") else editor.sequences).new_sound(
        "voice", str(longer), 1, 40
    )
    strip.frame_offset_start, strip.frame_final_duration = 20, 30
    face.d3dmm_animation.emotions.add().frame = 60
    assert bpy.ops.d3dmm.animate_strip(bake_detail=False) == {"FINISHED"}
    action = face.data.shape_keys.animation_data.action
    assert (
        action.name == "longer Expression"
        and tuple(action.frame_range) == (60, 89)
        and len(sound_strips()) == 1
    )
    settings = face.d3dmm_animation
    assert (
        abs(settings.source_start - 0.8) < 1e-4
        and abs(settings.source_length - 1.2) < 1e-4
        and settings.source_frame == 60
    )
    scene.frame_set(75)
    assert face.data.shape_keys.key_blocks["mouthSmileLeft"].value > 0.2, "the emotion does not show"
    settings.amount_emotion, settings.destination = 0.0, "LAYERS"
    assert bpy.ops.d3dmm.update_animation() == {"FINISHED"}
    keys = face.data.shape_keys.animation_data
    assert keys.action is None and "longer Expression" not in bpy.data.actions
    names = [track.name.removeprefix("D3DMM ") for track in keys.nla_tracks]
    assert (
        names[0] == "Speech"
        and len(names) > 1
        and set(names) <= {"Speech", "Blinks", "Brows", "Gaze", "Breath"}
    )
    scene.frame_set(75)
    assert face.data.shape_keys.key_blocks["mouthSmileLeft"].value < 0.2


@pytest.mark.parametrize("name", ["..", "a/b:c.wav", "voice.wav", "  "])
def test_a_packed_sound_is_written_under_a_name_that_can_be(module, name, tmp_path, recording):
    sound = module("detailed3dmm_addon.actions.sound_strip")
    path = tmp_path / sound._file_name(name)
    path.write_bytes(b"x")
    assert path.parent == tmp_path and path.is_file() and (".wav" in path.name) == (".wav" in name)


def wave_samples(path) -> bytes:
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())


def write_wave(path, samples, rate=16000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "nan", "folder"])
def test_broken_recordings_are_named_and_change_nothing(face, recording, tmp_path, kind):
    path = tmp_path / f"{kind}.wav"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_bytes(b"this is not a sound\n" * 40)
    elif kind == "truncated":
        path.write_bytes(recording.read_bytes()[:30])
    elif kind == "nan":
        header = b"RIFF\x64\x20\x00\x00WAVEfmt \x10\x00\x00\x00\x03\x00\x01\x00\x80>\x00\x00"
        header += b"\x00\xfa\x00\x00\x04\x00 \x00data@\x1f\x00\x00"
        path.write_bytes(header + np.full(2000, np.nan, "<f4").tobytes())
    elif kind == "folder":
        path.mkdir()
    before = scene_state(face)
    with pytest.raises(RuntimeError, match=f"{kind}.wav") as refused:
        bpy.ops.d3dmm.import_audio(filepath=str(path))
    assert "Traceback" not in str(refused.value) and len(str(refused.value).strip().splitlines()) >= 2, (
        "no remedy"
    )
    assert scene_state(face) == before


@pytest.fixture
def operator(module):
    """The steps of an import, driven as the window's modal loop drives them, without browser and timer."""
    backend, clips = module("detailed3dmm_addon.worker.jobs"), module("detailed3dmm_addon.clips.clip")
    targets = module("detailed3dmm_addon.clips.targets")

    class Steps:
        def begin(self, face, path):
            place = clips.ClipPlace(25.0, 1, with_detail=False, with_sound=True)
            clip = clips.ClipAnimation(
                targets.TargetName.of(face),
                module("detailed3dmm_addon.clips.clip_sources").SpeechSource(path),
                place,
            )
            self.work = clip.work(bpy.context)
            self.job = backend.begin_job(*next(self.work))

        def wait(self, seconds=60.0):
            limit = time.monotonic() + seconds
            while self.job.outcome is None:
                assert time.monotonic() < limit, "no outcome in time"
                backend.pump()
                time.sleep(0.01)
            return self.job.outcome

        def finish(self):
            with pytest.raises(StopIteration) as done:
                self.work.send(self.wait())
            return done.value.value

    return Steps()


def test_killing_the_worker_during_the_import_is_told_and_the_next_try_works(
    face, recording, operator, module
):
    backend = module("detailed3dmm_addon.worker.jobs")
    before = scene_state(face)
    operator.begin(face, recording)
    os.kill(backend.worker_pid(), signal.SIGKILL)
    assert operator.wait(2.5).kind == "died" and "ended unexpectedly" in backend.problem.message
    assert scene_state(face) == before and backend.running_job() is None
    assert bpy.ops.d3dmm.import_audio(filepath=str(recording), bake_detail=False) == {"FINISHED"}


def test_cancelling_leaves_the_scene_alone(face, recording, operator, module):
    before = scene_state(face)
    operator.begin(face, recording)
    assert not bpy.ops.d3dmm.import_audio.poll(), "a second job could be started"
    assert bpy.ops.d3dmm.cancel_job() == {"FINISHED"}
    assert operator.wait().kind in ("cancelled", "result")
    assert scene_state(face) == before and module("detailed3dmm_addon.worker.jobs").running_job() is None


def test_deleting_the_face_during_the_import_is_told(face, recording, operator, module):
    errors = module("ml_backend.errors")
    operator.begin(face, recording)
    bpy.data.objects.remove(face)
    outcome = operator.wait()
    with pytest.raises(errors.UserError, match="deleted"):
        operator.work.send(outcome)
    assert not sound_strips() and not bpy.data.actions


def test_undo_during_the_import_still_finds_the_face(face, recording, operator):
    bpy.ops.ed.undo_push(message="created")
    name = face.name
    face.d3dmm.directions["age"].value = 1.0
    bpy.ops.ed.undo_push(message="aged")
    operator.begin(face, recording)
    bpy.ops.ed.undo()
    assert "frames of speech" in operator.finish()
    assert bpy.data.objects[name].data.shape_keys.animation_data.action is not None


def test_either_decoder_makes_the_curves(face, recording):
    keys, scene = face.data.shape_keys, bpy.context.scene

    def jaw() -> list[float]:
        values = []
        for frame in range(scene.frame_start, scene.frame_end + 1):
            scene.frame_set(frame)
            values.append(keys.key_blocks["jawOpen"].value)
        return values

    assert bpy.ops.d3dmm.import_audio(filepath=str(recording), seed=1, bake_detail=False) == {"FINISHED"}
    parallel = jaw()
    face.d3dmm_animation.decoder = "autoregressive"
    assert bpy.ops.d3dmm.update_animation() == {"FINISHED"}
    autoregressive = jaw()
    assert len(parallel) == len(autoregressive) and parallel != autoregressive
    assert min(autoregressive) >= 0 and max(autoregressive) <= 1
