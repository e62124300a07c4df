"""The training loop: a generator of steps that sets rates, counts, logs, saves and resumes in a stage.

for step in run.steps("coarse", {"pair": optimiser}, averages, settings):
    loss, terms = ... step.descend(loss, clip=1.0, **terms)
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from ..errors import UserError
from ..layers.processes import agreed, average_gradients, process_count, same_everywhere
from .checkpoints import RandomSource, Stateful, WeightAverage
from .stages import StageKeeper
from .training_run import RunLog, choose_device, device_text

WARM_UP_SHARE = 0.02
LAST_RATE = 0.02


def rate_share(progress: float) -> float:
    """Returns the learning rate as a share of its peak: a linear warm-up, then half a cosine to a fiftieth.

    Args:
        progress: 0 at the start of a stage, 1 at its end.
    """
    warm = min(1.0, (progress + 1e-3) / WARM_UP_SHARE)
    return warm * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + cos(pi * progress)))


@dataclasses.dataclass
class Schedule:
    """The length of a stage: it ends after `steps`, or after `minutes` if that comes first.

    Attributes:
        steps: optimiser steps.
        minutes: wall clock, 0 for no bound.
        done: steps done, restored on resume.
        spent: minutes spent before this process.
    """

    steps: int
    minutes: float = 0.0
    done: int = 0
    spent: float = 0.0
    _began: float = dataclasses.field(default_factory=time.monotonic)
    _agreed: float | None = None

    @property
    def elapsed(self) -> float:
        """Minutes in this stage, earlier processes included."""
        if self._agreed is not None:
            return self._agreed
        return self.spent + (time.monotonic() - self._began) / 60

    def agree(self, device: torch.device) -> None:
        """Stops the clock until the next call, at the same time in all processes that train together."""
        if process_count() > 1:
            self._agreed = None
            self._agreed = agreed(self.elapsed, device)

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end: the larger of the shares of steps and minutes."""
        share = self.done / max(self.steps, 1)
        return min(1.0, max(share, self.elapsed / self.minutes if self.minutes else 0.0))

    @property
    def minutes_left(self) -> float:
        """Estimate from the pace so far."""
        progress = self.progress
        return self.elapsed * (1 - progress) / max(progress, 1e-6)


class Step:
    """One step of a stage.

    Attributes:
        number: steps done before this one.
        progress: 0 to 1, the place in the stage.
        terms: figures of this step for the log.
    """

    def __init__(self, number: int, progress: float, optimisers: Mapping[str, torch.optim.Optimizer]):
        self.number = number
        self.progress = progress
        self.terms: dict[str, Tensor | float] = {}
        self._optimisers = optimisers

    def descend(
        self, loss: Tensor, optimiser: str = "", /, *, clip: float = 0.0, **terms: Tensor | float
    ) -> None:
        """Takes one step of an optimiser down the loss.

        Args:
            loss: a scalar.
            optimiser: its name; needed where the stage has several.
            clip: longest gradient, 0 for no limit.
            **terms: figures for the log.
        """
        if not optimiser:
            (optimiser,) = self._optimisers
        chosen = self._optimisers[optimiser]
        chosen.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [parameter for group in chosen.param_groups for parameter in group["params"]]
        average_gradients(parameters)
        if clip:
            nn.utils.clip_grad_norm_(parameters, clip)
        chosen.step()
        self.note(**terms)

    def note(self, **terms: Tensor | float) -> None:
        """Adds figures for the log; they are read only if this step is logged."""
        for name, value in terms.items():
            self.terms[name] = value.detach() if isinstance(value, Tensor) else value


