"""Seven codes of a face in one pass: codes, the exact decoder, levelled pictures, variations, training,
shell."""

import dataclasses
import json
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from ml_backend.__main__ import main
from ml_backend.errors import UserError
from ml_backend.evaluation.attributes.swap_matrix import shares_of
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.face_file import FaceParameters, read_face, write_face
from ml_backend.files.network_file import write_network_file
from ml_backend.fitting.attributes.code_figures import (
    code_distances,
    code_errors,
    nearest_texture,
    shape_error,
    skin_map,
)
from ml_backend.fitting.attributes.encode_face import encode_points
from ml_backend.fitting.attributes.face_crop import crop_camera, face_crop
from ml_backend.fitting.attributes.head_places import PLACES, HeadPlaces
from ml_backend.fitting.attributes.levelled_face import levelled_place, levelled_points, place_face
from ml_backend.fitting.attributes.quick_look import look_once
from ml_backend.fitting.landmark_map import LandmarkMap
from ml_backend.fitting.mesh_layout import MIRRORED
from ml_backend.models.attribute_encoder import (
    CROP,
    FILE,
    SIDE,
    AttributeEncoder,
    EncoderConfig,
    default_encoder,
)
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.face_codes import (
    NAMES,
    FaceCodes,
    angles_of_rotation,
    code_of_light,
    light_of_code,
    main_direction,
    rotation_of_angles,
)
from ml_backend.models.face_renderer import SkinColours, draw_face, surface_colours
from ml_backend.models.head_steps.seen_places import SeenPlaces
from ml_backend.simulation.portraits.coded_portrait import SIZE, CodedPortrait, coded_portrait
from ml_backend.training.attributes.variations import Variations, mirrored_points

FIRST = 1_700_000


@cache
def portrait() -> CodedPortrait:
    return coded_portrait(FIRST, 3)


@cache
def small_encoder() -> AttributeEncoder:
    torch.manual_seed(0)
    config = EncoderConfig(
        geometry_width=16, colour_width=16, channels=(8, 8, 8), features=8, blocks=1, look_width=16
    )
    return AttributeEncoder(config).eval()


def true_points() -> np.ndarray:
    codes = portrait().codes
    vertices = BilinearFace.default().evaluate(codes.shape, codes.expression)
    return portrait().camera.project(LandmarkMap.default().gather(vertices))[0]


def test_codes_of_light_and_rotation_lead_back():
    light = np.random.default_rng(0).normal(0, 0.2, (9, 3))
    light[0] = 0.4, 1.0, 2.0
    assert np.allclose(light_of_code(code_of_light(light)), light)
    for angles in ([20.0, 0, 0], [0, -30.0, 0], [15, 10, -40.0]):
        assert np.allclose(angles_of_rotation(rotation_of_angles(np.array(angles))), angles, atol=1e-6)
    light = np.zeros((9, 3))
    light[0], light[3] = 1, 0.5
    assert np.allclose(main_direction(light), (1, 0, 0))
    with pytest.raises(ValueError, match="hair has 3"):
        FaceCodes.of(portrait().codes.table() | {"hair": np.zeros(3)})


def test_the_levelled_picture_leads_back_to_the_camera():
    shown = portrait()
    face = levelled_points(true_points(), shown.focal, SIZE, SIZE)
    rotation, translation = levelled_place(face, shown.codes, SIZE, SIZE)
    assert np.abs(rotation).max() < 45 and abs(float(translation[2])) < 0.4
    turned, moved = place_face(face, rotation, translation, SIZE, SIZE)
    assert np.allclose(turned, shown.codes.rotation, atol=1e-3)
    assert np.allclose(moved, shown.codes.translation, atol=1e-5)


def test_the_crop_s_camera_sees_what_is_cut_out():
    shown = portrait()
    face = levelled_points(true_points(), shown.focal, SIZE, SIZE)
    cut = face_crop(shown.pixels, face)
    drawn, mask = draw_face(shown.codes, crop_camera(shown.camera, face), nuisance=shown.nuisance)
    inner = mask[40:152, 40:152]
    linear = np.clip(drawn, 0, 1) ** (1 / 2.2)
    one, other = (picture[40:152, 40:152][inner].mean(1) for picture in (cut, linear))
    assert inner.mean() > 0.8 and np.corrcoef(one, other)[0, 1] > 0.9


