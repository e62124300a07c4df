"""A stored set of photographs of simulated people, as the fit of skin colour reads them; resumable.

A file a person holds the skin and the eyes of some pictures, each in another drawn light, taken by one camera
from one place; the evidence is gathered from it anew, so that its signs can change without new pictures.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files.atomic_write import atomic_path, write_text_whole
from ..fitting.face_fit import LandmarkModel, fit_face
from ..fitting.landmark_map import LandmarkMap
from ..fitting.landmarks import find_faces
from ..fitting.photo_camera import SeenFace
from ..fitting.skin.photo_skin import light_on_head, observed_photos
from ..fitting.skin.seen_eyes import EyeSamples, skin_around_eyes
from ..fitting.skin.seen_skin import SeenSkin, find_light
from ..fitting.skin.skin_evidence import EVIDENCE, SkinPatterns, evidence_of
from ..fitting.skin.skin_prior import RESOLUTION, SkinPrior
from ..fitting.unwrap_photo import TextureDomain, project_photo
from ..geometry.displacement import vertex_normals
from ..geometry.light_transfer import COUNT, shadowed_harmonics
from ..geometry.map_resampling import resample
from ..geometry.srgb import from_srgb
from ..models.bilinear_face import BilinearFace
from ..simulation.pigment.pigment_simulation import PigmentSimulation
from ..simulation.pigment.pigment_traits import sample_traits
from ..simulation.portraits.lights_around import drawn_light
from ..simulation.portraits.lit_person import SIZE, LitPerson
from .colour_set import simulated_colours
from .map_set import print_of_face

FIRST_SEED = 700_000
"""Nobody of the held-out people has such a seed."""
_UNWRAPPED = 256
_BROWN = 20.0


@dataclasses.dataclass(frozen=True)
class SkinPhotoSpec:
    """The contents of a set.

    Attributes:
        people: how many.
        pictures: of each person.
        first_seed: seed of the first person.
    """

    people: int
    pictures: int
    first_seed: int = FIRST_SEED


@dataclasses.dataclass(frozen=True)
class SkinPhotoEvidence:
    """The evidence in a set's pictures.

    Attributes:
        evidence: (N, E), `SkinEvidence.vector`.
        colours: (N, 3) logarithms of the true linear colour of cheeks and forehead.
        tones: (N,) degrees.
        people: (N,) seeds.
    """

    evidence: np.ndarray
    colours: np.ndarray
    tones: np.ndarray
    people: np.ndarray


class PersonPhotographer:
    """Takes pictures of simulated people, and reads them as the fit of a photo does.

    Args:
        prior: has the region in which a tone is measured.
    """

    def __init__(self, prior: SkinPrior):
        self.prior = prior
        self.face = BilinearFace.default()
        self.model = LandmarkModel.of(self.face, LandmarkMap.default())
        self.simulation = PigmentSimulation(self.face, 512)
        self.domain = TextureDomain.default(_UNWRAPPED)

    def observe(self, seed: int, pictures: int) -> dict[str, np.ndarray]:
        """Photographs a person.

        Args:
            seed: of the person, the lights and the camera.
            pictures: how many, each in another light.

        Returns:
            `tone` degrees (NaN: no face was found, and nothing else is there); `truth` (3,) logarithms of the
            linear colour of cheeks and forehead; of the skin `colours` (P, 64, 64, 3), `weight` (P, 64, 64),
            `lost` (P,), `plain` (64, 64) and `directions` (64, 64, 96); of the eyes, if they are seen,
            `white` (P, N, 3), `white_directions` (N, 96), `iris` (P, M, 3) and `iris_directions` (M, 96).
        """
        traits = sample_traits(seed)
        colours = simulated_colours(self.simulation, [traits])[0]
        person = LitPerson.of(colours, float(traits.tone < _BROWN), seed)
        random = np.random.default_rng([seed, 0x11])
        lights = [drawn_light(random) for _ in range(pictures)]
        shots = [person.photograph(light, index) for index, light in enumerate(lights)]
        found = next((faces[0] for shot in shots if (faces := find_faces(shot))), None)
        if found is None:
            return {"tone": np.array(np.nan)}
        fit = fit_face(self.model, [SeenFace(found.points, SIZE, SIZE, None, False)])
        view = fit.views[0]
        shape = self.face.evaluate(fit.identity.astype(np.float32), view.expression.astype(np.float32))
        positions = self.domain.mesh.refine(shape)
        normals = vertex_normals(positions, self.domain.mesh.polygons)
        unwrapped = project_photo(self.domain, np.concatenate(shots, 2), view.camera, positions, normals)
        reached = light_on_head(self.domain, positions, view.camera)
        basis = self.domain.lookup.spread(reached.harmonics)
        seen = observed_photos(self.domain, shots, view.camera, positions, unwrapped, reached, basis)
        linear = from_srgb(resample(colours, RESOLUTION).clip(0, 1)).reshape(3, -1)
        truth = np.log(np.average(linear, axis=1, weights=self.prior.region.ravel()))
        return {"tone": np.array(traits.tone), "truth": truth, **_stored(seen)}


def _stored(observed: list[tuple[SeenSkin, EyeSamples | None]]) -> dict[str, np.ndarray]:
    """Returns what the pictures of a person show, as `PersonPhotographer.observe` names it."""
    skins, (eyes, *others) = [skin for skin, _ in observed], [eyes for _, eyes in observed]
    first = skins[0]
    assert first.directions is not None
    found = {
        "colours": np.stack([skin.colours for skin in skins]),
        "weight": np.stack([skin.weight for skin in skins]),
        "plain": first.plain,
        "directions": first.directions,
    }
    if eyes is not None and eyes.white_directions is not None and eyes.iris_directions is not None:
        every = [eyes, *(other for other in others if other is not None)]
        found |= {
            "white": np.stack([one.white for one in every]),
            "iris": np.stack([one.iris for one in every]),
            "white_directions": eyes.white_directions,
            "iris_directions": eyes.iris_directions,
        }
    small = {name: values.astype(np.float16) for name, values in found.items()}
    return {**small, "lost": np.array([skin.lost for skin in skins])}


def observed_again(stored: dict[str, np.ndarray]) -> list[tuple[SeenSkin, EyeSamples | None]]:
    """Returns skin and eyes of each picture of a stored person."""
    values = {name: array.astype(np.float32) for name, array in stored.items()}
    directions = values["directions"]
    basis = shadowed_harmonics(directions[..., :COUNT])
    found = []
    for number, (colours, weight) in enumerate(zip(values["colours"], values["weight"], strict=True)):
        skin = SeenSkin(colours, weight, basis, values["plain"], float(stored["lost"][number]), directions)
        eyes = None
        if "white" in values:
            white, iris = values["white_directions"], values["iris_directions"]
            eyes = EyeSamples(
                values["white"][number], shadowed_harmonics(white[:, :COUNT]), values["iris"][number],
                shadowed_harmonics(iris[:, :COUNT]), white, iris,
            )  # fmt: skip
        found.append((skin, eyes))
    return found


def make_skin_photos(
    folder: Path, spec: SkinPhotoSpec, prior: SkinPrior, progress: Callable[[int, int], None] | None = None
) -> SkinPhotoEvidence:
    """Opens a set, taking first the pictures that it still lacks, and gathers its evidence.

    Args:
        folder: where the set lives; made if need be.
        spec: what it holds.
        prior: the albedo model that pictures are compared with.
        progress: told (people done, people in all).

    Raises:
        UserError: the folder holds another set, or one of another face model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record, face = folder / "set.json", print_of_face(BilinearFace.default())
    kind = {"pictures": spec.pictures, "face": face}
    if record.exists() and json.loads(record.read_text(encoding="utf-8")) != kind:
        raise UserError(f"{folder}: holds other pictures.", "Choose another folder, or delete this one.")
    write_text_whole(record, json.dumps(kind))
    photographer: PersonPhotographer | None = None
    patterns = SkinPatterns.of(prior)
    rows: list[tuple[np.ndarray, np.ndarray, float, int]] = []
    for number in range(spec.people):
        seed = spec.first_seed + number
        path = folder / f"{seed}.npz"
        if not path.exists():
            photographer = photographer or PersonPhotographer(prior)
            with atomic_path(path) as partial, partial.open("wb") as file:
                np.savez_compressed(file, **photographer.observe(seed, spec.pictures))
        with np.load(path) as archive:
            stored = dict(archive)
        if np.isfinite(stored["tone"]):
            for skin, eyes in observed_again(stored):
                light = find_light(skin, patterns.usual)
                found = evidence_of(skin, light, patterns, eyes, skin_around_eyes(RESOLUTION))
                rows.append((found.vector(), stored["truth"], float(stored["tone"]), seed))
        if progress:
            progress(number + 1, spec.people)
    evidence, colours, tones, people = (np.array(column) for column in zip(*rows, strict=True)) if rows else (
        np.zeros((0, EVIDENCE)), np.zeros((0, 3)), np.zeros(0), np.zeros(0, int)
    )  # fmt: skip
    return SkinPhotoEvidence(evidence, colours, tones, people)
