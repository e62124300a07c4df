"""Model cards, written by the command that trained the weights."""

import hashlib
import json
import shutil
from pathlib import Path

from ..asset_files import ASSETS
from ..errors import UserError
from ..models.distilled_detail import DistilledDetail

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
SIMULATED = "simulated skin (`ml_backend/simulation`) on the default face model, not from scans of people"
EVALUATION_HEADING = "## Evaluation"


def write_card(weights: Path, config: dict, parameters: int, facts: dict[str, str], sha256: str) -> None:
    """Writes NAME.md beside NAME.safetensors.

    Args:
        weights: the weight file.
        config: sizes of the network.
        parameters: how many numbers it learned.
        facts: command, stages, device, training_minutes, maps, source.
        sha256: of the weight file.
    """
    title, purpose = PURPOSES[weights.name]
    weights.with_suffix(".md").write_text(
        f"""# {title}

{purpose}

- Learned from: {facts["source"]}. {facts["maps"]}.
- Made by: `{facts["command"]}` - stages: {facts["stages"]}.
- Device and time: {facts["device"]}; {facts["training_minutes"]} minutes after the maps were there.
- Parameters: {parameters / 1e6:.1f} million, stored as float16, {weights.stat().st_size / 1e6:.1f} MB.
- Configuration: `{json.dumps(config)}`
- Licence: {"CC0 1.0" if facts["source"] == SIMULATED else "what the scans' own licence and the people's consent allow"}.
- sha256: `{sha256}`

{EVALUATION_HEADING}

`python -m ml_backend evaluate detail --json` prints the figures; the last ones measured are noted by `--card`.
"""
    )


def write_distilled_card(
    weights: Path, model: DistilledDetail, parameters: int, facts: dict[str, str]
) -> None:
    """Writes the card of the distilled detail.

    Args:
        weights: the file.
        model: what it holds.
        parameters: numbers of the network.
        facts: command, teacher, maps, device, training_minutes, psnr_db, fields_psnr_db, held_out.
    """
    above = ", ".join(f"{len(band.scale)} at {band.resolution}" for band, _ in model.above)
    weights.with_suffix(".md").write_text(
        f"""# Distilled detail

What wrinkles in Blender with no backend installed: a multilayer perceptron from identity, skin vector and ARKit expression to
the coefficients of principal fields, evaluated by numpy (`ml_backend/models/distilled_detail.py`). Output: millimetres.

- Learned from: maps of DNPM and the detail encoder ({facts["maps"]}; their weights {facts["teacher"]}), which learned
  from simulated skin, not from scans of people.
- Made by: `{facts["command"]}`.
- Device and time: {facts["device"]}; {facts["training_minutes"]} minutes with the full model's maps.
- Parameters: {parameters / 1e6:.2f} million as float16; {model.component_count} fields at {model.low.resolution}, {above} as int8;
  {weights.stat().st_size / 1e6:.1f} MB.
- Against the full model on people that training did not see ({facts["held_out"]} maps at {model.low.resolution}):
  {facts["psnr_db"]} dB; the nearest maps that the fields hold {facts["fields_psnr_db"]} dB.
- Licence: CC0 1.0.
- sha256: `{hashlib.sha256(weights.read_bytes()).hexdigest()}`

{EVALUATION_HEADING}

`python -m ml_backend evaluate detail --json` compares it with simulated truth.
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
