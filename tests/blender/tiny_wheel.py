"""A wheel with one small module, for tests that install a package."""

import zipfile
from pathlib import Path


def tiny_wheel(folder: Path) -> Path:
    """Writes a wheel with the module `d3dmm_tiny`, and returns its path."""
    path = folder / "d3dmm_tiny-1.0-py3-none-any.whl"
    files = {
        "d3dmm_tiny.py": "value = 7\n",
        "d3dmm_tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: d3dmm-tiny\nVersion: 1.0\n",
        "d3dmm_tiny-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "d3dmm_tiny-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
