"""Model cards, written by the command that trained the weights."""

import json
import shutil
from pathlib import Path

from ..errors import UserError
from ..models.detailed_3dmm import ASSETS

PURPOSES = {
    "dnpm.safetensors": (
        "DNPM, the generator of displacement maps",
        "A StyleGAN2 generator with the skip architecture (Karras et al. 2020), one output channel, 18 W+ styles of 512, written\n"
        "from the papers; positional constants at fine resolutions are an addition. Output: millimetres, row 0 at the bottom.",
    ),
    "detail_encoder.safetensors": (
        "The detail encoder of Detailed3DMM",
        "An MLP from identity, skin vector and ARKit expression to W+ offsets of DNPM (Cao et al. 2024, Fig. 2 b).",
    ),
}
EVALUATION_HEADING = "## Evaluation"


def write_card(weights: Path, config: dict, parameters: int, facts: dict[str, str], sha256: str) -> None:
    """Writes NAME.md beside NAME.safetensors.

    Args:
        weights: the weight file.
        config: sizes of the network.
        parameters: how many numbers it learned.
        facts: command, stages, device, training_minutes, maps.
        sha256: of the weight file.
    """
    title, purpose = PURPOSES[weights.name]
    weights.with_suffix(".md").write_text(
        f"""# {title}

{purpose}

- Learned from: simulated skin (`ml_backend/simulation`) on the default face model, not from scans of people. {facts["maps"]}.
- Made by: `{facts["command"]}` - stages: {facts["stages"]}.
- Device and time: {facts["device"]}; {facts["training_minutes"]} minutes after the maps were simulated.
- Parameters: {parameters / 1e6:.1f} million, stored as float16, {weights.stat().st_size / 1e6:.1f} MB.
- Configuration: `{json.dumps(config)}`
- Licence: CC0 1.0.
- sha256: `{sha256}`

{EVALUATION_HEADING}

`python -m ml_backend evaluate detail --json` prints the figures; the last ones measured are noted by `--card`.
"""
    )


def note_evaluation(card: Path, text: str) -> None:
    """Replaces the card's evaluation section.

    Raises:
        UserError: there is no such card.
    """
    if not card.exists():
        raise UserError(f"{card}: no such model card.", "Train the network first.")
    head = card.read_text().split(EVALUATION_HEADING)[0]
    card.write_text(f"{head}{EVALUATION_HEADING}\n\n{text}")


def install(folder: Path, files: tuple[str, ...]) -> None:
    """Copies weights and cards into the package's assets."""
    ASSETS.mkdir(exist_ok=True)
    for file in files:
        for path in (folder / file, (folder / file).with_suffix(".md")):
            shutil.copy2(path, ASSETS / path.name)
