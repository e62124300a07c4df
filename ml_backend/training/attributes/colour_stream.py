"""An unlimited stream of colours at a head's places: stored portraits in other skin, light and hair.

Where the encoder's first trunk puts each place into a portrait, the portrait's surface says what is really
seen
there: skin, hair, an eye or the ground. The exact decoder colours it anew, and a camera exposes it, so the
errors of the landmarks are those of pictures and every drawn light and skin is new.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...datasets.coded_portraits import StoredPortrait
from ...fitting.attributes.encode_face import encode_points, sampled_colours
from ...fitting.attributes.face_crop import face_crop
from ...fitting.attributes.levelled_face import levelled_points
from ...models.attribute_encoder import COLOUR, DARKEST, AttributeEncoder
from ...models.face_codes import code_of_light, light_of_code
from ...models.face_renderer import SkinColours, Surface, linear_of_srgb, surface_colours
from ...simulation.portraits.coded_portrait import SIZE, draw_hair, draw_light, draw_texture, linear_pixels

_METERED, _METER_ERROR = 0.26, 0.28
_CORRECTED, _WHITE_ERROR = 0.85, 0.03
_GEOMETRIC = (0, 6, 7)
"""Numbers of the hair code that move the surface: a record keeps those of its portrait."""
_DRAWN = 4000


@dataclass
class ColourBatch:
    """Inputs of the second trunk, and the codes that it should say.

    Attributes:
        colours: (B, P, 3) linear; seen: (B, P); ground: (B, 12) logarithms; turn: (B, 3) deviations.
        codes: texture, illumination, hair, not in deviations.
    """

    colours: Tensor
    seen: Tensor
    ground: Tensor
    turn: Tensor
    codes: dict[str, Tensor]

    def rows(self, rows: np.ndarray | slice) -> "ColourBatch":
        """Returns some rows."""
        codes = {name: value[rows] for name, value in self.codes.items()}
        return ColourBatch(self.colours[rows], self.seen[rows], self.ground[rows], self.turn[rows], codes)

    def beside(self, other: "ColourBatch") -> "ColourBatch":
        """Returns both one after the other."""
        names = ("colours", "seen", "ground", "turn")
        both = {name: torch.cat([getattr(self, name), getattr(other, name)]) for name in names}
        codes = {name: torch.cat([value, other.codes[name]]) for name, value in self.codes.items()}
        return ColourBatch(codes=codes, **both)


class ColourStream:
    """Draws batches.

    Args:
        encoder: whose first trunk places the head; in evaluation mode.
        portraits: of a set.
        random: source of the drawn skins, lights and hair.
    """

    def __init__(
        self, encoder: AttributeEncoder, portraits: list[StoredPortrait], random: np.random.Generator
    ):
        self.encoder = encoder
        rows = [_record(encoder, portrait) for portrait in portraits]
        stack = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        names = ("texels", "texel_weights", "lobes", "paint", "fields")
        self.surface = Surface(**{name: stack.pop(name) for name in names})
        self.head, self.pattern, self.share = stack.pop("head"), stack.pop("pattern"), stack.pop("share")
        self.seen_as_stored = ColourBatch(
            stack["colours"],
            stack["seen"],
            stack["ground"],
            stack["turn"],
            {name: stack[name] for name in COLOUR},
        )
        self.textures = np.stack([draw_texture(random) for _ in range(_DRAWN)])
        self.lights = np.stack([draw_light(random) for _ in range(_DRAWN)]).astype(np.float32)
        self.hair = np.stack([draw_hair(random) for _ in range(_DRAWN)])

    def stored(self, count: int, random: np.random.Generator) -> ColourBatch:
        """Returns pictures as they are stored, chosen by chance."""
        return self.seen_as_stored.rows(random.integers(0, len(self.share), count))

    def batch(self, count: int, random: np.random.Generator) -> ColourBatch:
        """Draws portraits in other colours."""
        rows = random.integers(0, len(self.share), count)
        one = torch.from_numpy
        texture = one(self.textures[random.integers(0, _DRAWN, count)])
        light = one(self.lights[random.integers(0, _DRAWN, count)])
        hair = one(self.hair[random.integers(0, _DRAWN, count)]).clone()
        hair[:, list(_GEOMETRIC)] = self.seen_as_stored.codes["hair"][rows][:, list(_GEOMETRIC)]
        return self.lit(rows, texture, light, hair, random)

    def lit(
        self, rows: np.ndarray, texture: Tensor, light: Tensor, hair: Tensor, random: np.random.Generator
    ) -> ColourBatch:
        """Colours records anew, by the exact decoder, and takes their picture.

        Args:
            rows: (B,) of the records.
            texture, light, hair: (B, 48), (B, 9, 3), (B, 16).
            random: of what no code says.
        """
        count = len(rows)

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return torch.from_numpy(random.uniform(low, high, (count, *shape)).astype(np.float32))

        def normal(deviation: float, *shape: int) -> Tensor:
            return torch.from_numpy((deviation * random.standard_normal((count, *shape))).astype(np.float32))

        surface = self.surface[rows]
        albedo = SkinColours.default().linear(texture)
        eyes = torch.exp(normal(0.07, 1, 1))
        surface = Surface(
            surface.texels, surface.texel_weights, surface.lobes, surface.paint * eyes, surface.fields
        )
        lit = surface_colours(
            surface, albedo, light, hair, uniform(0, 1.2, 1), uniform(0.2, 2, 1), uniform(0, 0.08, 1)
        )
        head, seen, share = self.head[rows], self.seen_as_stored.seen[rows], self.share[rows]
        level = light[:, 0]
        behind = level * uniform(0.05, 0.8, 1) * torch.exp(normal(0.25, 3))
        colours = torch.where(head[..., None], lit, self.pattern[rows] * behind[:, None])
        shown = (seen * head)[..., None]
        face = (lit * shown).sum(1) / shown.sum(1).clamp_min(1)
        whole = share[:, None] * face + (1 - share[:, None]) * behind
        white = torch.exp(
            -_CORRECTED * torch.log(level / level.mean(1, keepdim=True)) + normal(_WHITE_ERROR, 3)
        )
        exposure = (
            _METERED
            * torch.exp(normal(_METER_ERROR, 1))
            / (whole * white).mean(1, keepdim=True).clamp_min(1e-4)
        )
        bright = (colours * white[:, None] * seen[..., None]).amax(2).quantile(0.97, dim=1, keepdim=True)
        factors = white * torch.minimum(exposure, 1.3 / bright.clamp_min(1e-4))
        gamma = torch.exp(normal(0.05, 1))

        def stored(values: Tensor) -> Tensor:
            srgb = torch.where(
                values <= 0.0031308, 12.92 * values, 1.055 * values.clamp_min(1e-6) ** (1 / 2.4) - 0.055
            )
            return linear_of_srgb(srgb.clamp(1e-4, 1) ** gamma.view(-1, *[1] * (values.dim() - 1)))

        noisy = colours * factors[:, None]
        noisy = noisy * torch.exp(normal(0.03, *noisy.shape[1:]))
        ground = torch.stack(
            [whole, behind * torch.exp(normal(0.3, 3)), behind * torch.exp(normal(0.15, 3)),
             torch.maximum(behind * 1.3, face * 1.6)], 1
        )  # fmt: skip
        ground = stored(ground * factors[:, None]).clamp_min(DARKEST).log().flatten(1)
        exposed = (light * factors[:, None]).numpy()
        codes = {"texture": texture, "hair": hair, "illumination": torch.from_numpy(code_of_light(exposed))}
        return ColourBatch(stored(noisy), seen, ground, self.seen_as_stored.turn[rows], codes)


def _record(encoder: AttributeEncoder, portrait: StoredPortrait) -> dict[str, Tensor]:
    """Places the head in a portrait by the encoder, and notes what is seen there."""
    codes, camera = encode_points(encoder, portrait.pixels, portrait.points, portrait.focal)
    unit = levelled_points(portrait.points, portrait.focal, SIZE, SIZE).unit
    sampled = sampled_colours(portrait.pixels, codes, camera, unit)
    at = portrait.place[sampled.pixels[:, 1], sampled.pixels[:, 0]]
    head = at >= 0
    surface = portrait.surface[torch.from_numpy(at.clip(0))]
    level = np.exp(portrait.codes.illumination[:3])
    pattern = linear_pixels(portrait.pixels)[sampled.pixels[:, 1], sampled.pixels[:, 0]]
    behind = pattern[~head].mean(0) if (~head).any() else level
    one = torch.from_numpy
    face = levelled_points(portrait.points, portrait.focal, SIZE, SIZE)
    with torch.no_grad():
        crop = one(face_crop(portrait.pixels, face)).permute(2, 0, 1)[None]
        turn = encoder.see_head(one(face.points)[None], crop)["rotation"][0].clone()
    return {
        "texels": surface.texels, "texel_weights": surface.texel_weights, "lobes": surface.lobes,
        "paint": surface.paint, "fields": surface.fields, "head": one(head),
        "pattern": one((pattern / np.maximum(behind, 1e-3)).clip(0, 4).astype(np.float32)),
        "share": torch.tensor(float((portrait.place >= 0).mean())), "colours": one(sampled.colours),
        "seen": one(sampled.seen), "ground": one(sampled.ground), "turn": turn.clone(),
        **{name: one(getattr(portrait.codes, name)) for name in COLOUR},
    }  # fmt: skip


def relit(codes: Tensor) -> Tensor:
    """Returns the lights (B, 9, 3) of codes of illumination (B, 27)."""
    return torch.from_numpy(light_of_code(codes.detach().numpy()).astype(np.float32))