@dataclasses.dataclass
class TrainingRun:
    """One run of a training: its log, its checkpoint and its device.

    Attributes:
        log: receives the figures; None writes none.
        keeper: the checkpoint; None keeps none.
        device: where to train.
        lengths: steps by stage that replace those of the configuration and its minutes (`--steps`).
        reached: steps that each stage has reached.
    """

    log: RunLog | None = None
    keeper: StageKeeper | None = None
    device: torch.device = dataclasses.field(default_factory=lambda: torch.device("cpu"))
    lengths: Mapping[str, int] = dataclasses.field(default_factory=dict)
    reached: dict[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def begin(cls, args: argparse.Namespace, stages: Sequence[str]) -> "TrainingRun":
        """Opens the log of a command's run.

        Args:
            args: --out, --resume, --device, --threads, --steps.
            stages: names of the stages that have steps.

        Raises:
            UserError: --steps names no stage, or gives no number.
        """
        lengths = stage_lengths(args.steps, stages)
        device = choose_device(args)
        return cls(RunLog(args.out, args.resume), None, device, lengths)

    def keep(self, modules: Mapping[str, nn.Module], resume: bool) -> StageKeeper:
        """Starts to keep a checkpoint of the modules in the run's folder.

        Raises:
            UserError: the run is to go on and its checkpoint cannot be read.
        """
        self.keeper = StageKeeper(self.folder / "checkpoint.safetensors", modules, resume)
        self.reached = {**self.keeper.reached}
        return self.keeper

    def is_inside(self, stage: str) -> bool:
        """Returns True if the checkpoint was written inside this stage, which then goes on."""
        return self.keeper is not None and self.keeper.state["stage"] == stage

    @property
    def folder(self) -> Path:
        """The folder of the log."""
        if self.log is None:
            raise ValueError("this run has no folder")
        return self.log.folder

    def write(self, stage: str, **figures: float | int | str) -> None:
        """Writes figures into the log, if there is one."""
        if self.log is not None:
            self.log.write(stage, **figures)

    def facts(self, command: str, stages: Sequence[str]) -> dict[str, str]:
        """Returns what the card and the weight file say of the run.

        Args:
            command: the shell's line.
            stages: names of the stages in their order.

        Returns:
            command, stages with their steps, steps (the option that repeats them), device, training_minutes.
        """
        counted = {name: self.reached[name] for name in stages if name in self.reached}
        facts = {
            "command": command,
            "stages": ", ".join(
                f"{name} ({counted[name]} steps)" if name in counted else name for name in stages
            ),
            "device": device_text(self.device),
            "training_minutes": f"{self.log.minutes:.0f}" if self.log else "0",
        }
        if counted:
            facts["steps"] = " ".join(["--steps", *(f"{name}={count}" for name, count in counted.items())])
        return facts

    def steps(
        self,
        stage: str,
        optimisers: Mapping[str, torch.optim.Optimizer],
        averages: Sequence[WeightAverage],
        settings: Mapping[str, Any],
        *,
        measure: Callable[[], Mapping[str, float]] | None = None,
        kept: Mapping[str, Stateful] | None = None,
        random: Sequence[RandomSource] = (),
    ) -> Iterator[Step]:
        """Yields the steps of a stage.

        The rate of each optimiser follows `rate_share`; its groups may hold a factor as "scale". After each
        step the averages move, the log and the checkpoint are written when they are due, and after the last.
        A stage that was interrupted goes on with the same numbers.

        Args:
            stage: its name, for log, checkpoint and `--steps`.
            optimisers: by name.
            averages: weight averages of the networks in training.
            settings: `steps`, `minutes` (0 or absent: no bound), `rate`, `log_steps` (100),
                `measure_steps` and `save_steps` (each as often as the log).
            measure: returns figures for the log, such as the error on people that are held out.
            kept: other parts with a state, restored on resume, by name.
            random: generators that the stage draws from, restored on resume.
        """
        length = self.lengths.get(stage)
        schedule = Schedule(
            settings["steps"] if length is None else length,
            settings.get("minutes", 0.0) if length is None else 0.0,
        )
        every = settings.get("log_steps", 100)
        if self.keeper:
            schedule.done, schedule.spent = self.keeper.resume(
                stage, optimisers, averages, kept or {}, random
            )
        rates = [follow_schedule(optimiser, schedule, settings["rate"]) for optimiser in optimisers.values()]
        groups = [group for optimiser in optimisers.values() for group in optimiser.param_groups]
        same_everywhere(parameter for group in groups for parameter in group["params"])
        same_everywhere(value for average in averages for value in average.module.state_dict().values())
        schedule.agree(self.device)
        ended = schedule.progress >= 1
        while not ended:
            step = Step(schedule.done, schedule.progress, optimisers)
            yield step
            for average in averages:
                average.update()
            schedule.done += 1
            schedule.agree(self.device)
            ended = schedule.progress >= 1
            due = {
                name: ended or schedule.done % settings.get(name, every) == 0
                for name in ("log_steps", "measure_steps", "save_steps")
            }
            measured = measure() if measure and due["measure_steps"] else {}
            if due["log_steps"]:
                figures = {name: float(value) for name, value in step.terms.items()}
                left = schedule.minutes_left
                self.write(stage, step=schedule.done, **figures, **measured, minutes_left=left)
            if self.keeper and due["save_steps"]:
                self.keeper.save(
                    stage, schedule.done, schedule.elapsed, optimisers, averages, kept or {}, random
                )
            for rate in rates:
                rate.step()
        self.reached[stage] = schedule.done
        if self.keeper:
            self.keeper.reached[stage] = schedule.done


def follow_schedule(optimiser: torch.optim.Optimizer, schedule: Schedule, rate: float) -> LambdaLR:
    """Lets an optimiser's rates follow a schedule.

    Args:
        optimiser: each group's peak is `rate` times the group's own "scale", 1 where it has none.
        schedule: its progress, steps or minutes, gives the place on the curve.
        rate: peak.
    """
    for group in optimiser.param_groups:
        group["initial_lr"] = rate * group.get("scale", 1.0)
    return LambdaLR(optimiser, lambda _: rate_share(schedule.progress))


def stage_lengths(words: Sequence[str] | None, stages: Sequence[str]) -> dict[str, int]:
    """Reads `--steps`.

    Args:
        words: STAGE=NUMBER each, or a number alone where there is one stage.
        stages: names of the stages.

    Returns:
        Steps by stage.

    Raises:
        UserError: a stage is unknown, or a number is no positive whole number.
    """
    lengths = {}
    for word in words or ():
        name, separator, number = word.rpartition("=")
        if not separator and len(stages) == 1:
            name = stages[0]
        if name not in stages or not number.isdecimal() or int(number) < 1:
            raise UserError(
                f"--steps {word}: not a stage and a number of steps.",
                f"Give STAGE=NUMBER; the stages are {', '.join(stages)}.",
            )
        lengths[name] = int(number)
    return lengths