def test_each_code_changes_its_own_part_of_the_picture():
    shown = portrait()
    plain = draw_face(shown.codes, shown.camera, nuisance=shown.nuisance, seen=shown.seen)[0]
    fields = shown.seen.surface.fields.numpy()

    def change(**values) -> np.ndarray:
        codes = dataclasses.replace(shown.codes, **values)
        drawn = draw_face(codes, shown.camera, nuisance=shown.nuisance, seen=shown.seen)[0]
        return np.abs(drawn - plain)[shown.seen.mask].max(1)

    hair = shown.codes.hair.copy()
    hair[1] += 1
    cheeks = (
        (fields[:, 0] > 0.5) & (fields[:, 1] < -0.03) & (fields[:, 3] > 3) & (fields[:, 6:9].max(1) < 0.01)
    )
    cheeks &= fields[:, 5] < 0.01
    assert change(hair=hair)[cheeks].max() < 0.05 * change(hair=hair).max()
    skin = change(texture=shown.codes.texture + 0.3)
    assert skin[fields[:, 0] < 0.5].max() < 1e-6 < np.median(skin[cheeks])
    assert np.median(change(illumination=shown.codes.illumination + 0.1)) > 1e-4


def test_the_decoder_has_slopes_for_texture_light_and_hair():
    shown = portrait()
    codes = [
        torch.from_numpy(value.astype(np.float32))[None].requires_grad_(True)
        for value in (shown.codes.texture, shown.codes.light, shown.codes.hair)
    ]
    albedo = SkinColours.default().linear(codes[0])
    surface_colours(shown.seen.surface[None], albedo, codes[1], codes[2]).sum().backward()
    for code in codes:
        assert code.grad is not None and torch.isfinite(code.grad).all() and code.grad.abs().max() > 0


def test_errors_vanish_for_true_codes_and_name_what_differs():
    codes = portrait().codes
    none = code_errors(codes, codes)
    assert max(none.values()) < 0.05
    assert np.allclose([code_distances(codes, codes)["identity_cosine"]], 1)
    other = dataclasses.replace(codes, rotation=codes.rotation + np.float32([5, 0, 0]))
    assert 4.5 < code_errors(other, codes)["rotation_deg"] < 5.5
    assert code_errors(other, codes)["shape_mm"] < 1e-3
    far = -codes.shape
    assert 0 < shape_error(far, codes.shape) <= shape_error(far, codes.shape, aligned=False) + 1e-6
    colours = SkinColours.default().linear(torch.from_numpy(codes.texture)[None])[0].numpy()
    back = nearest_texture(colours.reshape(3, 64, 64).transpose(1, 2, 0))
    assert np.abs(skin_map(back) - skin_map(codes.texture)).max() < 0.02


def test_exposure_is_told_by_the_light_alone():
    encoder = small_encoder()
    colours = torch.rand(2, PLACES, 3) * 0.3 + 0.05
    seen, ground, turn = torch.ones(2, PLACES), torch.zeros(2, 12), torch.zeros(2, 3)
    one = encoder.see_colours(colours, seen, ground, turn)
    two = encoder.see_colours(2 * colours, seen, ground + np.log(2), turn)
    for name in ("texture", "hair"):
        assert torch.allclose(one[name], two[name], atol=1e-4)
    rise = encoder.unscaled("illumination", two["illumination"]) - encoder.unscaled(
        "illumination", one["illumination"]
    )
    assert torch.allclose(rise[:, :3], torch.full((2, 3), float(np.log(2))), atol=1e-4)


