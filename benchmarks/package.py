"""Builds the extension's zip with Blender's own tool, and validates it.

python -m benchmarks.package --out dist
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def extension_tool() -> Path:
    """The path of Blender's extension builder, inside the installed bpy."""
    import bpy

    tool = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
    if not tool.is_file():
        sys.exit(f"error: {tool} is missing: this bpy has no extension builder; install the pinned version with `make install`")
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
    subprocess.run([sys.executable, tool, "build", "--source-dir", str(ROOT), "--output-dir", str(out)], check=True)
    (made,) = out.glob("*.zip")
    subprocess.run([sys.executable, tool, "validate", str(made)], check=True)
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    print(build(parser.parse_args().out))
