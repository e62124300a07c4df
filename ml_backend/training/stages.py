"""The stages of a training run and its checkpoint: which are finished, how far the present one is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from .checkpoints import RandomSource, Stateful, WeightAverage, load_checkpoint, save_checkpoint


class StageKeeper:
    """Writes and reads the checkpoint of a run, between stages and inside them.

    Args:
        path: the checkpoint.
        modules: networks to keep, by name.
        resume: whether to restore them from the path.

    Attributes:
        state: "finished" (names of stages), "stage" (the one inside which the file was written; "" between
            stages, None for files of earlier versions with one unnamed stage), "done" (its steps), "spent"
            (its minutes), "reached" (steps of the finished stages).
    """

    def __init__(self, path: Path, modules: Mapping[str, nn.Module], resume: bool):
        self.path = path
        self.modules = modules
        self.state: dict = {"finished": [], "stage": "", "done": 0, "spent": 0.0, "reached": {}}
        if resume:
            self._take(load_checkpoint(path, modules, {}))

    def _take(self, state: dict) -> None:
        if "finished" not in state:  # one stage, as `train speech` wrote it once
            state = {"finished": [], "stage": None, "done": state["step"], "spent": state["minutes"]}
        self.state = {"reached": {}, **state}

    @property
    def reached(self) -> dict[str, int]:
        """Steps that each stage has reached."""
        return self.state["reached"]

    def finished(self, stage: str) -> bool:
        """Returns whether an earlier process finished this stage."""
        return stage in self.state["finished"]

    def finish(self, stage: str) -> None:
        """Marks the stage as finished and writes the checkpoint."""
        self.state = {
            "finished": [*self.state["finished"], stage],
            "stage": "",
            "done": 0,
            "spent": 0.0,
            "reached": self.reached,
        }
        save_checkpoint(self.path, self.modules, {}, self.state)

    def save(
        self,
        stage: str,
        done: int,
        spent: float,
        optimisers: Mapping[str, torch.optim.Optimizer],
        averages: Sequence[WeightAverage],
        kept: Mapping[str, Stateful],
        random: Sequence[RandomSource],
    ) -> None:
        """Writes the checkpoint inside a stage.

        Args:
            stage: its name.
            done: steps done.
            spent: minutes spent.
            optimisers: by name.
            averages: their networks are among the modules or `kept`; here their counts are kept.
            kept: other parts of the stage, by name.
            random: the stage's generators.
        """
        self.state.update(
            stage=stage, done=done, spent=spent, averaged=[int(average.n_averaged) for average in averages]
        )
        save_checkpoint(self.path, self.modules, optimisers, self.state, kept, random)

    def resume(
        self,
        stage: str,
        optimisers: Mapping[str, torch.optim.Optimizer],
        averages: Sequence[WeightAverage],
        kept: Mapping[str, Stateful],
        random: Sequence[RandomSource],
    ) -> tuple[int, float]:
        """Restores a stage that was interrupted; arguments as `save` takes them.

        Returns:
            Steps done and minutes spent: 0 and 0.0 for a stage that begins.
        """
        if self.state["stage"] not in (stage, None):
            return 0, 0.0
        self._take(load_checkpoint(self.path, self.modules, optimisers, kept, random))
        done = int(self.state["done"])
        counts = self.state.get("averaged", [1 + done] * len(averages))
        for average, count in zip(averages, counts, strict=True):
            average.n_averaged.fill_(count)
        return done, float(self.state["spent"])
