"""Training on own scans: tiny sets in both layouts are read, refused by name when broken, trained on."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ml_backend.__main__ import main
from ml_backend.datasets import own_scans, scanned_maps
from ml_backend.datasets.facescape import EXPRESSIONS, read_facescape_maps, read_grey16
from ml_backend.datasets.folder import read_folder
from ml_backend.datasets.own_scans import open_scans
from ml_backend.datasets.registered_mesh import fit_expression, fit_identity
from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.displacement_file import write_displacement
from ml_backend.files.wavefront import read_obj_vertices, write_obj
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.detailed_3dmm import Detailed3DMM

pytestmark = pytest.mark.scans

FACE = BilinearFace.default()
SIZE = 64
TURN = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1.0]])


def relief(depth: float, size: int = SIZE) -> np.ndarray:
    v, u = (np.mgrid[:size, :size] + 0.5) / size
    return (depth * np.sin(40 * v) * np.exp(-((v - 0.6) ** 2 + (u - 0.4) ** 2) / 0.02)).astype(np.float32)


def write_plain(root, people=5):
    """People whose forehead lines deepen with the brow, maps as .npy, .png and .exr in turn."""
    for number in range(people):
        folder = root / f"person{number:02d}"
        for name, face in (
            ("neutral", {}),
            ("raise", {"browInnerUp": 1.0}),
            ("smile", {"mouthSmileLeft": 0.8}),
        ):
            (folder / name).mkdir(parents=True)
            (folder / name / "expression.json").write_text(json.dumps(face))
            values = relief(0.1 + 0.05 * number + 0.2 * face.get("browInnerUp", 0))
            write_displacement(folder / name / f"map{('.npy', '.png', '.exr')[number % 3]}", values)
        stored = {"identity": FACE.sample_identity(number).tolist(), "face_model": FACE.fingerprint()}
        (folder / "identity.json").write_text(json.dumps(stored))


def write_mesh(path, vertices):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_obj(path, vertices, FACE.polygons[:2], FACE.uv, FACE.uv_polygons[:2])


def write_grey(path, values_mm, range_mm=4.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(values_mm[::-1] / range_mm * 65535 + 32768).astype(np.uint16)).save(path)


def write_facescape(root, people=3):
    """FaceScape's folders: meshes in millimetres, turned, with 16-bit maps and the list of ages."""
    for number in range(1, people + 1):
        identity = FACE.sample_identity(number)
        for index, depth in ((1, 0.1), (19, 0.4), (2, 0.2)):
            name = f"{index}_{EXPRESSIONS[index][0]}"
            write_grey(root / str(number) / "dpmap" / f"{name}.png", relief(depth + 0.01 * number))
            if index != 2:
                face = np.zeros(52, np.float32)
                face[EXPRESSION_NAMES.index("browInnerUp")] = 0.7 * (index == 19)
                write_mesh(
                    root / str(number) / "models_reg" / f"{name}.obj",
                    FACE.evaluate(identity, face) @ TURN.T * 1000 + 20,
                )
    (root / "facescape.json").write_text('{"zero": 32768, "range_mm": 4.0}')
    (root / "info_list_v1.txt").write_text("1 m 70 11111\n2 f - 11111\n3 f 25 11111\n")


@pytest.fixture
def plain(tmp_path):
    write_plain(tmp_path / "scans")
    return tmp_path / "scans"


@pytest.fixture
def published(tmp_path):
    write_facescape(tmp_path / "facescape")
    return tmp_path / "facescape"


def test_the_plain_layout_is_read_as_it_is(plain, tmp_path, capsys):
    settings = {"sets": {"coarse": {"people": 100, "expressions": 6, "resolution": 64}}}
    maps = open_scans(plain, "folder", tmp_path / "data", settings)["coarse"]
    assert len(maps) == 15 and maps.maps.shape == (15, 64, 64) and maps.mask.shape == (64, 64)
    assert not maps.expression[::3].any(), "the map at rest comes first"
    raised = maps.expression[:, EXPRESSION_NAMES.index("browInnerUp")] == 1
    assert raised.sum() == 5
    for number in range(5):
        np.testing.assert_allclose(maps.identity[3 * number], FACE.sample_identity(number), atol=1e-4)
        row = 3 * number + int(np.flatnonzero(raised[3 * number : 3 * number + 3])[0])
        np.testing.assert_allclose(maps.maps[row], relief(0.3 + 0.05 * number), atol=2e-3)
    said = capsys.readouterr().err
    assert "5 people, 15 maps" in said and "15 of 15 maps read" in said
    assert settings["sets"]["coarse"]["people"] == 5 and "folder" in settings["source"]


