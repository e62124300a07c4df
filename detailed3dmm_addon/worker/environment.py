"""The managed environment: the extension's own Python with PyTorch; its folders, and the kinds of PyTorch."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import bpy

from ...ml_backend.errors import UserError
from .preferences import ROOT_PACKAGE, preferences


@dataclass(frozen=True)
class Build:
    """A kind of PyTorch.

    Attributes:
        label: for people.
        description: for people.
        download_mb: approximate size of the download.
        disk_mb: approximate size once installed.
        torch_index: the installer's name for the index of PyTorch's own builds; empty for the usual index.
        is_verified: whether packages of the usual index must have the hashes that this repository lists.
        device: the kind of device that must be there afterwards; empty for any.
    """

    label: str
    description: str
    download_mb: int
    disk_mb: int
    torch_index: str = ""
    is_verified: bool = True
    device: str = ""


BUILDS = {
    "CPU": Build("CPU", "Works everywhere; a full map takes about a second", 360, 1340, torch_index="cpu"),
    "CUDA": Build(
        "NVIDIA GPU",
        "For the CUDA version that your driver knows",
        3035,
        7740,
        torch_index="auto",
        device="cuda",
    ),
    "APPLE": Build("Apple GPU", "For Macs with Apple's own processors", 245, 1010, device="mps"),
    "INDEX": Build(
        "Own Package Index",
        "Whatever PyTorch the index has that pip or uv is set to, as in a studio",
        360,
        1340,
        is_verified=False,
    ),
}


def available_builds() -> tuple[str, ...]:
    """Returns the kinds of PyTorch for this system, the likeliest first."""
    if sys.platform == "darwin":
        return ("APPLE", "INDEX")
    nvidia = shutil.which("nvidia-smi") is not None
    return ("CUDA", "CPU", "INDEX") if nvidia else ("CPU", "CUDA", "INDEX")


def chosen_build() -> str:
    """Returns the kind that the preferences ask for, or the likeliest."""
    chosen = preferences()
    name = chosen.build if chosen is not None else "AUTO"
    return name if name in available_builds() else available_builds()[0]


def user_folder(name: str) -> Path:
    """Returns a writable folder of the extension, made if it is missing."""
    return Path(bpy.utils.extension_path_user(ROOT_PACKAGE, path=name, create=True))


def python_of(folder: Path) -> Path:
    """Returns the Python of a virtual environment."""
    return folder.joinpath(*(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


def environment_python() -> Path:
    """Returns the managed environment's Python, which may not exist yet."""
    return python_of(user_folder("") / "environment")


def is_installed() -> bool:
    """Tells whether the managed environment is complete."""
    return environment_python().exists() and _stamp().exists()


def installed_build() -> str:
    """Returns the installed kind of PyTorch, or an empty string."""
    return _stamp().read_text("utf-8").strip() if is_installed() else ""


def leftovers() -> bool:
    """Tells whether there is anything for `remove` to delete."""
    return any((user_folder("") / name).exists() for name in _FOLDERS)


def remove() -> None:
    """Deletes the managed environment, its installer and the downloads.

    Raises:
        UserError: a file is in use.
    """
    for name in _FOLDERS:
        delete_folder(user_folder("") / name)


def log_path() -> Path:
    """Returns the log of the last installation's steps."""
    return user_folder("") / "install.log"


_FOLDERS = ("environment", "installer", "downloads")


def _stamp() -> Path:
    return user_folder("") / "environment" / "complete"


def delete_folder(folder: Path) -> None:
    """Deletes a folder if it is there.

    Raises:
        UserError: a file is in use.
    """
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be replaced ({error.strerror}).", "Close other Blenders, or free the folder."
        ) from error


def can_install_offline() -> bool:
    """Tells whether everything was fetched before: a repair then needs no network."""
    fetched = user_folder("") / "downloads" / "complete"
    installer = python_of(user_folder("") / "installer")
    return installer.exists() and fetched.exists() and fetched.read_text("utf-8").strip() == chosen_build()


def needs_network() -> bool:
    """Tells whether an installation would have to download something."""
    return not can_install_offline()
