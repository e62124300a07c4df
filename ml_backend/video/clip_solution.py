"""A clip's solve: its settings, and its result."""

from dataclasses import dataclass, field

import numpy as np

from .clip_model import HeadPose


@dataclass(frozen=True)
class SolveSettings:
    """Stiffness of the motion and trust in the landmarks, chosen on other people than those of the figures.

    Attributes:
        step: by group the usual change of a coefficient from frame to frame at 30 frames a second, at rest.
        turn_step: the same of the head's turn, radians; shift_step: of its direction; depth_step: of the
            logarithm of its distance.
        loosening: a group whose step is larger than this, in usual steps, moves and is held less.
        outlier: landmark errors, in inter-ocular distances, at which a point loses three quarters of its
            weight.
        trust: factor on what the landmarks tell: neighbours err alike, 478 points count as fewer.
        calm: factor on the prior's precision of channels at rest.
        moved: coefficient at which a channel is held half as much: the prior keeps small errors at 0 and
            weakens no expression (a Student t distribution).
        frame_trust: number of usual residuals at which a whole frame loses half of its weight.
        smooth: False leaves each frame to itself: the baseline.
    """

    step: dict[str, float] = field(
        default_factory=lambda: {"lids": 0.15, "gaze": 0.08, "lips": 0.08, "brows": 0.06, "cheeks": 0.05}
    )
    turn_step: float = 0.008
    shift_step: float = 0.0024
    depth_step: float = 0.004
    loosening: float = 1.0
    outlier: float = 0.06
    trust: float = 0.12
    calm: float = 4.0
    moved: float = 0.15
    frame_trust: float = 2.5
    smooth: bool = True


@dataclass
class ClipSolution:
    """The frames of a clip as solved.

    Attributes:
        expression: (T, 52) float64.
        poses: one for each frame.
        evidence: (T, 52), how much the landmarks tell of each channel, over what they tell in a usual frame.
        residual: (T,) median landmark error, inter-ocular distances; NaN without a face.
        weight: (T,) in 0..1, how far each frame was believed.
    """

    expression: np.ndarray
    poses: list[HeadPose]
    evidence: np.ndarray
    residual: np.ndarray
    weight: np.ndarray