def test_reading_resumes_and_notices_a_changed_file(plain, tmp_path, monkeypatch):
    people, read = read_folder(plain, FACE)
    calls = []

    def counting(path):
        calls.append(path)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return read(path)

    clock = iter(range(0, 10**6, 20))
    monkeypatch.setattr(
        scanned_maps.time, "monotonic", lambda: next(clock)
    )  # so that it saves after every map
    with pytest.raises(KeyboardInterrupt):
        scanned_maps.make_scanned_set(tmp_path / "data", people, counting, SIZE, FACE)
    again = scanned_maps.make_scanned_set(tmp_path / "data", people, counting, SIZE, FACE)
    assert len(calls) == 9 + 7, "eight of fifteen were kept"
    np.testing.assert_allclose(again.maps[0], relief(0.1), atol=2e-3)
    write_displacement(plain / "person00" / "neutral" / "map.npy", relief(0.9))
    people, _ = read_folder(plain, FACE)
    changed = scanned_maps.make_scanned_set(tmp_path / "data", people, read, SIZE, FACE)
    np.testing.assert_allclose(changed.maps[0], relief(0.9), atol=2e-3)


def test_maps_of_another_size_are_resampled(plain, tmp_path):
    people, read = read_folder(plain, FACE)
    small = scanned_maps.make_scanned_set(tmp_path / "small", people, read, 32, FACE)
    wanted = torch.nn.functional.avg_pool2d(torch.from_numpy(relief(0.1))[None], 2)[0].numpy()
    assert small.maps.shape[1:] == (32, 32) and np.abs(small.maps[0] - wanted).max() < 0.02


def spoil_identity(root):
    (root / "person01" / "identity.json").write_text('{"identity": [1, 2]}')


def lose_identity(root):
    (root / "person01" / "identity.json").unlink()


def lose_map(root):
    (root / "person01" / "smile" / "map.png").unlink()


def spoil_map(root):
    (root / "person01" / "smile" / "map.png").write_bytes(b"no image")


def spoil_expression(root):
    (root / "person01" / "smile" / "expression.json").write_text('{"smile": 1}')


def lose_expression(root):
    (root / "person01" / "smile" / "expression.json").unlink()


def metres(root):
    (root / "person01" / "smile" / "map.png").unlink()
    np.save(root / "person01" / "smile" / "map.npy", relief(5000))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (spoil_identity, "identity.json"),
        (lose_identity, "neither identity coefficients nor a mesh"),
        (lose_map, "smile"),
        (spoil_map, "map.png"),
        (spoil_expression, "expression.json"),
        (lose_expression, "expression.json"),
        (metres, "millimetres"),
    ],
)
def test_a_broken_plain_set_is_refused_by_name(plain, tmp_path, damage, named):
    damage(plain)
    settings = {"sets": {"coarse": {"people": 100, "expressions": 6, "resolution": 32}}}
    with pytest.raises(UserError, match=named) as refused:
        open_scans(plain, "folder", tmp_path / "data", settings)
    assert "person01" in str(refused.value)


def test_too_few_people_and_no_folder(tmp_path):
    settings = {"sets": {"coarse": {"people": 100, "expressions": 6, "resolution": 32}}}
    with pytest.raises(UserError, match="no such folder"):
        open_scans(tmp_path / "nowhere", "folder", tmp_path / "data", settings)
    (tmp_path / "empty").mkdir()
    for layout in own_scans.LAYOUTS:
        with pytest.raises(UserError, match="empty"):
            open_scans(tmp_path / "empty", layout, tmp_path / "data", settings)
    write_plain(tmp_path / "one", 1)
    with pytest.raises(UserError, match="too few"):
        open_scans(tmp_path / "one", "folder", tmp_path / "data", settings)


def test_identity_and_expression_are_found_from_a_registered_mesh(tmp_path):
    wanted = FACE.sample_identity(3)
    face = np.zeros(52, np.float32)
    face[[EXPRESSION_NAMES.index(name) for name in ("jawOpen", "browInnerUp")]] = 0.6, 0.9
    path = tmp_path / "neutral.obj"
    write_mesh(path, FACE.neutral(wanted) @ TURN.T * 1000 + 7)
    found, missed = fit_identity(FACE, read_obj_vertices(path, FACE.vertex_count))
    assert missed < 0.5
    assert np.sqrt(((FACE.neutral(found) - FACE.neutral(wanted)) ** 2).sum(1).mean()) < 1.5e-3
    expression = fit_expression(FACE, wanted, FACE.evaluate(wanted, face) @ TURN.T + 0.1)
    assert np.abs(expression - face).max() < 0.15
    with pytest.raises(UserError, match="vertices"):
        read_obj_vertices(path, 12)
    path.write_text("v 1 2\nv x y z\n")
    with pytest.raises(UserError, match=r"neutral\.obj"):
        read_obj_vertices(path, 2)


def test_a_person_of_the_plain_layout_may_have_a_mesh_instead(plain):
    (plain / "person02" / "identity.json").unlink()
    write_mesh(plain / "person02" / "neutral.obj", FACE.neutral(FACE.sample_identity(2)))
    people, _ = read_folder(plain, FACE)
    assert (
        np.sqrt(
            ((FACE.neutral(people[2].identity) - FACE.neutral(FACE.sample_identity(2))) ** 2).sum(1).mean()
        )
        < 1.5e-3
    )


