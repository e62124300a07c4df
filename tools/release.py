"""Builds a release: the small zip, a zip with the backend for each platform, their indexes and the notes.

python -m tools.release --out dist                                  # what `make release` runs
python -m tools.release --out dist --platforms linux-x64 --pythons 3.11 3.13

  dist/detailed3dmm-VERSION.zip            for every platform; fetches the backend when it is asked to
  dist/index.json                          its extension repository, as Blender reads it
  dist/with-backend/*.zip, index.json      zips that carry the backend, one for each platform
  dist/SHA256SUMS, dist/release-notes.md   checksums; the changelog of this version

The indexes are written by Blender's own `extension server-generate`. Put a folder on any web server and add
the address of its index.json in Preferences > Get Extensions > Repositories. Wheels come as `tools.package`
says.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

from . import package

BACKEND = "with-backend"
INDEX = "index.json"
NEEDED = (
    "__init__.py",
    "blender_manifest.toml",
    "LICENSE",
    "ml_backend/__main__.py",
    "ml_backend/assets/face_model.safetensors",
    "ml_backend/assets/distilled_detail.safetensors",
    "detailed3dmm_addon/worker/hashed_requirements.txt",
)
"""Files without which a zip is broken."""
FORBIDDEN = re.compile(
    r"(^|/)(__pycache__|\.git|\.venv[^/]*|tests|build|dist|benchmarks)(/|$)|\.(pyc|zip|blend1)$"
)


def check_contents(archive: Path, needed: Sequence[str] = NEEDED) -> dict:
    """Checks what a zip holds; returns its manifest.

    Args:
        archive: the zip.
        needed: names that must be inside.

    Raises:
        SystemExit: a file is damaged, missing or forbidden, or the version is not the project's.
    """
    with zipfile.ZipFile(archive) as opened:
        damaged = opened.testzip()
        names = opened.namelist()
        manifest = tomllib.loads(opened.read("blender_manifest.toml").decode())
    wrong = [f"{damaged} is damaged"] if damaged else []
    wrong += [f"{name} is missing" for name in needed if name not in names]
    wrong += [f"{name} does not belong into it" for name in names if FORBIDDEN.search(name)]
    listed = {wheel.removeprefix("./") for wheel in manifest.get("wheels", [])}
    inside = {name for name in names if name.endswith(".whl")}
    wrong += [f"{name} is in the manifest or in the zip alone" for name in sorted(listed ^ inside)]
    if manifest["version"] != project_version():
        wrong.append(f"its version is {manifest['version']}, the project's {project_version()}")
    if wrong:
        sys.exit(f"error: {archive.name}: " + "; ".join(wrong[:8]))
    return manifest


def project_version() -> str:
    """Returns the version in pyproject.toml."""
    return tomllib.loads((package.ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def write_index(folder: Path) -> Path:
    """Writes the extension repository of a folder's zips with Blender's own tool.

    Returns:
        The path of index.json.

    Raises:
        SystemExit: Blender's tool fails, or the index does not fit the zips.
    """
    command = [sys.executable, str(package.extension_tool()), "server-generate", "--repo-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode or "error" in said.lower() or "duplicates" in said:
        sys.exit(f"error: no index of {folder}: {said.strip()}")
    path = folder / INDEX
    index = json.loads(path.read_text("utf-8"))
    index["data"].sort(key=lambda entry: entry["archive_url"])
    path.write_text(json.dumps(index, indent=2) + "\n", "utf-8")
    check_index(path)
    return path


def check_index(path: Path) -> list[dict]:
    """Checks that an index names every zip of its folder, with its size and hash; returns the entries.

    Raises:
        SystemExit: it does not.
    """
    entries = json.loads(path.read_text("utf-8"))["data"]
    named = {entry["archive_url"].removeprefix("./"): entry for entry in entries}
    there = {archive.name for archive in path.parent.glob("*.zip")}
    if set(named) != there:
        sys.exit(f"error: {path}: names {sorted(named)}, but there are {sorted(there)}")
    for name, entry in named.items():
        archive = path.parent / name
        if entry["archive_size"] != archive.stat().st_size:
            sys.exit(f"error: {path}: the size of {name} is another")
        if entry["archive_hash"] != f"sha256:{sha256(archive)}":
            sys.exit(f"error: {path}: the hash of {name} is another")
    return entries


def sha256(path: Path) -> str:
    """Returns the checksum of a file as hexadecimals."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def changes_of(version: str, changelog: str) -> str:
    """Returns the changelog's section of a version; that of Unreleased while it is not empty."""
    sections = re.split(r"^## \[(.+?)\].*$", changelog, flags=re.MULTILINE)
    by_name = {name: text.strip() for name, text in zip(sections[1::2], sections[2::2], strict=True)}
    return by_name.get("Unreleased", "") or by_name.get(version, "")


