"""Simulated clips of a face with known curves: landmarks as the detector would see them.

People of the face model move, a camera looks, and the detector errs as measured:

- an error that stays over a clip, drawn from `landmarks.safetensors` (mean, common factors, own deviations):
  0.03 inter-ocular distances;
- one that grows with the turn of the head, 0.05 at 40 degrees, in a pattern of the person's own;
- one that follows the expression (0.01 for a full one), and drifts (0.002 over half a second);
- white noise of 0.002. On painted clips the figures were 0.027, 0.06, 0.003 to 0.02 and 0.0013 to 0.002; the
  noise on two real videos was 0.0010 and 0.0030.
- Open eyes, jaws and turned irises are seen smaller than they are, by a factor of the clip's own.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..expression_names import EXPRESSION_NAMES, both_sides
from ..fitting.face_fit import LandmarkModel
from ..fitting.landmarks import level_frame
from ..fitting.mesh_layout import LEFT_IRIS, RIGHT_IRIS
from ..geometry.camera_view import FRONTAL, Camera, rotation_about
from ..models.bilinear_face import BilinearFace

CASES = (
    "still", "ramp", "release", "blinks", "lips", "turn", "together", "wrong_frame", "dropped", "hand", "cut",
    "variable_rate",
)  # fmt: skip
FPS, LENGTH = 30.0, 96
SIZE = (1280, 720)
TURN_ERROR, EXPRESSION_ERROR, DRIFT, WHITE = 0.05, 0.01, 0.002, 0.002
_DRIFT_SECONDS = 0.5
_SCATTER = 0.01
RESPONSE = {"jawOpen": (0.7, 1.0), "eyeLook": (0.7, 1.0), "eyeBlink": (0.8, 1.0)}
_NECK = np.array([0.0, 0.03, -0.09])
"""The place that the head turns about, metres from the middle of the eyes."""
_MOVES = (
    {"mouthSmile": 0.8, "cheekSquint": 0.5, "jawOpen": 0.2},
    {"browInnerUp": 0.8, "browOuterUp": 0.7, "eyeWide": 0.5},
    {"browDown": 0.8, "eyeSquint": 0.5, "noseSneer": 0.4},
    {"mouthFrown": 0.6, "mouthPress": 0.4},
    {"mouthFunnel": 0.7, "jawOpen": 0.3},
    {"mouthPucker": 0.8},
    {"mouthStretch": 0.6, "jawOpen": 0.35, "mouthLowerDown": 0.4},
    {"jawOpen": 0.7},
)


@dataclass
class SimulatedClip:
    """A clip and its truth.

    Attributes:
        case: of CASES.
        identity: (K,) float32.
        seconds: (T,).
        expression: (T, 52) float64, true.
        cameras: true, one for each frame.
        points: (T, 478, 2) float64 pixels as detected; NaN where no face is seen.
        presence: (T,); scatter: (T, 478).
        shots: first frames.
        blinks: frames of the true peaks; contacts: frames in the middle of lip closures.
        wrong: frame that shows something else, or None; clean: (T, 478, 2) the points without it.
    """

    case: str
    identity: np.ndarray
    seconds: np.ndarray
    expression: np.ndarray
    cameras: list[Camera]
    points: np.ndarray
    presence: np.ndarray
    scatter: np.ndarray
    shots: tuple[int, ...] = (0,)
    blinks: list[int] = field(default_factory=list)
    contacts: list[int] = field(default_factory=list)
    wrong: int | None = None
    clean: np.ndarray | None = None


@dataclass
class _Script:
    """Motion of a clip before it is seen: expression (T, 52), head (T, 3) degrees and what happens."""

    expression: np.ndarray
    head: np.ndarray
    seconds: np.ndarray
    blinks: list[int] = field(default_factory=list)
    contacts: list[int] = field(default_factory=list)

    def add(self, curve: np.ndarray, **values: float) -> None:
        """Adds a curve (T,) of 0..1 times the values of expressions; `both_sides` expands the names."""
        for name, value in both_sides(**values).items():
            self.expression[:, EXPRESSION_NAMES.index(name)] += value * curve


def simulate_clip(
    case: str, model: LandmarkModel, face: BilinearFace, first: int, seed: int
) -> SimulatedClip:
    """Simulates a clip.

    Args:
        case: of CASES.
        model: the face model at the landmarks.
        face: the same whole.
        first: seed of the set's first person; two sets share nobody if these are farther apart than a set is
            large.
        seed: number of the person in the set.

    Raises:
        ValueError: there is no such case.
    """
    if case not in CASES:
        raise ValueError(f"there is no case {case}")
    random = np.random.default_rng([first, seed, CASES.index(case)])
    identity = face.sample_identity(first + seed)
    script = _script(case, random)
    script.expression = np.clip(script.expression, 0, 1)
    cameras = _cameras(face, script, case, random)
    points, scatter = _detected(model, identity, script, cameras, random)
    presence = np.full(len(points), 0.99)
    clip = SimulatedClip(
        case, identity, script.seconds, script.expression, cameras, points, presence, scatter,
        blinks=script.blinks, contacts=script.contacts,
    )  # fmt: skip
    _disturb(clip, model, face, first, seed, random)
    return clip


def _script(case: str, random: np.random.Generator) -> _Script:
    seconds = np.arange(LENGTH) / FPS
    if case == "variable_rate":
        seconds = np.concatenate(
            [[0.0], np.cumsum(random.choice([1 / 60, 1 / 30, 1 / 20, 1 / 15], LENGTH - 1))]
        )
    script = _Script(np.zeros((LENGTH, 52)), np.zeros((LENGTH, 3)), seconds)
    low = random.normal(0, 4, 3)
    script.head += low
    if case == "still":
        return script
    if case == "turn":
        phase = 2 * np.pi * seconds / seconds[-1]
        script.head[:, 0] += 40 * np.sin(phase) - low[0]
        return script
    if case == "ramp":
        move = _MOVES[random.integers(len(_MOVES))]
        script.add(np.clip((seconds - 0.4) / 2.2, 0, 1), **move)
        return script
    if case == "release":
        script.add(
            np.where((seconds > 0.5) & (seconds < 1.6), 1.0, 0.0), **_MOVES[random.integers(len(_MOVES))]
        )
        script.expression = gaussian_filter1d(script.expression, 0.8, axis=0)
        return script
    if case == "blinks":
        script.head += gaussian_filter1d(random.normal(0, 15, (LENGTH, 3)), 12, axis=0)
        script.add(_slow(random, 12), eyeLookOutLeft=0.4, eyeLookInRight=0.4)
        for start in (14, 34, 52, 76):
            _blink(script, start + int(random.integers(-4, 5)), random)
        return script
    if case == "lips":
        _speak(script, random)
        return script
    # the rest: pose and expression together, blinks too
    amount = {"together": 25.0}.get(case, 12.0)
    script.head += amount * _signed(random, 14, 3)
    for index in random.choice(len(_MOVES), 3, replace=False):
        script.add(_slow(random, random.uniform(4, 9)), **_MOVES[index])
    script.add(_slow(random, 9), eyeLookOutLeft=0.5, eyeLookInRight=0.5)
    _blink(script, 24 + int(random.integers(-5, 6)), random)
    _blink(script, 66 + int(random.integers(-5, 6)), random)
    return script


def _slow(random: np.random.Generator, width: float) -> np.ndarray:
    """Returns a smooth curve (LENGTH,) of 0..1 that rests at 0 for a part of the time."""
    curve = gaussian_filter1d(random.standard_normal(LENGTH + 100), width)[50:-50]
    curve = curve - np.quantile(curve, 0.45)
    return np.clip(curve / max(float(curve.max()), 1e-6), 0, 1)


def _signed(random: np.random.Generator, width: float, count: int) -> np.ndarray:
    """Returns smooth curves (LENGTH, count) in -1..1."""
    curve = gaussian_filter1d(random.standard_normal((LENGTH + 100, count)), width, axis=0)[50:-50]
    return curve / np.abs(curve).max(0)


def _blink(script: _Script, top: int, random: np.random.Generator) -> None:
    """Adds a blink: closing in two to three frames, opening in four to five."""
    closing, opening = random.uniform(2.0, 3.0), random.uniform(4.0, 5.5)
    frames = np.arange(LENGTH) - top
    curve = np.where(frames <= 0, 1 + frames / closing, 1 - (frames - 1) / opening)
    curve = np.clip(np.where(frames == 1, 1.0, curve), 0, 1)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        column = script.expression[:, EXPRESSION_NAMES.index(name)]
        np.maximum(column, curve, out=column)
    script.blinks.append(top)


def _speak(script: _Script, random: np.random.Generator) -> None:
    """Adds syllables: the jaw opens, and for p, b and m the lips close for three to four frames."""
    jaw = np.zeros(LENGTH)
    closed = np.zeros(LENGTH)
    start = 8
    while start < LENGTH - 12:
        length = int(random.integers(6, 10))
        jaw[start : start + length] = random.uniform(0.25, 0.55)
        contact = start + length
        hold = int(random.integers(3, 5))
        closed[contact : contact + hold] = 1
        script.contacts.append(contact + hold // 2)
        start = contact + hold
    jaw = gaussian_filter1d(jaw, 1.2)
    closed = gaussian_filter1d(closed, 0.5)
    left_open = np.where(closed > 0.5, np.minimum(jaw, 0.12), jaw)
    script.add(left_open, jawOpen=1.0)
    script.add(np.minimum(left_open, 1) * closed, mouthClose=1.0)
    script.add(closed, mouthPress=0.3)
    script.add(gaussian_filter1d(jaw, 3) * 0.6, mouthStretch=0.4)


def _cameras(face: BilinearFace, script: _Script, case: str, random: np.random.Generator) -> list[Camera]:
    """Returns the camera of each frame, relative to the head."""
    width, height = SIZE
    distance = float(np.exp(random.uniform(np.log(0.5), np.log(1.4))))
    wide = random.uniform(0.5, 0.8)  # metres across the picture at the face
    eyes = np.mean([face.mean[face.landmarks[f"eye_{side}"]].mean(0) for side in ("left", "right")], 0)
    shift = np.array([random.normal(0, 0.04), random.normal(0, 0.02)])
    neck = eyes + _NECK
    cameras = []
    tremble = gaussian_filter1d(random.standard_normal((len(script.head), 3)), 20, axis=0) * (
        0.0 if case in ("still", "turn") else 0.03
    )
    for index, (yaw, pitch, roll) in enumerate(np.radians(script.head)):
        # `Camera.head_angles`: yaw to the person's left, pitch up and roll to the left shoulder are positive
        zoom = wide
        if case == "cut" and index >= len(script.head) // 2:
            zoom, yaw = wide * 0.65, yaw + np.radians(18)
        rotation = rotation_about(2, roll) @ rotation_about(0, -pitch) @ rotation_about(1, yaw) @ FRONTAL
        origin = np.array([shift[0], shift[1] + 0.09, distance]) + tremble[index]
        cameras.append(Camera(rotation, origin - rotation @ neck, width * distance / zoom, width, height))
    return cameras


def _detected(
    model: LandmarkModel,
    identity: np.ndarray,
    script: _Script,
    cameras: list[Camera],
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns points (T, 478, 2) as the detector sees them, and scatter (T, 478)."""
    errors = model.map
    count = len(errors.mean) // 2

    def drawn() -> np.ndarray:
        """An error (L, 2) as the calibration has it, over its usual size."""
        common = errors.factors @ random.standard_normal(errors.factors.shape[1])
        alone = errors.own * random.standard_normal(2 * count)
        return (common + alone).reshape(-1, 2) / np.sqrt((errors.own**2).mean())

    stays = errors.mean.reshape(-1, 2) + 0.9 * np.sqrt((errors.own**2).mean()) * drawn() / 1.3
    turned = [drawn() for _ in range(3)]
    follows = [drawn() for _ in range(6)]
    share = random.dirichlet(np.ones(6), 52).T  # [6, 52]
    response = {name: random.uniform(*limits) for name, limits in RESPONSE.items()}
    expression = script.expression.copy()
    for index, name in enumerate(EXPRESSION_NAMES):
        for start, factor in response.items():
            if name.startswith(start):
                expression[:, index] *= factor
    steps = np.diff(script.seconds, prepend=script.seconds[0])
    drift = np.zeros((count, 2))
    points, scatter = [], []
    for frame, camera in enumerate(cameras):
        place, _, _ = model.points(identity.astype(np.float64), expression[frame])
        pixels, _ = camera.project(place)
        axes, unit = level_frame(pixels)
        yaw, pitch, _ = camera.head_angles()
        turn = np.array([yaw, pitch, abs(yaw)]) / 40
        error = stays + TURN_ERROR * np.tensordot(turn * np.abs(turn) ** 0.3, turned, 1) / np.sqrt(2)
        error = error + EXPRESSION_ERROR * np.tensordot(share @ script.expression[frame] * 2, follows, 1)
        keep = np.exp(-steps[frame] / _DRIFT_SECONDS)
        drift = keep * drift + np.sqrt(1 - keep**2) * DRIFT * random.standard_normal((count, 2))
        noise = WHITE * random.standard_normal((count, 2))
        # errors are stated over the eyes' distance seen from the front
        frontal = unit / max(float(np.cos(np.radians(yaw))), 0.5)
        points.append(pixels + (error + drift + noise) @ axes * frontal)
        spread = _SCATTER * (1 + 2 * (abs(yaw) / 40) ** 2)
        scatter.append(spread * np.abs(random.standard_normal(count)))
    _hide_irises(points, script)
    return np.array(points), np.array(scatter)