def test_a_mirrored_face_mirrors_twice_into_itself():
    points = torch.from_numpy(levelled_points(true_points(), portrait().focal, SIZE, SIZE).points)[None]
    image, more = mirrored_points(points)
    again, rest = mirrored_points(torch.cat([image, more], 1))
    assert torch.allclose(again, points[:, :-4]) and torch.allclose(rest, points[:, -4:])
    assert (np.asarray(MIRRORED)[np.asarray(MIRRORED)] == np.arange(478)).all()
    face = BilinearFace.default()
    variations = Variations.of(face, np.zeros((2, 478, 2)), 0.0)
    codes = {
        name: torch.from_numpy(getattr(portrait().codes, name))[None].repeat(40, 1)
        for name in ("shape", "expression", "rotation", "translation")
    }
    _, _, turned = variations.mirrored(
        points.repeat(40, 1), torch.zeros(40, 3, 8, 8), codes, np.random.default_rng(0)
    )
    flipped = turned["rotation"][:, 0] != codes["rotation"][:, 0]
    assert 8 < int(flipped.sum()) < 32
    row = int(flipped.nonzero()[0])
    own = face.neutral(codes["shape"][row].numpy()) * (-1, 1, 1)
    other = face.neutral(turned["shape"][row].numpy())
    marks = [face.landmarks[name][0] for name in ("cheilion_left", "chin_tip", "zygion_band")]
    pairs = [face.landmarks[name][0] for name in ("cheilion_right", "chin_tip")]
    assert np.abs(own[marks[:2]] - other[pairs]).max() < 0.002


def test_places_lie_on_the_face_that_the_codes_make():
    places, codes = HeadPlaces.default(), portrait().codes
    whole = BilinearFace.default().evaluate(codes.shape, codes.expression)[places.vertices] + places.offset
    assert len(places.vertices) == PLACES
    assert np.abs(places.positions(codes.shape, codes.expression) - whole).max() < 1e-5
    facing = places.facing(rotation_of_angles(np.zeros(3)))
    assert facing[places.skin].mean() > 0.8


def tensors(codes: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.asarray(value, np.float32))[None] for name, value in codes.items()}


def test_the_steps_look_where_the_camera_sees_the_places():
    shown, places = portrait(), SeenPlaces.default()
    face = levelled_points(true_points(), shown.focal, SIZE, SIZE)
    rotation, translation = levelled_place(face, shown.codes, SIZE, SIZE)
    codes = {"shape": shown.codes.shape, "expression": shown.codes.expression, "rotation": rotation}
    found = places.seen(
        tensors(codes | {"translation": translation}), torch.from_numpy(face.points[-4:])[None]
    )[0]
    vertices = BilinearFace.default().evaluate(shown.codes.shape, shown.codes.expression)[places.vertices]
    true = crop_camera(shown.camera, face).project(vertices)[0] / CROP * SIDE - SIDE / 2
    assert len(set(places.vertices.tolist())) == len(places.vertices) == 160
    free = ~np.isin(places.vertices, BilinearFace.default().mouth_lining().vertices)
    assert free.sum() > 150 and np.abs(found.numpy() - true)[free].max() < 1e-3
    assert np.abs(true).max() < SIDE / 2


def test_a_step_begins_at_what_is_believed_and_sees_the_picture():
    encoder = small_encoder()
    points = torch.from_numpy(levelled_points(true_points(), portrait().focal, SIZE, SIZE).points)[None]
    crop = torch.rand(1, 3, CROP, CROP)
    before, *steps = encoder.steps_of_head(points, crop)
    assert len(steps) == 2
    for step in steps:  # an untrained step changes nothing
        assert all(torch.allclose(step.codes[name], before.codes[name]) for name in before.codes)
    torch.nn.init.normal_(encoder.steps[0].last.weight)
    try:
        one, other = (encoder.steps_of_head(points, picture)[1].codes for picture in (crop, crop.flip(2)))
        assert not torch.allclose(one["shape"], before.codes["shape"])
        assert not torch.allclose(one["shape"], other["shape"])
    finally:
        torch.nn.init.zeros_(encoder.steps[0].last.weight)


def test_an_encoder_of_before_the_steps_is_read(tmp_path):
    torch.manual_seed(0)
    old = AttributeEncoder(dataclasses.replace(small_encoder().config, spacings=()))
    config = {name: value for name, value in vars(old.config).items() if name != "spacings"}
    write_network_file(tmp_path / FILE, old, config, {"measured": "{}"})
    assert len(default_encoder(tmp_path).steps) == 0


def test_an_encoder_is_written_and_read(tmp_path):
    encoder = small_encoder()
    write_network_file(tmp_path / FILE, encoder, encoder.config, {"measured": "{}"})
    again = default_encoder(tmp_path)
    assert again.config == encoder.config
    codes, camera = encode_points(again, portrait().pixels, true_points(), portrait().focal)
    assert all(np.isfinite(value).all() for value in codes.table().values())
    assert np.allclose(camera.rotation, rotation_of_angles(codes.rotation))
    with pytest.raises(UserError):
        default_encoder(tmp_path / "none")


