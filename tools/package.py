"""Builds and validates the extension's zip; on request for one platform, with the backend's wheels.

python -m tools.package --out dist
python -m tools.package --out dist --platform linux-x64 --python 3.11      # needs nothing but Blender
afterwards

Wheels come from the index that pip is set to. For Linux they must be PyTorch's CPU ones: name its CPU index
in PIP_EXTRA_INDEX_URL, or a folder that holds them in PIP_FIND_LINKS. Blender brings its own numpy.
"""

import argparse
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKER = ROOT / "detailed3dmm_addon" / "worker"
REQUIREMENTS = (WORKER / "requirements.txt", WORKER / "requirements-networks.txt")
PLATFORMS = {
    "linux-x64": (
        "linux",
        "x86_64",
        (
            "manylinux_2_28_x86_64",
            "manylinux_2_27_x86_64",
            "manylinux_2_17_x86_64",
            "manylinux2014_x86_64",
            "manylinux_2_5_x86_64",
        ),
    ),
    "windows-x64": ("win32", "AMD64", ("win_amd64",)),
    "macos-arm64": (
        "darwin",
        "arm64",
        (
            "macosx_14_0_arm64",
            "macosx_12_0_arm64",
            "macosx_11_0_arm64",
            "macosx_11_0_universal2",
            "macosx_10_9_universal2",
            "macosx_10_13_universal2",
        ),
    ),
}
FIRST_BLENDER = {"3.11": "4.5.0", "3.13": "5.1.0"}
"""By version of Python: the first Blender that has it, with a numpy that is new enough."""


def extension_tool() -> Path:
    """Returns the path of Blender's extension builder inside the installed bpy."""
    import bpy

    tool = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
    if not tool.is_file():
        sys.exit(
            f"error: {tool} is missing: this bpy has no extension builder; "
            "install the pinned version with `make install`"
        )
    return tool


def build(out: Path) -> Path:
    """Builds and validates the zip.

    Args:
        out: the folder that it goes to.

    Returns:
        The zip's path.
    """
    out.mkdir(parents=True, exist_ok=True)
    tool = str(extension_tool())
    before = set(out.glob("*.zip"))
    subprocess.run(
        [sys.executable, tool, "build", "--source-dir", str(ROOT), "--output-dir", str(out)], check=True
    )
    made = next(iter(set(out.glob("*.zip")) - before), None) or max(
        before, key=lambda path: path.stat().st_mtime
    )
    subprocess.run([sys.executable, tool, "validate", str(made)], check=True)
    return made


def wanted_packages(platform: str, python: str) -> list[str]:
    """Returns the pinned packages of a platform, without numpy.

    Args:
        platform: a key of PLATFORMS.
        python: "3.11" or "3.13".
    """
    from packaging.requirements import Requirement

    system, machine, _ = PLATFORMS[platform]
    place = {
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    lines = [
        Requirement(line)
        for path in REQUIREMENTS
        for line in path.read_text("utf-8").splitlines()
        if line.strip()
    ]
    chosen = [
        line
        for line in lines
        if line.marker is None or line.marker.evaluate({**place, "implementation_name": "cpython"})
    ]
    return [f"{line.name}{line.specifier}" for line in chosen if line.name != "numpy"]


def fetch_wheels(platform: str, python: str, folder: Path) -> list[Path]:
    """Downloads a platform's wheels that the folder does not hold yet.

    Returns:
        The wheels, one a package.
    """
    _, _, tags = PLATFORMS[platform]
    packages, abi = wanted_packages(platform, python), "cp" + python.replace(".", "")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        "--find-links",
        str(folder),
    ]
    command += [
        "--python-version",
        python,
        "--implementation",
        "cp",
        "--abi",
        abi,
        "--abi",
        "abi3",
        "--abi",
        "none",
    ]
    if subprocess.run(
        [*command, *(word for tag in tags for word in ("--platform", tag)), *packages], check=False
    ).returncode:
        sys.exit(f"error: the wheels for {platform} could not be fetched; the lines above say why")
    names = {package.split("==")[0].lower().replace("-", "_") for package in packages}
    wheels = sorted(path for path in folder.glob("*.whl") if path.name.split("-")[0].lower() in names)
    torch = next(path for path in wheels if path.name.startswith("torch-"))
    if platform.startswith("linux") and "+cpu" not in torch.name:
        sys.exit(
            f"error: {torch.name} is the build for NVIDIA GPUs, which needs 2 GB more: "
            "name PyTorch's CPU index in PIP_EXTRA_INDEX_URL"
        )
    return wheels


def carry(archive: Path, wheels: list[Path], platform: str, python: str) -> Path:
    """Copies a zip and puts wheels into it.

    Args:
        archive: the zip that `build` made.
        wheels: the wheels to add.
        platform: a key of PLATFORMS.
        python: "3.11" or "3.13".

    Returns:
        The new zip's path, beside the old one.
    """
    made = archive.with_name(f"{archive.stem}-{platform.replace('-', '_')}-py{python.replace('.', '')}.zip")
    listed = ",\n".join(f'  "./wheels/{wheel.name}"' for wheel in wheels)
    added = f'platforms = ["{platform}"]\nwheels = [\n{listed},\n]\n\n[permissions]'
    with (
        zipfile.ZipFile(archive) as source,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as target,
    ):
        for item in source.infolist():
            content = source.read(item)
            if item.filename == "blender_manifest.toml":
                text = content.decode().replace(
                    'blender_version_min = "4.2.0"', f'blender_version_min = "{FIRST_BLENDER[python]}"'
                )
                content = text.replace("[permissions]", added, 1).encode()
            target.writestr(item, content)
        for wheel in wheels:
            target.write(wheel, f"wheels/{wheel.name}", zipfile.ZIP_STORED)
    subprocess.run([sys.executable, str(extension_tool()), "validate", str(made)], check=True)
    return made


def main() -> None:
    """Builds the zip that the arguments name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--platform", choices=PLATFORMS, help="carry the wheels of this platform")
    parser.add_argument(
        "--python",
        choices=FIRST_BLENDER,
        default="3.11",
        help="of Blender: 3.11 up to 5.0, 3.13 from 5.1 on (default: 3.11)",
    )
    parser.add_argument(
        "--wheels",
        type=Path,
        help="folder of the wheels; missing ones are fetched (default: build/wheels/PLATFORM)",
    )
    args = parser.parse_args()
    archive = build(args.out)
    if args.platform:
        folder = args.wheels or ROOT / "build" / "wheels" / f"{args.platform}-{args.python}"
        folder.mkdir(parents=True, exist_ok=True)
        archive = carry(archive, fetch_wheels(args.platform, args.python, folder), args.platform, args.python)
    print(f"{archive}: {archive.stat().st_size / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