def write_notes(out: Path) -> Path:
    """Writes SHA256SUMS and release-notes.md beside the zips; returns the path of the notes."""
    version = project_version()
    archives = sorted(path for path in out.rglob("*.zip"))
    sums = {archive.relative_to(out).as_posix(): sha256(archive) for archive in archives}
    text = "".join(f"{checksum}  {name}\n" for name, checksum in sums.items())
    (out / "SHA256SUMS").write_text(text, "utf-8")
    rows = []
    for archive in archives:
        manifest = check_contents(archive, ())
        place = ", ".join(manifest.get("platforms", ["every platform"]))
        name = archive.relative_to(out).as_posix()
        size = f"{archive.stat().st_size / 2**20:.0f} MB"
        rows.append(f"| `{name}` | {place} | {manifest['blender_version_min']} | {size} | `{sums[name]}` |")
    notes = [
        f"# Detailed3DMM {version}",
        "",
        changes_of(version, (package.ROOT / "CHANGELOG.md").read_text("utf-8")),
        "",
        "## Files",
        "",
        "| file | for | Blender from | size | SHA-256 |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]
    path = out / "release-notes.md"
    path.write_text("\n".join(notes), "utf-8")
    return path


def release(out: Path, platforms: Sequence[str], pythons: Sequence[str], wheels: Path) -> None:
    """Builds and checks everything.

    Args:
        out: a folder of its own; what is in it is removed.
        platforms: keys of `package.PLATFORMS`.
        pythons: keys of `package.FIRST_BLENDER`.
        wheels: folder with a folder of wheels for each platform; missing ones are fetched.

    Raises:
        SystemExit: a zip, an index or a wheel is wrong; the message says which.
    """
    shutil.rmtree(out, ignore_errors=True)
    archive = package.build(out)
    check_contents(archive)
    for platform in platforms:
        for python in pythons:
            folder = wheels / f"{platform}-{python}"
            folder.mkdir(parents=True, exist_ok=True)
            made = package.carry(archive, package.fetch_wheels(platform, python, folder), platform, python)
            (out / BACKEND).mkdir(exist_ok=True)
            made = made.replace(out / BACKEND / made.name)
            check_contents(made)
            print(f"{made}: {made.stat().st_size / 2**20:.0f} MB", flush=True)
    write_index(out)
    if platforms:
        write_index(out / BACKEND)
    print(f"{write_notes(out)}: {len(list(out.rglob('*.zip')))} zips")


def main() -> None:
    """Builds the release that the arguments name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=package.ROOT / "dist")
    parser.add_argument(
        "--platforms", nargs="*", choices=package.PLATFORMS, default=list(package.PLATFORMS), metavar="NAME"
    )
    parser.add_argument(
        "--pythons",
        nargs="+",
        choices=package.FIRST_BLENDER,
        default=["3.11"],
        help="of Blender: 3.11 for 4.5 and 5.0, 3.13 from 5.1 on (default: 3.11)",
    )
    parser.add_argument("--wheels", type=Path, default=package.ROOT / "build" / "wheels")
    args = parser.parse_args()
    release(args.out, args.platforms, args.pythons, args.wheels)


if __name__ == "__main__":
    main()
