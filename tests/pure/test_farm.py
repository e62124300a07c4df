"""Folders in pieces and on a Ray cluster: the same results, each once, resumed, with failures listed."""

import argparse
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ml_backend.__main__ import main
from ml_backend.audio.read_audio import read_audio
from ml_backend.errors import UserError
from ml_backend.farm.folder_job import run_folder_job
from ml_backend.farm.items import RECORD, Item, Outcome, parse_shard, share_of
from ml_backend.farm.ray_cluster import local_workers
from ml_backend.files.displacement_file import read_displacement

DEMO = Path(__file__).resolve().parents[2] / "ml_backend/assets/demo_speech.wav"


def options(**changed) -> argparse.Namespace:
    return argparse.Namespace(**{"shard": "", "cluster": "", "again": False, **changed})


def items_of(folder: Path, count: int) -> list[Item]:
    sources = [folder / f"{number}.in" for number in range(count)]
    for number, source in enumerate(sources):
        source.write_text(str(number))
    return [Item(str(source), folder / "out" / f"{source.stem}.txt") for source in sources]


def double(item: Item) -> Outcome:
    """Writes twice the number of a file; 3 is refused, 4 is a fault."""
    number = int(Path(item.source).read_text())
    if number == 3:
        raise UserError(f"{item.source}: is three.", "Take another.")
    if number == 4:
        raise ZeroDivisionError("four")
    item.target.write_text(str(2 * number))
    return Outcome(f"{item.target}: {2 * number}")


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_pieces_share_every_item_once():
    items = [Item(str(number), Path(str(number))) for number in range(11)]
    for count in (1, 2, 5, 13):
        shares = [share_of(items, f"{number}/{count}") for number in range(1, count + 1)]
        assert sorted(int(item.source) for share in shares for item in share) == list(range(11))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert share_of(items, "") == items
    for wrong in ("0/3", "4/3", "a/b", "3", "1/0", "-1/2", "1/2/3"):
        with pytest.raises(UserError, match="--shard"):
            parse_shard(wrong)
    assert local_workers("local:3") == 3 and local_workers("10.0.0.1:6379") is None
    assert local_workers("local") == os.cpu_count()
    with pytest.raises(UserError, match="--cluster"):
        local_workers("local:none")


def test_failures_do_not_stop_the_others_and_are_repeated_once(tmp_path, capsys):
    items = items_of(tmp_path, 6)
    report = run_folder_job(items, double, {"a": 1}, tmp_path / "out", options())
    said = capsys.readouterr()
    assert sorted(report.failed) == [items[3].source, items[4].source]
    assert (
        "is three" in report.failed[items[3].source] and "ZeroDivisionError" in report.failed[items[4].source]
    )
    assert "once more: 2 that failed" in said.err and said.err.count("failed: ") == 2
    assert [item.target.read_text() for item in items[:3]] == ["0", "2", "4"]

    tries = []

    def unsteady(item: Item) -> Outcome:
        tries.append(item.source)
        if len(tries) == 1:
            raise OSError("the disk was away")
        item.target.write_text("done")
        return Outcome()

    report = run_folder_job(items[3:5], unsteady, {"a": 1}, tmp_path / "out", options())
    assert not report.failed and tries == [items[3].source, items[4].source, items[3].source]


def test_a_job_goes_on_where_it_stopped_and_starts_anew_with_other_options(tmp_path):
    items = items_of(tmp_path, 3)
    out = tmp_path / "out"

    def made(settings, **changed) -> list[str]:
        report = run_folder_job(items, double, settings, out, options(**changed))
        return [Path(source).stem for source in report.outcomes]

    assert made({"fps": 30}, shard="2/3") == ["1"]
    assert made({"fps": 30}) == ["0", "2"]
    assert made({"fps": 30}) == []
    assert made({"fps": 30}, again=True) == ["0", "1", "2"]
    assert made({"fps": 24}, shard="1/2") == ["0", "2"]
    assert made({"fps": 24}) == ["1"], "what other options made is made anew"
    later = time.time() + 5
    os.utime(items[1].source, (later, later))
    assert made({"fps": 24}) == ["1"], "a source that changed is worked on again"
    (out / RECORD).unlink()
    os.utime(items[1].source, (1, 1))
    assert made({"fps": 25}) == [], "results without a record are an earlier version's"


