"""Model cards: a Markdown file beside each weight file, written by the command that made it."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..asset_files import ASSETS
from ..errors import UserError
from .atomic_write import atomic_path, write_text_whole
from .training_log import thin_log

SIMULATED = "simulated skin (`ml_backend/simulation`) on the default face model, not from scans of people"
EVALUATION_HEADING = "## Evaluation"
FREE_LICENCE = "CC0 1.0"
SCANS_LICENCE = "what the scans' own licence and the people's consent allow"


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """The text of a card.

    Attributes:
        title: the heading.
        purpose: a paragraph: what goes in, what comes out, and the paper.
        source: what the weights come from.
        command: the shell's line that made them.
        device: device and time.
        evaluation: the last section: how the model is measured, or its figures.
        stages: the stages of the training with their steps; "" for none.
        steps: the option that repeats the stages' steps elsewhere; "" for none.
        parameters: how many numbers were learned; 0 leaves the line out.
        config: sizes of the network; None leaves the line out.
        notes: further lines.
        licence: of the weights.
    """

    title: str
    purpose: str
    source: str
    command: str
    device: str
    evaluation: str
    stages: str = ""
    steps: str = ""
    parameters: int = 0
    config: dict | None = None
    notes: Sequence[str] = ()
    licence: str = FREE_LICENCE

    def text(self, sha256: str, size: int) -> str:
        """Returns the card as Markdown.

        Args:
            sha256: of the weight file.
            size: of the weight file, bytes.
        """
        lines = [f"Learned from: {self.source}.", f"Made by: `{self.command}`"]
        if self.stages:
            lines[-1] += f" - stages: {self.stages}"
        lines[-1] += "."
        if self.steps:
            lines.append(f"The same steps on another machine: `{self.command} {self.steps}`.")
        lines.append(f"Device and time: {self.device}.")
        megabytes = f"{size / 1e6:.1f} MB"
        if self.parameters:
            million = f"{self.parameters / 1e6:.2f} million"
            lines.append(f"Parameters: {million}, stored as float16, {megabytes}.")
        else:
            lines.append(f"Size: {megabytes}.")
        if self.config is not None:
            lines.append(f"Configuration: `{json.dumps(self.config)}`")
        lines += [*self.notes, f"Licence: {self.licence}.", f"sha256: `{sha256}`"]
        listed = "\n".join(f"- {line}" for line in lines)
        return f"# {self.title}\n\n{self.purpose}\n\n{listed}\n\n{EVALUATION_HEADING}\n\n{self.evaluation}\n"

    def write(self, weights: Path) -> None:
        """Writes NAME.md beside NAME.safetensors."""
        data = weights.read_bytes()
        text = self.text(hashlib.sha256(data).hexdigest(), len(data))
        write_text_whole(weights.with_suffix(".md"), text)


def licence_of(source: str) -> str:
    """Returns the licence of weights that learned from simulated skin, or from other maps."""
    return FREE_LICENCE if source == SIMULATED else SCANS_LICENCE


def note_evaluation(card: Path, text: str) -> None:
    """Replaces the evaluation section of a card.

    Raises:
        UserError: there is no such card.
    """
    if not card.exists():
        raise UserError(f"{card}: no such model card.", "Train the network first.")
    head = card.read_text(encoding="utf-8").split(EVALUATION_HEADING)[0]
    write_text_whole(card, f"{head}{EVALUATION_HEADING}\n\n{text.rstrip()}\n")


def install(folder: Path, files: Sequence[str]) -> None:
    """Copies weights and cards to where the package looks for them, each file complete or not at all.

    The run's log, if there is one, is thinned and stays beside each card as NAME.log.jsonl.

    Args:
        folder: of the run.
        files: names of the weight files in it.
    """
    ASSETS.mkdir(exist_ok=True)
    for file in files:
        for path in (folder / file, (folder / file).with_suffix(".md")):
            copy_whole(path, ASSETS / path.name)
        if (folder / "log.jsonl").exists():
            thin_log(folder / "log.jsonl", ASSETS / Path(file).with_suffix(".log.jsonl"))


def copy_whole(source: Path, target: Path) -> None:
    """Copies a file, complete or not at all.

    Raises:
        OSError: one cannot be read, or the other not be written.
    """
    with atomic_path(target) as partial:
        shutil.copy2(source, partial)
