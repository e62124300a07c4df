"""The bilinear face: identity x expression coefficients to vertices. numpy only; Blender imports it.

V = mean + [1, w_id] x core x [1, w_exp] x basis (Cao et al. 2024, "DNPM", Eq. 3, with a truncated vertex
mode): for one identity it is a neutral face and 52 displacements, so that expressions are plain shape keys.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..asset_files import ASSETS
from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from ..files.tensor_file import read_tensors
from .mouth.mouth_lining import MouthLining, inside_lips

DEFAULT_FILE = ASSETS / "face_model.safetensors"
FORMAT = "detailed3dmm-bilinear-face-1"
_LARGEST_COEFFICIENT, _SPREAD, _NOISE, _CORRECTIONS = 2.2, 0.9, 0.3, 4
_GENDER, _CLEARLY = "gender", 0.7
"""The direction from women to men, -1 to 1, and how far from the middle a person whom an artist draws is."""


@dataclass
class BilinearFace:
    """A bilinear face model.

    Positions are metres in Blender axes (Z up, the face looks along -Y, the person's left is +X), the origin
    between the ears. The identity is K coefficients in standard deviations, the expression 52 ARKit
    coefficients, 0 neutral, 1 full, not clamped.

    Attributes:
        mean: (V, 3) float32, the mean face at rest.
        core: (1 + K, 1 + 52, B) float32; [0, 0] is zero.
        basis: (B, 3 V) float32.
        expression_names: the 52 names, in the order of the coefficients.
        direction_names, direction_units: named directions of identity and what a value of 1 is.
        directions: (D, K) float32, the change of identity per unit; `direction_ranges` (D, 2) the sensible
            least and greatest value.
        attributes: (A, 1 + K) float32, what is known of the sampled people (the first: age in years) as
            linear functions of [1, identity]; `attribute_ranges` (A, 2) what they lay between. No rows where
            the model knows nothing of its people.
        people: (N, K) float32, the sampled people's identities; none where the model has no people of its
            own.
        polygons: (F, 4) int32, the last -1 for a triangle; uv (U, 2) float32; uv_polygons (F, 4) int32 into
            uv. The skin's texture fills [0, 1]^2; other parts lie at u in 1..2.
        part_names; vertex_part (V,) uint8; polygon_part (F,) uint8: indices into part_names.
        regions: by name (V,) float32 in 0..1.
        landmarks: by name int32 vertices. `lip_upper_inner` and `lip_lower_inner` are pairs from the person's
            right to left, as are `lid_upper_left` and `lid_lower_left` (inner to outer corner) and the right
            eye's; `eye_left` and `eye_right` are all vertices of an eye, their mean its centre.
    """

    mean: np.ndarray
    core: np.ndarray
    basis: np.ndarray
    direction_names: tuple[str, ...]
    direction_units: tuple[str, ...]
    directions: np.ndarray
    direction_ranges: np.ndarray
    attributes: np.ndarray
    attribute_ranges: np.ndarray
    people: np.ndarray
    polygons: np.ndarray
    uv: np.ndarray
    uv_polygons: np.ndarray
    part_names: tuple[str, ...]
    vertex_part: np.ndarray
    polygon_part: np.ndarray
    regions: dict[str, np.ndarray]
    landmarks: dict[str, np.ndarray]
    expression_names: tuple[str, ...] = EXPRESSION_NAMES
    _cache: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def identity_size(self) -> int:
        """K, the number of identity coefficients."""
        return self.core.shape[0] - 1

    @property
    def vertex_count(self) -> int:
        """V."""
        return len(self.mean)

    def fingerprint(self) -> str:
        """Returns a short name for what faces are made from: shapes, mesh, texture chart, directions.

        Faces and face files carry it. Landmarks, regions, attributes and people do not count.
        """
        if "fingerprint" not in self._cache:
            digest = hashlib.blake2b(digest_size=8)
            for values in (self.mean, self.core, self.basis, self.directions, self.direction_ranges, self.uv):
                digest.update(np.ascontiguousarray(values, "<f4").tobytes())
            for indices in (self.polygons, self.uv_polygons):
                digest.update(np.ascontiguousarray(indices, "<i4").tobytes())
            digest.update(json.dumps([self.direction_names, self.expression_names]).encode())
            self._cache["fingerprint"] = digest.hexdigest()
        return self._cache["fingerprint"]

    @classmethod
    def default(cls) -> "BilinearFace":
        """The embedded model."""
        return cls.load(DEFAULT_FILE)

    @classmethod
    def load(cls, path: str | Path) -> "BilinearFace":
        """Reads a model that `build-face-model` made.

        Raises:
            UserError: the file is missing, broken, or not a face model.
        """
        arrays, metadata = read_tensors(path)
        foreign = UserError(
            f"{path}: not a face model of this version.",
            "Make it with: python -m ml_backend build-face-model.",
        )
        if metadata.get("format") != FORMAT:
            raise foreign
        try:
            names = json.loads(metadata["names"])
            tables = {
                table: {
                    key.split("/", 1)[1]: value
                    for key, value in arrays.items()
                    if key.startswith(f"{table}/")
                }
                for table in ("regions", "landmarks")
            }
            face = cls(
                mean=arrays["mean"].astype(np.float32),
                core=arrays["core"].astype(np.float32) * arrays["core_scale"].astype(np.float32),
                basis=arrays["basis"].astype(np.float32),
                directions=arrays["directions"].astype(np.float32),
                direction_ranges=arrays["direction_ranges"].astype(np.float32),
                attributes=arrays["attributes"].astype(np.float32),
                attribute_ranges=arrays["attribute_ranges"].astype(np.float32),
                people=arrays["people"].astype(np.float32),
                polygons=arrays["polygons"].astype(np.int32),
                uv=arrays["uv"].astype(np.float32),
                uv_polygons=arrays["uv_polygons"].astype(np.int32),
                vertex_part=arrays["vertex_part"],
                polygon_part=arrays["polygon_part"],
                regions={name: weights.astype(np.float32) for name, weights in tables["regions"].items()},
                landmarks=tables["landmarks"],
                expression_names=_words(names["expression_names"]),
                direction_names=_words(names["direction_names"]),
                direction_units=_words(names["direction_units"]),
                part_names=_words(names["part_names"]),
            )
            face._check()
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise foreign from error
        return face

    def tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Returns the contents of a model file for `tensor_file.write_tensors`: arrays and metadata.

        The basis and the core are in half precision.
        """
        scale = np.maximum(np.abs(self.core).max(axis=(0, 1)), 1e-12).astype(np.float32)  # (B,)
        arrays = {
            "mean": self.mean,
            "core": (self.core / scale).astype(np.float16),
            "core_scale": scale,
            "basis": self.basis.astype(np.float16),
            "directions": self.directions,
            "direction_ranges": self.direction_ranges,
            "attributes": self.attributes,
            "attribute_ranges": self.attribute_ranges,
            "people": self.people.astype(np.float16),
            "polygons": self.polygons,
            "uv": self.uv,
            "uv_polygons": self.uv_polygons,
            "vertex_part": self.vertex_part,
            "polygon_part": self.polygon_part,
        }
        arrays |= {f"regions/{name}": weights.astype(np.float16) for name, weights in self.regions.items()}
        arrays |= {f"landmarks/{name}": indices.astype(np.int32) for name, indices in self.landmarks.items()}
        words = ("expression_names", "direction_names", "direction_units", "part_names")
        return arrays, {
            "format": FORMAT,
            "names": json.dumps({word: list(getattr(self, word)) for word in words}),
        }

    def _check(self) -> None:
        vertices, size, count = self.vertex_count, self.identity_size, len(self.direction_names)
        right = (
            self.mean.shape == (vertices, 3)
            and size >= 1
            and self.core.shape == (1 + size, 1 + len(self.expression_names), self.basis.shape[0])
            and self.basis.shape[1] == 3 * vertices
            and self.directions.shape == (count, size)
            and self.direction_ranges.shape == (count, 2)
            and self.attributes.shape == (len(self.attribute_ranges), 1 + size)
            and self.attribute_ranges.shape[1:] == (2,)
            and self.people.shape[1:] == (size,)
            and len(self.people) != 1
            and self.polygons.shape == self.uv_polygons.shape == (len(self.polygon_part), 4)
            and self.polygons.max() < vertices
            and self.uv_polygons.max() < len(self.uv)
            and min(self.polygons.min(), self.uv_polygons.min()) >= -1
            and len(self.vertex_part) == vertices
            and all(len(weights) == vertices for weights in self.regions.values())
            and all(
                indices.size and indices.min() >= 0 and indices.max() < vertices
                for indices in self.landmarks.values()
            )
        )
        if not right:
            raise ValueError("arrays disagree")

    def evaluate(self, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """The face of an identity (K,) under an expression (52,): (V, 3) float32, metres.

        The second call in a row with one identity contracts the core for it once; from then on only the
        expression costs time.
        """
        weights = self._expression(expression)
        key = self._key(identity)
        if self._cache.get("shapes_key") != key and self._cache.get("evaluated_key") == key:
            self.shapes(identity)
        self._cache["evaluated_key"] = key
        if self._cache.get("shapes_key") == key:
            neutral, deltas = self._cache["shapes"]
            active = np.flatnonzero(weights)
            return neutral + (weights[active] @ deltas.reshape(len(weights), -1)[active]).reshape(-1, 3)
        coefficients = self._contracted(identity)
        row = coefficients[0] + weights @ coefficients[1:]
        positions = self.mean + (row @ self.basis).reshape(-1, 3)
        rest, moves = self._lining_of(identity)
        positions[self.mouth_lining().vertices] = rest + np.tensordot(weights, moves, 1)
        return positions

    def neutral(self, identity: np.ndarray) -> np.ndarray:
        """The face of an identity (K,) at rest: (V, 3) float32, metres."""
        row = self.core[0, 0] + self._identity(identity) @ self.core[1:, 0]
        positions = self.mean + (row @ self.basis).reshape(-1, 3)
        lining = self.mouth_lining()
        positions[lining.vertices] = lining.at_rest(positions[lining.near])
        return positions

    def shapes(self, identity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns one identity's neutral face and expression displacements; the last result is kept.

        Returns:
            (V, 3) and (52, V, 3), float32, metres, read-only.
        """
        key = self._key(identity)
        if self._cache.get("shapes_key") != key:
            shapes = (self._contracted(identity) @ self.basis).reshape(1 + len(self.expression_names), -1, 3)
            lining = self.mouth_lining()
            rest, moves = self._lining_of(identity, shapes[:, lining.near])
            shapes[0] += self.mean
            shapes[0, lining.vertices], shapes[1:, lining.vertices] = rest, moves
            shapes.flags.writeable = False
            self._cache.update(shapes_key=key, shapes=(shapes[0], shapes[1:]))
        return self._cache["shapes"]

    def sample_identity(self, seed: int) -> np.ndarray:
        """A plausible adult: (K,) float32.

        One of the model's people mixed with a second and with a little noise, age and the like kept within
        what is known. A model without people of its own: standard normal, the tails cut.
        """
        random = np.random.default_rng(seed)
        noise = random.standard_normal(self.identity_size).clip(-_LARGEST_COEFFICIENT, _LARGEST_COEFFICIENT)
        if not len(self.people):
            return (_SPREAD * noise).astype(np.float32)
        first, second = self.people[self._pair(random)]
        share = random.uniform(0.6, 1.0)
        identity = (share * first + (1 - share) * second + _NOISE * noise).astype(np.float32)
        for _ in range(_CORRECTIONS if len(self.attributes) else 0):
            values = self.attributes[:, 0] + self.attributes[:, 1:] @ identity
            wrong = np.clip(values, self.attribute_ranges[:, 0], self.attribute_ranges[:, 1]) - values
            outside = np.abs(wrong) > 1e-6
            identity += np.linalg.pinv(self.attributes[outside, 1:]) @ wrong[outside]
        return identity

    def seeded_person(self, seed: int) -> np.ndarray:
        """The person whom an artist draws by a seed: (K,) float32.

        That of `sample_identity`, clearly a woman or a man. Of mixtures of two people four in ten lie
        within 0.6 of the middle, of the model's people a quarter.
        """
        identity = self.sample_identity(seed)
        if _GENDER not in self.direction_names or len(self.attributes) < 2:
            return identity
        present = float(self.attributes[1, 0] + self.attributes[1, 1:] @ identity)
        missing = np.copysign(max(abs(present), _CLEARLY), present) - present
        return identity + np.float32(missing) * self.directions[self.direction_names.index(_GENDER)]

    def _pair(self, random: np.random.Generator) -> np.ndarray:
        return random.choice(len(self.people), 2, replace=False)

    def with_first_person(self, seed: int, youngest: float, oldest: float) -> "BilinearFace":
        """Returns the model with its people in another order, so that a seed draws a young average person.

        The person that the seed draws first and the person nearest the mean among those of the given ages
        change places. Nothing else changes; without people of these ages nothing does.

        Args:
            seed: of the person that artists see first.
            youngest: age in years.
            oldest: age in years.
        """
        random = np.random.default_rng(seed)
        random.standard_normal(self.identity_size)
        drawn = int(self._pair(random)[0])
        ages = np.array([self.age_years(person) for person in self.people])
        young = np.flatnonzero((ages >= youngest) & (ages <= oldest))
        if not len(young):
            return self
        chosen = int(young[np.linalg.norm(self.people[young], axis=1).argmin()])
        order = np.arange(len(self.people))
        order[[drawn, chosen]] = order[[chosen, drawn]]
        return replace(self, people=self.people[order])

    def identity_from_directions(self, values: dict[str, float]) -> np.ndarray:
        """Returns the identity at values of named directions, (K,) float32; the mean person without any.

        Raises:
            UserError: the model has no such direction.
        """
        identity = np.zeros(self.identity_size, np.float32)
        for name, value in values.items():
            if name not in self.direction_names:
                raise UserError(
                    f"{name}: not a direction of this face model.",
                    f"There are: {', '.join(self.direction_names)}.",
                )
            identity += np.float32(value) * self.directions[self.direction_names.index(name)]
        return identity

    def age_years(self, identity: np.ndarray) -> float:
        """Returns the age that an identity looks, 18 to 90; 45 for a model without attributes."""
        if not len(self.attributes):
            return 45.0
        return float(
            np.clip(self.attributes[0, 0] + self._identity(identity) @ self.attributes[0, 1:], 18.0, 90.0)
        )

    def origin_shares(self, identity: np.ndarray) -> np.ndarray | None:
        """Returns (3,): how African, Asian and European a form is, 0 to 1; None if the model cannot say."""
        if len(self.attributes) < 6:
            return None
        return self.attributes[3:6, 0] + self.attributes[3:6, 1:] @ self._identity(identity)

    def _contracted(self, identity: np.ndarray) -> np.ndarray:
        """(1 + 52, B): the core for one identity, kept for the next call."""
        key = self._key(identity)
        if self._cache.get("contracted_key") != key:
            flat = self._identity(identity) @ self.core[1:].reshape(self.identity_size, -1)
            self._cache.update(
                contracted_key=key, contracted=self.core[0] + flat.reshape(self.core.shape[1:])
            )
        return self._cache["contracted"]

    def mouth_lining(self) -> MouthLining:
        """Returns what holds the lining of the mouth; without vertices for a model that has none."""
        if "lining" not in self._cache:
            skin = np.isin(self.vertex_part, [i for i, name in enumerate(self.part_names) if name == "skin"])
            edges = [self.landmarks.get(f"lip_{lip}_inner", np.empty(0, int)) for lip in ("upper", "lower")]
            inside = np.zeros(len(self.mean), bool)
            if min(map(len, edges)) > 1:
                chart = np.full((len(self.mean), 2), np.inf, np.float32)
                corner = self.polygons >= 0
                chart[self.polygons[corner]] = self.uv[self.uv_polygons[corner]]
                inside = inside_lips(chart, *(chart[edge] for edge in edges)) & skin
            lining = MouthLining.of(self.mean, self.polygons, inside, skin & ~inside, np.concatenate(edges))
            basis = self.basis.reshape(len(self.basis), -1, 3)[:, lining.near]
            self._cache.update(lining=lining, lining_basis=basis.reshape(len(basis), -1))
        return self._cache["lining"]

    def _lining_of(
        self, identity: np.ndarray, near: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the lining of the mouth, (N, 3) at rest and (52, N, 3) moves, kept for the next call.

        Args:
            identity: (K,).
            near: (1 + 52, M, 3) of the lining's near vertices, from the mean face and from rest, where known.
        """
        key, lining = self._key(identity), self.mouth_lining()
        if self._cache.get("lining_key") != key:
            if near is None:
                flat: np.ndarray = self._contracted(identity) @ self._cache["lining_basis"]
                near = flat.reshape(len(flat), -1, 3)
            rest = near[0] + self.mean[lining.near]
            rest[lining.own] = lining.at_rest(rest)
            moves = lining.in_motion(rest, near[1:])
            self._cache.update(lining_key=key, mouth_lining=(rest[lining.own], moves))
        return self._cache["mouth_lining"]

    def _key(self, identity: np.ndarray) -> bytes:
        return self._identity(identity).tobytes()

    def _identity(self, identity: np.ndarray) -> np.ndarray:
        identity = np.asarray(identity, np.float32)
        if identity.shape != (self.identity_size,):
            raise ValueError(f"identity has shape {identity.shape}, not ({self.identity_size},)")
        return identity

    def _expression(self, expression: np.ndarray) -> np.ndarray:
        expression = np.asarray(expression, np.float32)
        if expression.shape != (len(self.expression_names),):
            raise ValueError(f"expression has shape {expression.shape}, not ({len(self.expression_names)},)")
        return expression


def _words(listed: list) -> tuple[str, ...]:
    return tuple(str(word) for word in listed)
