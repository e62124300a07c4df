"""Model cards of the photo part's networks, written by the commands that trained them."""

import json
from pathlib import Path

from .model_card import EVALUATION_HEADING

PURPOSES = {
    "photo_upscaler.safetensors": (
        "Small photographs made clear",
        "A U-Net that corrects bicubic interpolation of a small, blurred, compressed picture of a face to twice its size; landmarks are\n"
        "looked for in what it makes. It draws the mean of what may have been there, sharper where the landmark network looks, and\n"
        "invents no texture.",
        "Its figures on painted heads that training left out are in the last line of log.jsonl of the run.",
    ),
    "restoration.safetensors": (
        "Restoration of degraded displacement maps",
        "E_deg (Cao et al. 2024, Eq. 11), a small convolutional encoder from a degraded displacement map into W+ of DNPM, and a\n"
        "refinement that keeps what the input knows and corrects what the generator adds above it. Output: millimetres, row 0 is v = 0.",
        "`python -m ml_backend evaluate photo` prints the table of restoration.",
    ),
    "image_to_displacement.safetensors": (
        "Image to displacement, in texture space",
        "A coarse-to-fine convolutional network (the role of pix2pixHD, Wang et al. 2018) from the unwrapped photograph, how sure each\n"
        "texel is, the fitted light, and the map that the detail encoder expects of the fitted face to a displacement map: the photograph\n"
        "says which of the expected wrinkles are there. Output: millimetres, row 0 at the bottom.",
        "Its figures on simulated skin of people that training left out are in the last line of log.jsonl of the run. The detail encoder,\n"
        "though, learned from these people among others. The expected map is the encoder's, of an identity that a fit knows to a cosine\n"
        "of 0.3 to 0.95.",
    ),
}


def write_photo_card(
    weights: Path, config: dict, parameters: int, facts: dict[str, str], sha256: str
) -> None:
    """Writes NAME.md beside NAME.safetensors.

    Args:
        weights: the weight file.
        config: sizes of the network.
        parameters: how many numbers it learned.
        facts: command, stages, device, training_minutes, maps, source, and whatever figures the training
            measured as "measured".
        sha256: of the weight file.
    """
    title, purpose, evaluation = PURPOSES[weights.name]
    measured = f"\n\n{facts['measured']}" if "measured" in facts else ""
    weights.with_suffix(".md").write_text(
        f"""# {title}

{purpose}

- Learned from: {facts["source"]}. {facts["maps"]}.
- Made by: `{facts["command"]}` - stages: {facts["stages"]}.
- Device and time: {facts["device"]}; {facts["training_minutes"]} minutes with what had to be simulated.
- Parameters: {parameters / 1e6:.2f} million, stored as float16, {weights.stat().st_size / 1e6:.1f} MB.
- Configuration: `{json.dumps(config)}`
- Licence: CC0 1.0.
- sha256: `{sha256}`

{EVALUATION_HEADING}

{evaluation}{measured}
"""
    )
