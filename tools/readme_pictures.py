"""Copies the demo's pictures, small, to where the README shows them.

make demo && python -m tools.readme_pictures
"""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = {"still": 480, "still_smooth": 480, "sheet": 1200}

if __name__ == "__main__":
    folder = ROOT / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, width in WIDTHS.items():
        with Image.open(ROOT / "build" / "demo" / f"{name}.png") as picture:
            size = (width, round(picture.height * width / picture.width))
            picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(
                folder / f"{name}.jpg", quality=88
            )