def _hide_irises(points: list[np.ndarray], script: _Script) -> None:
    """Moves irises to the lower lid where the eye is closed, as the detector does."""
    for iris, lids, name in (
        (RIGHT_IRIS, (145, 159), "eyeBlinkRight"),
        (LEFT_IRIS, (374, 386), "eyeBlinkLeft"),
    ):
        closed = script.expression[:, EXPRESSION_NAMES.index(name)]
        for frame, share in enumerate(closed):
            if share > 0.6:
                middle = points[frame][list(lids)].mean(0)
                points[frame][iris] += (share - 0.6) / 0.4 * (middle - points[frame][iris].mean(0))


def _disturb(
    clip: SimulatedClip,
    model: LandmarkModel,
    face: BilinearFace,
    first: int,
    seed: int,
    random: np.random.Generator,
) -> None:
    """Adds what the case is about: a wrong frame, lost frames, a hand, a cut."""
    count = len(clip.points)
    if clip.case == "wrong_frame":
        clip.clean = clip.points.copy()
        clip.wrong = count // 2
        other = face.sample_identity(first + seed + 7919).astype(np.float64)
        expression = np.zeros(52)
        expression[EXPRESSION_NAMES.index("jawOpen")] = 0.6
        pixels, _ = clip.cameras[clip.wrong].project(model.points(other, expression)[0])
        _, unit = level_frame(pixels)
        clip.points[clip.wrong] = pixels + unit * random.uniform(0.15, 0.6) * np.array([1.0, -0.4])
        clip.scatter[clip.wrong] *= 2
    elif clip.case == "dropped":
        for start, length in ((20, 1), (40, 6), (70, 12)):
            clip.points[start : start + length] = np.nan
            clip.scatter[start : start + length] = np.nan
            clip.presence[start : start + length] = 0
    elif clip.case == "hand":
        start, length = 36, 24
        for frame in range(start, start + length):
            points = clip.points[frame]
            _, unit = level_frame(points)
            along = (frame - start) / length - 0.5
            middle = points[13] + unit * np.array([2.0 * along, 0.2])
            near = np.exp(-(((points - middle) / (0.55 * unit)) ** 2).sum(1))
            push = np.array([0.2 * np.sin(frame / 3.0), -0.12])
            points += near[:, None] * push * unit
            clip.scatter[frame] += 0.05 * near
            clip.presence[frame] = 0.9
    elif clip.case == "cut":
        clip.shots = (0, count // 2)
