"""The set of models: the table of stages, a build that is killed and goes on, logs, the folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ml_backend.__main__ import main
from ml_backend.asset_files import ASSETS_VARIABLE, SHIPPED_ASSETS, assets_folder
from ml_backend.errors import UserError
from ml_backend.files.network_file import write_network_file
from ml_backend.files.tensor_file import read_tensors
from ml_backend.files.training_log import read_records, thin_log, thin_records
from ml_backend.models.detail_encoder import DetailEncoder, EncoderConfig
from ml_backend.models.displacement_generator import DisplacementGenerator, GeneratorConfig
from ml_backend.pipelines.asset_stages import CARRIED, KEPT, STAGES, STARTS, maker_of, set_files
from ml_backend.pipelines.build_assets import (
    BuildRequest,
    BuildState,
    build_assets,
    digest,
    duration_text,
    install_set,
    seconds_left,
)
from ml_backend.training.training_curve import read_log
from ml_backend.training.training_run import RunLog, read_configuration

ROOT = Path(__file__).resolve().parents[2]
TINY = """
teacher = { people = 20, expressions = 2 }
teacher_fine = { people = 8, expressions = 2, first_seed = 1000 }
fields = { resolution = 256, components = 8, above = { 512 = 2 } }
network = { hidden = [32, 32, 32] }
[training]
drawn = 100
steps = 600
batch = 32
rate = 2e-3
decay = 0.01
average_steps = 20
log_steps = 5
"""


def test_every_needed_file_is_made_by_an_earlier_stage_or_carried():
    there = {f"assets/{name}" for name in CARRIED}
    for stage in STAGES:
        assert set(stage.needs) <= there, stage.name
        assert stage.minutes > 0 and not set(stage.makes) & there
        there |= set(stage.makes)
    assert len({stage.name for stage in STAGES}) == len(STAGES)
    weights = {path.name for path in SHIPPED_ASSETS.glob("*.safetensors")} - set(KEPT)
    assert {name for name in set_files() if name.endswith(".safetensors")} == weights - set(CARRIED)
    assert set(STARTS) <= weights and all((SHIPPED_ASSETS / name).is_file() for name in CARRIED)
    assert sum(name.endswith(".log.jsonl") for name in set_files()) >= 5
    cards = {name for name in set_files() if name.endswith(".md")}
    assert {card for stage in STAGES for card in stage.fills} <= cards
    assert maker_of("assets/dnpm.safetensors") == "dnpm" and maker_of("assets/other") == ""


@pytest.mark.parametrize("config", ["2core", "gpu"])
def test_every_command_of_the_table_is_understood(config, capsys):
    models = {model for stage in STAGES for model in stage.models}
    settings = {model: read_configuration(config, model) for model in models}
    request = BuildRequest(Path("out"), config, settings, (), "", "anny")
    for stage in STAGES:
        words = request.command(stage) + (["--resume"] if stage.resumes else [])
        assert not any("{" in word for word in words)
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        options = capsys.readouterr().out
        assert ended.value.code == 0
        assert all(word.split("=")[0] in options for word in words if word.startswith("--")), stage.name
        assert all(name in settings[model] for model in stage.models for name in stage.tables)
    sets: dict[str, dict] = {}
    for model in next(stage for stage in STAGES if stage.name == "maps").models:
        for name, table in settings[model]["sets"].items():
            assert sets.setdefault(name, table) == table


def test_configurations_of_two_cores_count_steps_not_minutes():
    for path in (ROOT / "ml_backend" / "training" / "configurations").glob("*-2core.toml"):
        assert "minutes =" not in path.read_text(), path.name


def test_estimates_follow_the_pace_of_finished_stages():
    first, second = STAGES[0], STAGES[1]
    assert seconds_left({}, [first, second]) == pytest.approx(60 * (first.minutes + second.minutes))
    assert seconds_left({}, [first, second], 30) == pytest.approx(60 * (first.minutes + second.minutes) - 30)
    slow = {first.name: 120 * first.minutes}
    assert seconds_left(slow, [second]) == pytest.approx(120 * second.minutes)
    assert seconds_left(slow, [second], 1e6) == 0 == seconds_left(slow, [])
    assert [duration_text(s) for s in (40, 720, 11_100)] == ["40 s", "12 min", "3 h 05 min"]


def test_logs_are_thinned_and_steps_that_were_done_twice_count_once(tmp_path):
    rows = [{"stage": "start", "seconds": 0.0, "power": 0.123456789}]
    rows += [{"stage": "coarse", "seconds": 1.0 * s, "step": s, "loss": 1 / s} for s in range(1, 3001)]
    rows += [{"stage": "fine", "seconds": 3000.0 + s, "step": s, "loss": 2.0} for s in range(1, 50)]
    killed = [{"stage": "fine", "seconds": 4000.0 + s, "step": s, "loss": 1.0} for s in range(31, 61)]
    source = tmp_path / "log.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows + killed) + '{"stage": "fi')
    thin_log(source, tmp_path / "dnpm.log.jsonl")
    kept = read_records(tmp_path / "dnpm.log.jsonl")
    assert 100 < len(kept) <= 300 and (tmp_path / "dnpm.log.jsonl").stat().st_size <= 60_000
    assert kept[0] == {"stage": "start", "seconds": 0.0, "power": 0.12346}
    coarse = [row["step"] for row in kept if row["stage"] == "coarse"]
    assert coarse[0] == 1 and coarse[-1] == 3000 and coarse == sorted(set(coarse))
    fine = [row for row in kept if row["stage"] == "fine"]
    assert [row["step"] for row in fine] == list(range(1, 61))
    assert all(row["loss"] == (1.0 if row["step"] > 30 else 2.0) for row in fine)
    assert set(read_log(tmp_path / "dnpm.log.jsonl")) == {"coarse", "fine"}
    assert thin_records([], 10) == [] and len(thin_records(rows, 20)) <= 20
    wide = [{"stage": "a", "step": s, **{f"figure_{n}": s / 7 for n in range(200)}} for s in range(300)]
    assert sum(len(json.dumps(row)) + 1 for row in thin_records(wide)) <= 60_000


def test_a_log_whose_last_line_was_cut_goes_on(tmp_path):
    RunLog(tmp_path, False).write("fit", step=1, loss=0.5)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"stage": "fit", "seco')
    log = RunLog(tmp_path, True)
    log.write("fit", step=2, loss=0.4)
    assert [record["step"] for record in read_records(tmp_path / "log.jsonl")] == [1, 2]


def test_configurations_come_from_a_folder(tmp_path):
    (tmp_path / "dnpm.toml").write_text("[coarse]\nsteps = 3\n")
    assert read_configuration(str(tmp_path), "dnpm") == {"coarse": {"steps": 3}}
    with pytest.raises(UserError, match="cannot be read"):
        read_configuration(str(tmp_path), "restoration")


def shell(*words: object, **more) -> subprocess.CompletedProcess:
    environment = {**os.environ, **{name: str(value) for name, value in more.pop("environment", {}).items()}}
    return subprocess.run(
        [sys.executable, "-m", "ml_backend", *map(str, words)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False, **more,
    )  # fmt: skip


@pytest.mark.slow
def test_the_variable_names_another_folder_also_for_the_worker(tmp_path, monkeypatch):
    assert assets_folder("") == SHIPPED_ASSETS and assets_folder(str(tmp_path)) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert assets_folder("own") == tmp_path / "own"
    given = {ASSETS_VARIABLE: tmp_path}
    missing = shell("info", environment=given)
    assert missing.returncode == 2
    assert f"{tmp_path / 'face_model.safetensors'}: cannot be read" in missing.stderr
    assert ASSETS_VARIABLE in missing.stderr and "build-assets" in missing.stderr
    shutil.copy2(SHIPPED_ASSETS / "face_model.safetensors", tmp_path)
    found = shell("info", "--json", environment=given)
    assert list(json.loads(found.stdout)["models"]) == ["face_model.safetensors"]
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "os.chdir(sys.argv[1])\n"
        "os.environ['DETAILED3DMM_ASSETS'] = 'own'\n"
        "from ml_backend.process.client import WorkerClient\n"
        "client = WorkerClient(None, sys.argv[2], sys.argv[1])\n"
        "client.start()\n"
        "environment = Path(f'/proc/{client._process.pid}/environ').read_bytes().split(b'\\0')\n"
        "print([e.decode() for e in environment if e.startswith(b'DETAILED3DMM_ASSETS')])\n"
        "client.stop()\n"
    )
    if sys.platform == "linux":
        told = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), str(ROOT)],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert f"DETAILED3DMM_ASSETS={tmp_path / 'own'}" in told.stdout


def prepared(folder: Path) -> Path:
    """A folder of a build with a face model, generator and encoder; a configuration beside it."""
    assets = folder / "out" / "assets"
    assets.mkdir(parents=True)
    (folder / "tiny").mkdir()
    for model in {model for stage in STAGES for model in stage.models}:
        shutil.copy2(
            ROOT / "ml_backend" / "training" / "configurations" / f"{model}-2core.toml",
            folder / "tiny" / f"{model}.toml",
        )
    (folder / "tiny" / "distilled-detail.toml").write_text(TINY)
    shutil.copy2(SHIPPED_ASSETS / "face_model.safetensors", assets)
    torch.manual_seed(0)
    generator = GeneratorConfig(
        resolution=512, latent_width=32, channel_base=256, channel_most=8, constants={}
    )
    encoder = EncoderConfig(identity_size=128, hidden=16, latent_width=32, styles=(8, 4, 4))
    write_network_file(assets / "dnpm.safetensors", DisplacementGenerator(generator), generator, {})
    write_network_file(assets / "detail_encoder.safetensors", DetailEncoder(encoder), encoder, {})
    return folder / "out"


def start(out: Path, *stages: str) -> subprocess.Popen:
    return subprocess.Popen(
        [
            sys.executable, "-m", "ml_backend", "build-assets", "--out", str(out), "--config",
            str(out.parent / "tiny"), "--only", *stages, "--json",
        ],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def steps_logged(out: Path) -> int:
    path = out / "runs" / "distilled-detail" / "log.jsonl"
    return max((row.get("step", 0) for row in read_records(path)), default=0) if path.exists() else 0


def wait_for(condition, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.02)


@pytest.mark.train
@pytest.mark.slow
def test_a_build_that_is_killed_goes_on_and_makes_the_same_files(tmp_path):
    """SIGKILL on the build alone, in the middle of the training: its child ends too; the next run goes on."""
    whole = prepared(tmp_path / "whole")
    unbroken = start(whole, "distilled-detail")
    said, told = unbroken.communicate(timeout=120)
    assert unbroken.returncode == 0, told
    assert set(json.loads(said)["seconds"]) == {"distilled-detail"}
    assert "stage 1 of 1: distilled-detail" in told and "left" in told

    broken = prepared(tmp_path / "broken")
    killed = start(broken, "distilled-detail", "latent-directions")
    wait_for(lambda: steps_logged(broken) >= 50, 90)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    time.sleep(0.5)
    reached = steps_logged(broken)
    assert reached < 600, "the child had finished: it was not killed in the middle"
    time.sleep(0.5)
    assert steps_logged(broken) == reached, "the child outlived the build"
    state = BuildState.read(broken / "build_assets.json")
    assert set(state.begun) == {"distilled-detail"} and not state.finished

    resumed = start(broken, "distilled-detail", "latent-directions")
    _, told = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, told
    record = json.loads((broken / "build_assets.json").read_text())["finished"]
    assert record["distilled-detail"]["command"].endswith("--resume")
    assert record["latent-directions"]["seconds"] > 0
    one, other = (read_tensors(out / "assets" / "distilled_detail.safetensors")[0] for out in (whole, broken))
    assert set(one) == set(other)
    for key, values in one.items():
        np.testing.assert_array_equal(values, other[key], err_msg=key)
    for name in ("distilled_detail", "latent_directions"):
        assert (broken / "assets" / f"{name}.md").read_text().startswith("# ")
    logs = [read_records(out / "assets" / "distilled_detail.log.jsonl") for out in (whole, broken)]
    curves = [
        [(row["step"], row["unseen"]) for row in log if "unseen" in row and "step" in row] for log in logs
    ]
    assert curves[0] == curves[1] and curves[0][-1][0] == 600
    assert "600 steps" in (broken / "assets" / "distilled_detail.md").read_text()

    request = BuildRequest(
        broken,
        str(broken.parent / "tiny"),
        {m: read_configuration(str(broken.parent / "tiny"), m) for s in STAGES for m in s.models},
        ("distilled-detail", "latent-directions"),
    )
    lines: list[str] = []
    build_assets(request, lines.append)
    assert lines == [], "finished stages were made again"
    by_name = {stage.name: stage for stage in STAGES}
    (broken / "assets" / "detail_encoder.safetensors").write_bytes(b"another encoder")
    state = BuildState.read(broken / "build_assets.json")
    assert not state.is_done(by_name["latent-directions"], request)
    with pytest.raises(UserError, match="not a complete safetensors file"):
        build_assets(request, lines.append)
    assert not (broken / "runs" / "distilled-detail" / "checkpoint.safetensors").exists(), "began anew"


def test_what_is_missing_or_too_large_is_named(tmp_path, monkeypatch):
    settings = {m: read_configuration("2core", m) for s in STAGES for m in s.models}
    with pytest.raises(UserError, match="there is no such stage"):
        build_assets(BuildRequest(tmp_path, "2core", settings, ("dmpn",)), print)
    with pytest.raises(UserError, match=r"face_model\.safetensors: missing.*The stage face-model makes it"):
        build_assets(BuildRequest(tmp_path, "2core", settings, ("latent-directions",)), print)
    request = BuildRequest(tmp_path, "2core", settings)
    assert (tmp_path / "assets" / "speech.safetensors").is_file(), "what no stage makes is carried over"
    with pytest.raises(UserError, match=r"not complete.*dnpm\.safetensors"):
        install_set(request, tmp_path / "target", print)
    for name in set_files():
        (tmp_path / "assets" / name).write_text("x" * 1000)
    monkeypatch.setattr("ml_backend.pipelines.build_assets.LARGEST_SET_MB", 1.0)
    with pytest.raises(UserError, match=r"MB, more than 1; nothing was copied"):
        install_set(request, tmp_path / "target", print)
    assert not (tmp_path / "target").exists()
    monkeypatch.undo()
    lines: list[str] = []
    total = install_set(request, tmp_path / "target", lines.append)
    assert {path.name for path in (tmp_path / "target").iterdir()} == {*set_files(), *CARRIED}
    carried = sum((SHIPPED_ASSETS / name).stat().st_size for name in CARRIED)
    assert total == pytest.approx((1000 * len(set_files()) + carried) / 1e6)
    assert "150 at most" in lines[-1] and len(lines) == len(set_files()) + 1
    (tmp_path / "build_assets.json").write_text("[]")
    with pytest.raises(UserError, match="is not the state of a build"):
        build_assets(request, print)
    assert main(["build-assets", "--config", "one.toml", "--out", str(tmp_path)]) == 2


def test_a_changed_input_makes_an_installed_set_out_of_date(tmp_path):
    settings = {m: read_configuration("2core", m) for s in STAGES for m in s.models}
    request = BuildRequest(tmp_path, "2core", settings)
    (tmp_path / "assets").mkdir()
    for name in set_files():
        (tmp_path / "assets" / name).write_text("x")
    directions = next(stage for stage in STAGES if stage.name == "latent-directions")
    state = BuildState(tmp_path / "build_assets.json")
    state.finished[directions.name] = {"inputs": request.inputs(directions), "seconds": 1.0}
    state.write()
    assert BuildState.read(state.path).is_done(directions, request)
    before = digest(tmp_path / "assets")
    (tmp_path / "assets" / "dnpm.safetensors").write_text("another generator")
    assert digest(tmp_path / "assets") != before and digest(tmp_path / "none") == ""
    with pytest.raises(UserError, match="out of date: the inputs of latent-directions"):
        install_set(request, tmp_path / "target", print)