@pytest.mark.slow
def test_a_local_cluster_makes_what_one_process_makes_also_when_a_worker_dies(tmp_path, capsys):
    recordings = tmp_path / "takes"
    recordings.mkdir()
    voice = read_audio(DEMO)
    for number in range(5):
        soundfile.write(recordings / f"{number}.wav", voice[16000 * number : 16000 * (number + 1)], 16000)
    (recordings / "letter.wav").write_text("Dear reader,")
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(["animate", str(recordings), "--out", str(one)]) == 1
    capsys.readouterr()
    assert main(["animate", str(recordings), "--out", str(two), "--cluster", "local:2"]) == 1
    said = capsys.readouterr()
    assert "6 of 6" in said.out + said.err and "once more: 1" in said.err and "letter.wav" in said.err
    assert contents(one) == contents(two) and len(contents(one)) == 6

    items = items_of(tmp_path, 3)
    parent = os.getpid()

    def fragile(item: Item) -> Outcome:
        killed = item.target.with_suffix(".killed")
        if item.source.endswith("1.in") and not killed.exists():
            killed.write_text("")
            assert os.getpid() != parent
            os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        item.target.write_text("done")
        return Outcome("done")

    report = run_folder_job(items, fragile, {}, tmp_path / "out", options(cluster="local:2"))
    assert not report.failed and len(report.outcomes) == 3
    assert [item.target.read_text() for item in items] == ["done"] * 3
    assert not list(tmp_path.rglob("*.partial"))


def test_an_address_without_a_cluster_and_a_missing_ray_are_said(tmp_path, monkeypatch):
    items = items_of(tmp_path, 1)
    with pytest.raises(UserError, match="no Ray cluster answers"):
        run_folder_job(items, double, {}, tmp_path / "out", options(cluster="127.0.0.1:9"))
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.meta_path", [])
    monkeypatch.delitem(__import__("sys").modules, "ray", raising=False)
    with pytest.raises(UserError, match="needs Ray"):
        run_folder_job(items, double, {}, tmp_path / "out", options(cluster="local"))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["relief", "albedo"])
def test_simulated_people_in_pieces_are_those_of_one_run(tmp_path, what, capsys):
    command = ["simulate", "--what", what, "--count", "3", "--expressions", "2", "--resolution", "256"]
    assert main([*command, "--seed", "5", "--out", str(tmp_path / "one")]) == 0
    for shard in ("2/2", "1/2"):
        assert main([*command, "--seed", "5", "--out", str(tmp_path / "two"), "--shard", shard]) == 0
    assert "2 of 3 people are made by other jobs" in capsys.readouterr().err
    pieces = contents(tmp_path / "two")
    assert pieces.pop(RECORD) and pieces == contents(tmp_path / "one")
    assert main([*command, "--seed", "5", "--out", str(tmp_path / "two"), "--shard", "1/1"]) == 0
    assert "there already" in capsys.readouterr().err
    assert main(["simulate", "--sets", "dnpm", "--out", str(tmp_path / "sets"), "--shard", "1/2"]) == 2


@pytest.mark.slow
def test_curves_are_baked_frame_by_frame_in_pieces(tmp_path, capsys):
    clips = tmp_path / "clips"
    clips.mkdir()
    frames = [[0.0], [1.0]] + [[0.0]] * 15
    (clips / "raise.json").write_text(json.dumps({"fps": 24, "names": ["browInnerUp"], "frames": frames}))
    (clips / "letter.json").write_text("Dear reader,")
    command = ["bake", str(clips), "--identity-seed", "3", "--resolution", "256", "--out"]
    for shard in ("1/2", "2/2"):
        assert main([*command, str(tmp_path / "maps"), "--shard", shard]) == 1
        assert "letter.json" in capsys.readouterr().err
    made = tmp_path / "maps" / "raise"
    assert json.loads((made / "clip.json").read_text()) == {"fps": 24.0, "frames": 17, "curves": "raise.json"}
    assert sorted(path.name for path in made.glob("*.exr")) == [f"{n:04}.exr" for n in range(1, 18)]
    still, raised = (read_displacement(made / f"000{n}.exr") for n in (1, 2))
    assert np.abs(raised - still).max() > 0.05 and np.array_equal(still, read_displacement(made / "0017.exr"))
    (clips / "letter.json").unlink()
    assert main([*command, str(tmp_path / "maps"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"clips": 1, "pieces": 2, "failed": {}}
