"""The folder of the models and their cards: the one that ships with the package, or a studio's own.

The environment variable DETAILED3DMM_ASSETS names another folder, for this process and those that it starts.
`build-assets` sets it, so that later stages learn on the new face model while the shipped files stay.
"""

import os
from pathlib import Path

ASSETS_VARIABLE = "DETAILED3DMM_ASSETS"
SHIPPED_ASSETS = Path(__file__).resolve().parent / "assets"


def assets_folder(named: str) -> Path:
    """Returns the folder that the variable's text names, absolute; "" is the shipped one."""
    return Path(os.path.abspath(Path(named).expanduser())) if named else SHIPPED_ASSETS


ASSETS = assets_folder(os.environ.get(ASSETS_VARIABLE, ""))


def assets_environment() -> dict[str, str]:
    """Returns what a child process needs to see the same folder, also where it runs in another one."""
    return {} if ASSETS == SHIPPED_ASSETS else {ASSETS_VARIABLE: str(ASSETS)}


def missing_file_remedy(path: Path) -> str:
    """Returns a sentence for people about a file that cannot be read."""
    if ASSETS != SHIPPED_ASSETS and path.parent == ASSETS:
        return (
            f"{ASSETS_VARIABLE} names this folder: put the file there, or unset the variable. "
            "`python -m ml_backend build-assets` makes a whole set."
        )
    return "Check the path, or reinstall the extension."