def test_the_shell_encodes_and_transfers_in_one_pass(tmp_path, capsys):
    photo = tmp_path / "photo.png"
    Image.fromarray(portrait().pixels).save(photo)
    assert look_once(portrait().pixels) is not None
    assert main(["encode", str(photo), "--json", "--out", str(tmp_path / "own.json")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(NAMES) <= set(told) and len(told["shape"]) == 128 and not told["focal_known"]
    assert read_face(tmp_path / "own.json").light is not None
    face = FaceParameters(
        np.zeros(128, np.float32), np.zeros(16, np.float32), np.zeros(52, np.float32),
        BilinearFace.default().fingerprint(),
    )  # fmt: skip
    write_face(tmp_path / "to.json", face)
    command = [
        "transfer",
        "--from",
        str(photo),
        "--to",
        str(tmp_path / "to.json"),
        "--attributes",
        "expression",
    ]
    assert main([*command, "--out", str(tmp_path / "out.json"), "--json"]) == 0
    got = read_face(tmp_path / "out.json")
    assert np.allclose(got.expression, told["expression"], atol=1e-3) and not got.identity.any()
    empty = tmp_path / "empty.png"
    Image.fromarray(np.full((120, 120, 3), 90, np.uint8)).save(empty)
    assert main(["encode", str(empty)]) != 0
    assert "no face was found" in capsys.readouterr().err
    assert len(EXPRESSION_NAMES) == len(told["expression"])


TINY = """
[data]
portraits = 5
crops = 1
hidden = 3
held_out = 2
[network]
geometry_width = 16
colour_width = 16
channels = [8, 8, 8]
features = 8
blocks = 1
look_width = 16
[geometry]
steps = 3
batch = 8
varied = 0.5
shaken = 1.0
rate = 1e-3
decay = 0.01
average_steps = 2
[colour]
steps = 3
batch = 8
stored = 0.25
rate = 1e-3
decay = 0.01
average_steps = 2
[rounds]
count = 1
steps = 2
batch = 4
rate = 1e-4
decay = 0.01
average_steps = 2
pictures = 2
decoder_steps = 2
decoder_rate = 0.01
keep = 0.05
code = 1.0
cycle = 1.0
disentanglement = 1.0
drawn = 1.0
figures = 2
"""


@pytest.mark.train
@pytest.mark.slow
def test_a_tiny_training_runs_its_rounds_and_is_resumed(tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    command = ["train", "attributes", "--config", str(config), "--data", str(tmp_path / "data")]
    command += ["--out", str(tmp_path / "run"), "--threads", "1"]
    assert main(command) == 0
    encoder = default_encoder(tmp_path / "run")
    assert encoder.config.geometry_width == 16
    card = (tmp_path / "run" / FILE).with_suffix(".md").read_text()
    assert "seven codes" in card and "train attributes" in card
    rows = json.loads((tmp_path / "run" / "rounds.json").read_text())
    assert set(rows["ablations"]) == {
        "all", "without_code", "without_cycle", "without_disentanglement", "without_hair"
    }  # fmt: skip
    assert main([*command, "--resume"]) == 0


def test_an_evaluation_of_nobody_is_refused(capsys):
    assert main(["evaluate", "attributes", "--fits", "0"]) == 2
    assert "too few people" in capsys.readouterr().err


def test_the_share_of_a_transfer_comes_with_its_error():
    random = np.random.default_rng(0)
    possible = random.uniform(1, 3, (400, 7))
    noise = random.normal(size=(400, 7, 7))
    moved = np.eye(7) * 0.8 * possible[:, None] + noise
    share, error = shares_of(moved, possible)
    assert np.abs(share - 0.8 * np.eye(7)).max() < 4 * error.max()
    assert error == pytest.approx(np.full((7, 7), 1 / (2 * np.sqrt(400))), rel=0.15)
    exact, none = shares_of(np.eye(7) * possible[:, None], possible)
    assert exact == pytest.approx(np.eye(7)) and none == pytest.approx(np.zeros((7, 7)))