@pytest.mark.slow
def test_facescapes_layout_is_read_as_it_is(published, tmp_path):
    people, read = read_facescape_maps(published, FACE)
    assert [one.name for one in people] == ["1", "2", "3"] and all(len(one.maps) == 3 for one in people)
    assert all(not one.maps[0][0].any() and one.maps[0][1].stem == "1_neutral" for one in people)
    by_file = {path.stem: face for face, path in people[0].maps}
    assert by_file["19_brow_raiser"][EXPRESSION_NAMES.index("browInnerUp")] == pytest.approx(0.7, abs=0.15), (
        "fitted to the mesh"
    )
    assert by_file["2_smile"][EXPRESSION_NAMES.index("mouthSmileLeft")] == pytest.approx(0.9), (
        "no mesh: from the list"
    )
    assert people[0].skin[0] == pytest.approx(
        np.clip((70 - FACE.age_years(people[0].identity)) / 9, -2.5, 2.5), abs=1e-5
    )
    assert not people[1].skin.any(), "the list does not give this age"
    np.testing.assert_allclose(read(people[0].maps[0][1]), relief(0.11), atol=2e-4)
    maps = scanned_maps.make_scanned_set(tmp_path / "data", people, read, SIZE, FACE)
    assert len(maps) == 9 and np.abs(maps.maps[0] - relief(0.11)).max() < 2e-3


def test_facescapes_list_is_complete():
    assert sorted(EXPRESSIONS) == list(range(1, 21)) and not EXPRESSIONS[1][1]
    assert all(name in EXPRESSION_NAMES for _, units in EXPRESSIONS.values() for name in units)


@pytest.mark.slow
def test_a_broken_facescape_set_is_refused_by_name(published):
    eight = published / "2" / "dpmap" / "19_brow_raiser.png"
    eight.write_bytes(b"x")
    with pytest.raises(UserError, match=r"19_brow_raiser\.png"):
        read_grey16(eight)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(eight)
    with pytest.raises(UserError, match="16-bit"):
        read_grey16(eight)
    (published / "2" / "dpmap" / "19_wink.png").write_bytes(b"x")
    with pytest.raises(UserError, match="19_wink"):
        read_facescape_maps(published, FACE)
    (published / "2" / "dpmap" / "19_wink.png").unlink()
    (published / "2" / "models_reg" / "1_neutral.obj").unlink()
    with pytest.raises(UserError, match=r"1_neutral\.obj"):
        read_facescape_maps(published, FACE)
    (published / "facescape.json").write_text('{"zero": 32768}')
    with pytest.raises(UserError, match=r"facescape\.json"):
        read_facescape_maps(published, FACE)


CONFIGURATION = """
[sets.coarse]
people = 100
expressions = 3
resolution = 32
rendered = 256

[generator]
resolution = 32
latent_width = 32
channel_base = 128
channel_most = 8
constants = {{ 32 = 5 }}
constants_seen = 2
field_resolution = 16

[encoder]
hidden = 16
styles = [4, 2, 2]
latent_width = 32

[principal]
steps = 20
batch = 8
rate = 1e-3

[{stage}]
resolution = 32
steps = 2
batch = 3
rate = 1e-3
square = 1.0
octaves = 2
log_steps = 1
"""


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.parametrize("layout", ["folder", "facescape"])
def test_both_trainings_learn_from_scans_and_resume(layout, tmp_path, capsys):
    scans = tmp_path / "scans"
    write_plain(scans, 12) if layout == "folder" else write_facescape(scans, 11)
    for stage in ("coarse", "encoder_training"):
        (tmp_path / f"{stage}.toml").write_text(CONFIGURATION.format(stage=stage))
    given = ["--maps", str(scans), "--layout", layout, "--data", str(tmp_path / "data"), "--device", "cpu"]
    words = [
        "train",
        "dnpm",
        "--config",
        str(tmp_path / "coarse.toml"),
        "--out",
        str(tmp_path / "dnpm"),
        *given,
    ]
    assert main(words) == 0
    said = capsys.readouterr().err
    assert f"({layout})" in said and "minutes_left" in said
    card = (tmp_path / "dnpm" / "dnpm.md").read_text()
    assert "scans in the" in card and "CC0" not in card
    assert main([*words, "--resume"]) == 0
    network = str(tmp_path / "dnpm" / "dnpm.safetensors")
    more = ["--out", str(tmp_path / "dnpm"), "--generator", network]
    assert (
        main(["train", "detail-encoder", "--config", str(tmp_path / "encoder_training.toml"), *more, *given])
        == 0
    )
    model = Detailed3DMM.load(tmp_path / "dnpm", "cpu")
    people = np.stack([FACE.sample_identity(n) for n in (1, 2)])
    found = model.displacement(people, np.zeros((2, 16)), np.zeros((2, 52)), 32)
    assert np.isfinite(found).all() and found.std() > 0
    assert (
        main(["train", "dnpm", "--config", str(tmp_path / "coarse.toml"), "--maps", str(tmp_path / "none")])
        == 2
    )
    assert "none" in capsys.readouterr().err
