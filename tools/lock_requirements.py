"""Writes the hashes of the packages that Install Backend fetches.

python -m tools.lock_requirements            # after every change of the requirements
python -m tools.lock_requirements --check    # only compares the pins; needs no network

Reads the pins in requirements.txt and requirements-networks.txt of detailed3dmm_addon/worker, and the
installer's version in installation.py; writes hashed_requirements.txt, hashed_torch.txt, hashed_networks.txt
and hashed_installer.txt beside them. The hashes are those of the package index that pip is set to.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

WORKER = Path(__file__).resolve().parent.parent / "detailed3dmm_addon" / "worker"


def installer_pin() -> str:
    """Returns the installer's pin: "uv==0.13.9"."""
    text = (WORKER / "installation.py").read_text("utf-8")
    pin = re.search(r'^INSTALLER = "(\S+==\S+)"$', text, re.MULTILINE)
    if pin is None:
        raise SystemExit("error: installation.py holds no INSTALLER")
    return pin[1]


def hand_written_pins(name: str) -> list[str]:
    """Returns the lines of a list of pins that are not comments."""
    lines = (WORKER / name).read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def pins_by_file() -> dict[str, list[str]]:
    """Returns the pins that each file of hashes must hold, with their markers, by the file's name."""
    pins = hand_written_pins("requirements.txt")
    torch = [line for line in pins if line.startswith("torch==")]
    return {
        "hashed_requirements.txt": [line for line in pins if line not in torch],
        "hashed_torch.txt": torch,
        "hashed_networks.txt": hand_written_pins("requirements-networks.txt"),
        "hashed_installer.txt": [installer_pin()],
    }


def hashed_pins(path: Path) -> list[str]:
    """Returns the pins that a file of hashes holds, with their markers.

    Raises:
        SystemExit: a pin has no hash.
    """
    text = path.read_text("utf-8").replace("\\\n", " ") if path.exists() else ""
    pins = []
    for line in filter(None, map(str.strip, text.splitlines())):
        pin, *hashes = re.split(r"\s+--hash=", line)
        if not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", value.strip()) for value in hashes):
            raise SystemExit(f"error: {path.name}: {pin} has no hash; run python -m tools.lock_requirements")
        pins.append(pin)
    return pins


def outdated() -> list[str]:
    """Returns the pins that a file of hashes lacks or holds too much."""
    differences = []
    for name, pins in pins_by_file().items():
        difference = set(map(plain, pins)) ^ set(map(plain, hashed_pins(WORKER / name)))
        differences += [f"{name}: {pin}" for pin in sorted(difference)]
    return differences


def plain(pin: str) -> str:
    """Returns a pin without what two writers of the same marker do differently."""
    name, _, rest = pin.partition("==")
    return f"{name.lower().replace('_', '-')}=={rest}".replace('"', "'").replace(" ", "")


def installer_python(folder: Path) -> Path:
    """Makes a virtual environment with the installer in it and returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", installer_pin()], check=True
    )
    return python


def main() -> int:
    """Writes or checks the files; the status says whether they are out of date."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare the pins alone")
    if not parser.parse_args().check:
        with tempfile.TemporaryDirectory(prefix="d3dmm-lock-") as folder:
            python = installer_python(Path(folder) / "environment")
            for name, pins in pins_by_file().items():
                source = Path(folder) / "pins.in"
                source.write_text("\n".join(pins) + "\n", "utf-8")
                command = [python, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--no-deps"]
                command += ["--generate-hashes", "--python-version", "3.11", "--no-header", "--no-annotate"]
                command += [source, "--output-file", Path(folder) / name]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                (WORKER / name).write_text((Path(folder) / name).read_text("utf-8"), "utf-8")
                print(f"{name}: {len(pins)} packages")
    differences = outdated()
    for difference in differences:
        print(f"out of date: {difference}", file=sys.stderr)
    return int(bool(differences))


if __name__ == "__main__":
    sys.exit(main())
