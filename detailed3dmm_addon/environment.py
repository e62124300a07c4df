"""The managed environment: a Python of the extension's own with PyTorch in it, installed in steps by child processes."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import bpy

from ..ml_backend.errors import UserError
from .preferences import ROOT_PACKAGE

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
DOWNLOAD_MEGABYTES = 450
"""What the pinned packages weigh, about; shown before they are fetched."""


def user_folder(name: str) -> Path:
    """A folder of the extension's that may be written to, made if it is missing."""
    return Path(bpy.utils.extension_path_user(ROOT_PACKAGE, path=name, create=True))


def environment_python() -> Path:
    """The managed environment's Python, whether or not it exists yet."""
    place = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return user_folder("").joinpath("environment", *place)


def is_installed() -> bool:
    """Whether the managed environment was installed to its end."""
    return environment_python().exists() and (user_folder("") / "environment" / "complete").exists()


@dataclass
class Installation:
    """An installation that is under way; `advance` is called from a timer until it says that it is done.

    Attributes:
        message: the last line of what the running step says.
        fraction: of the steps done, 0 to 1.
    """

    message: str = "Preparing"
    fraction: float = 0.0
    _steps: list[list[str]] = field(default_factory=list)
    _process: subprocess.Popen | None = None
    _log: IO[bytes] | None = None
    _started: int = 0

    @property
    def log_path(self) -> Path:
        """Everything that the steps said."""
        return user_folder("") / "install.log"

    def start(self) -> None:
        """Begins from nothing: an environment left half-way is removed.

        Raises:
            UserError: the folder cannot be written to.
        """
        folder = user_folder("") / "environment"
        try:
            shutil.rmtree(folder, ignore_errors=False) if folder.exists() else None
            self._log = self.log_path.open("wb")
        except OSError as error:
            raise UserError(f"{folder}: cannot be replaced ({error.strerror}).", "Close other Blenders, or free the folder.") from error
        python = str(environment_python())
        self._steps = [
            [sys.executable, "-m", "venv", str(folder)],
            [python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", "-r", str(REQUIREMENTS)],
            [python, "-c", "import torch, numpy, scipy, soundfile, soxr; print('PyTorch', torch.__version__)"],
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
            self.message = self.log_tail(1)[:120] or self.message
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
            (user_folder("") / "environment" / "complete").write_text("")
            self._close()
            return True
        self.fraction = (0.02, 0.08, 0.95)[self._started]
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        self._process = subprocess.Popen(
            self._steps[self._started],
            cwd=tempfile.gettempdir(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._started += 1
        return False

    def cancel(self) -> None:
        """Ends the running step; the half-made environment is not used and is replaced by the next installation."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._close()

    def log_tail(self, lines: int) -> str:
        """The last lines of the log."""
        text = self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""
        return " ".join(text.split("\n")[-lines - 1 :]).strip()

    def _close(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None


_running: Installation | None = None


def running_installation() -> Installation | None:
    """The installation under way, or None."""
    return _running


def set_running_installation(installation: Installation | None) -> None:
    """Notes which installation the panels show."""
    global _running
    _running = installation
