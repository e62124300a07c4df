"""One face driven by a take, drawn by our own renderer: the same person's, and another's.

self   the driving person drawn with the solved curves and poses, beside the same with the true ones: l1,
       ssim, psnr_db of the pictures (0..1), lmd: mean distance of 478 detected points over that of the eyes
cross  another person drawn so: identity_cosine, of the identity coefficients that a fit finds in driven
       pictures with those it finds in pictures of that person at rest, ard_deg, and auh, the share of action
       units (channels of ARKit above a quarter) that differ from the driving person's

Source: Choe 2023, "One-Shot Landmark-Based Face Reenactment", tables 4.3 and 4.4; their AUs are OpenFace's,
their identities ArcFace's.
"""

from dataclasses import dataclass, field

import numpy as np
from skimage.metrics import structural_similarity

from ...datasets.painted_clips import SIZE, PaintedClip, clip_painter
from ...files.take_file import Take
from ...fitting.face_fit import fit_face
from ...fitting.landmarks import find_faces, interocular_distance
from ...fitting.photo_camera import SeenFace
from ...models.bilinear_face import BilinearFace
from ...pipelines.fit_from_image import landmark_model
from ...pipelines.preview_take import take_camera
from ..evaluate_photo import cosine

_OTHER = 5_000
"""Distance of the driven person's seed from the driving one's."""
_ACTIVE = 0.25
_FRAMES = 5


@dataclass
class ReenactmentTables:
    """Figures of painted clips, gathered over clips.

    Attributes:
        own, other: lists of values by name.
    """

    own: dict[str, list[float]] = field(default_factory=dict)
    other: dict[str, list[float]] = field(default_factory=dict)

    def add(self, face: BilinearFace, clip: PaintedClip, take: Take, first: int, seed: int) -> None:
        """Adds a clip and its take; `first` and `seed` name its person."""
        painter = clip_painter(face)
        rows = np.linspace(0, len(take.seconds) - 1, _FRAMES).astype(int)
        cameras = [take_camera(take, row) for row in rows]
        solved = take.raw[rows]
        true = painter.clip(first, seed, clip.expression[rows], [clip.cameras[row] for row in rows])
        driven = painter.clip(first, seed, solved, cameras)
        for one, two in zip(true, driven, strict=True):
            self._compare(one.pixels, two.pixels)
        pictures = [shown.pixels for shown in painter.clip(first, seed + _OTHER, solved, cameras)]
        at_rest = painter.clip(first, seed + _OTHER, np.zeros_like(solved), cameras)
        found, wanted = (_identity(shown) for shown in (pictures, [painted.pixels for painted in at_rest]))
        driver = _identity([shown.pixels for shown in painter.clip(first, seed, solved, cameras)])
        if found is not None and wanted is not None:
            _note(self.other, "identity_cosine", cosine(found, wanted))
            if driver is not None:
                _note(self.other, "identity_cosine_of_driver", cosine(found, driver))
        angles = np.array([camera.head_angles() for camera in clip.cameras])
        _note(self.other, "ard_deg", np.abs(np.degrees(take.head[:, :3]) - angles).mean())
        _note(self.other, "auh", ((take.raw > _ACTIVE) != (clip.expression > _ACTIVE)).mean())

    def figures(self) -> dict[str, dict[str, float]]:
        """Returns the tables."""
        tables = {"self": self.own, "cross": self.other}
        return {
            table: {name: round(float(np.mean(values)), 4) for name, values in rows.items()}
            for table, rows in tables.items()
        }

    def _compare(self, true: np.ndarray, driven: np.ndarray) -> None:
        one, two = (pixels.astype(np.float64) / 255 for pixels in (true, driven))
        _note(self.own, "l1", np.abs(one - two).mean())
        alike = np.asarray(structural_similarity(one, two, channel_axis=2, data_range=1.0))
        _note(self.own, "ssim", float(alike))
        _note(self.own, "psnr_db", 10 * np.log10(1 / max(((one - two) ** 2).mean(), 1e-9)))
        faces = [find_faces(pixels) for pixels in (true, driven)]
        if all(faces):
            first, second = (found[0].points for found in faces)
            apart = np.linalg.norm(first - second, axis=1).mean()
            _note(self.own, "lmd", apart / interocular_distance(first))


def _identity(pictures: list[np.ndarray]) -> np.ndarray | None:
    """Returns the identity (K,) that a fit finds in pictures of a person; None where no face is seen."""
    faces = [find_faces(pixels) for pixels in pictures]
    seen = [SeenFace(found[0].points, SIZE, SIZE) for found in faces if found]
    return fit_face(landmark_model(), seen).identity if seen else None


def _note(rows: dict[str, list[float]], name: str, value: float) -> None:
    rows.setdefault(name, []).append(float(value))
