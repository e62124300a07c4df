"""The skin of a person under an expression: from strain to wrinkles.

A smooth, deterministic function of identity, skin and expression.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...expression_names import EXPRESSION_NAMES
from ...models.bilinear_face import BilinearFace
from ...models.skin_vector import SKIN_SIZE, YEARS_PER_SKIN_AGE
from .crease_fields import noise_field
from .crease_templates import CreasePatch, GroupField, crease_load
from .face_chart import GRID, FaceChart, border_fade, open_skin
from .mean_skin import LaidFold, MeanSkin, solve_mean_skin, unit_gradients
from .micro_detail import micro_templates
from .muscle_groups import FOLDS, GROUPS, CreaseLevel, Fold
from .strain import green_strain, principal_compression
from .wrinkle_profile import depth_response, fold_profile, wrinkle_profile

WARPS = 5  # three numbers of the skin and two of the identity move creases
WARP_SHARE = 0.125  # deviation of a crease from its mean place, wavelengths
WARP_CORRELATION_MM = 22.0
BREAKS_MM = 9.0  # over which the depth of a fold changes along it


@dataclass(frozen=True)
class SkinState:
    """The part of a person's skin that no expression changes.

    Attributes:
        gradients: (B, 52, 6 G G) displacement gradient of each unit, smoothed.
        resting: (B, N, G, G) compression that is left in the skin at rest, per group and fold, in units of
            full contraction.
        reliefs: per window, (B, h, w) millimetres at full depth.
        static: (B, R, R) pores and crosshatch, millimetres.
    """

    gradients: Tensor
    resting: Tensor
    reliefs: tuple[Tensor, ...]
    static: Tensor

    def __len__(self) -> int:
        return len(self.gradients)


@dataclass(frozen=True)
class Window:
    """A rectangle of the map in which one family of creases lies.

    Attributes:
        source: index of its group or fold in the list of both.
        rows, columns: half-open texel ranges.
        cells: the part of the strain's grid, g rows and k columns, that reaches into it.
        up, across: (h, g) and (w, k) interpolation from those cells.
        region: (g, k) where its creases may lie.
        family: depth and response to compression.
    """

    source: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    cells: tuple[slice, slice]
    up: Tensor
    across: Tensor
    region: Tensor
    family: CreaseLevel | Fold

    def fine(self, fields: Tensor) -> Tensor:
        """Carries fields over the strain's grid (..., G, G) to the window's texels (..., h, w)."""
        return self.up @ fields[..., self.cells[0], self.cells[1]] @ self.across.T


class SkinSimulation:
    """Simulated skin of one face model.

    Args:
        face: the face model.
        resolution: R of the maps, 256, 512 or 1024.
        device: where to compute.
        mean_skin: the `mean_skin` of another simulation of the same face, which saves its solution (seconds).
    """

    def __init__(
        self,
        face: BilinearFace,
        resolution: int = 512,
        device: str = "cpu",
        mean_skin: MeanSkin | None = None,
    ):
        if resolution not in (256, 512, 1024):
            raise ValueError(f"resolution {resolution} is not 256, 512 or 1024")
        self.face = face
        self.resolution = resolution
        self.device = torch.device(device)
        self._mean = solve_mean_skin(face) if mean_skin is None else mean_skin
        chart = self._mean.chart
        seen, inside = open_skin(face, chart, resolution)
        self.mask = inside.to(self.device)
        self._fade = border_fade(seen, chart.scale).to(self.device)
        self._fields = [_on_device(field, self.device) for field in self._mean.fields]
        self._windows = [self._window(patch.group, patch.region, patch.level) for patch in self._mean.patches]
        self._windows += [self._window(fold.source, fold.region, fold.fold) for fold in self._mean.folds]
        self._warps = self._warp_basis(chart)
        self._breaks = noise_field(4003, (2, GRID, GRID), chart.texels(BREAKS_MM / 2)).to(self.device)
        self._micro = micro_templates(chart, resolution).to(self.device)
        self._upper = [
            float((f.region * chart.up).sum() / f.region.sum().clamp_min(1e-6)) > -20
            for f in self._mean.fields
        ]

    @property
    def mean_skin(self) -> MeanSkin:
        """The part that does not depend on the resolution, for another simulation of the same face."""
        return self._mean

    def _window(self, source: int, region: Tensor, family: CreaseLevel | Fold) -> Window:
        covered = self._mean.chart.raster.covered
        rows, columns = torch.nonzero((region > 0.004) & (covered > 0), as_tuple=True)
        ranges = []
        for axis in (rows, columns):
            low = int(axis.min())
            high = int(axis.max()) + 1
            ranges.append(
                (
                    max(0, (low - 1) * self.resolution // GRID),
                    min(self.resolution, (high + 1) * self.resolution // GRID),
                )
            )
        weights = [spline_matrix(GRID, self.resolution, *span).to(self.device) for span in ranges]
        used = [torch.nonzero(matrix.sum(0)).flatten().tolist() for matrix in weights]
        cells = slice(used[0][0], used[0][-1] + 1), slice(used[1][0], used[1][-1] + 1)
        up, across = weights[0][:, cells[0]].contiguous(), weights[1][:, cells[1]].contiguous()
        region = region[cells].to(self.device)
        return Window(source, ranges[0], ranges[1], cells, up, across, region, family)

    def _warp_basis(self, chart: FaceChart) -> Tensor:
        """Returns (WARPS, 2, G, G): smooth displacements of unit deviation, (across, up)."""
        return (
            noise_field(4001, (2 * WARPS, GRID, GRID), chart.texels(WARP_CORRELATION_MM / 2))
            .view(WARPS, 2, GRID, GRID)
            .to(self.device)
        )

    def prepare(self, identity: Tensor, skin: Tensor) -> SkinState:
        """Computes the part that stays for all expressions: strains, creases, permanent creases, pores.

        Args:
            identity: (B, K), standard deviations.
            skin: (B, 16), see `models.skin_vector`.

        Raises:
            ValueError: a shape disagrees.
        """
        if (
            identity.ndim != 2
            or identity.shape[1] != self.face.identity_size
            or tuple(skin.shape) != (len(identity), SKIN_SIZE)
        ):
            raise ValueError(
                f"identity {tuple(identity.shape)} and skin {tuple(skin.shape)}: "
                f"expected (B, {self.face.identity_size}), (B, 16)"
            )
        people = identity.detach().cpu().numpy().astype(np.float32)
        skin = skin.detach().to(self.device, torch.float32)
        gradients = torch.stack([unit_gradients(self.face, one, self._mean.chart) for one in people]).to(
            self.device
        )
        traits = person_traits(
            torch.tensor([self.face.age_years(one) for one in people], device=self.device), skin
        )
        moves = torch.cat(
            [skin[:, 5:8], 0.5 * torch.from_numpy(people[:, :2]).to(self.device)], 1
        ) / math.sqrt(3.4)
        warps = torch.einsum("bj,jcyx->bcyx", moves, self._warps)
        flat = gradients.flatten(2)
        resting = torch.stack([self._full_compression(index, flat) for index in range(len(self._fields))], 1)
        shares = torch.tensor([group.resting for group in (*GROUPS, *FOLDS)], device=self.device)
        resting = resting.clamp(0, 1.3) * (shares * traits["slack"][:, None])[..., None, None]
        reliefs = []
        for number, window in enumerate(self._windows):
            if number < len(self._mean.patches):
                relief = self._creases(self._mean.patches[number], window, warps, skin, traits)
            else:
                relief = self._fold(self._mean.folds[number - len(self._mean.patches)], window, warps, skin)
            family = window.family
            strength = (
                family.depth * (family.youth + (1 - family.youth) * traits["aged"]) * traits["tendency"]
            )
            half = (0.12 if self._upper[window.source] else -0.12) * skin[:, 12]
            reliefs.append(relief * (strength * torch.exp(half))[:, None, None])
        mix = torch.stack([torch.ones_like(skin[:, 15]), 0.45 * skin[:, 15]], 1) * traits["pores"][:, None]
        static = torch.einsum("bk,kyx->byx", mix, self._micro) * self._fade
        return SkinState(flat, resting, tuple(reliefs), static)

    def _full_compression(self, index: int, gradients: Tensor) -> Tensor:
        """(B, G, G) compression across a group's creases at its full contraction, 1 = the mean face's."""
        field = self._fields[index]
        strains = green_strain((field.contractions @ gradients).view(len(gradients), -1, 6, GRID, GRID))
        expression = field.contractions.repeat(len(gradients), 1)
        strains = strains.flatten(0, 1)
        load = crease_load(strains, principal_compression(strains)[0], expression, field)
        return load.view(len(gradients), -1, GRID, GRID).amax(1)

    def _texture_points(self, window: Window) -> tuple[Tensor, Tensor]:
        v = (torch.arange(*window.rows, device=self.device) + 0.5) / self.resolution
        u = (torch.arange(*window.columns, device=self.device) + 0.5) / self.resolution
        return u, v

    def _creases(
        self, patch: CreasePatch, window: Window, warps: Tensor, skin: Tensor, traits: dict[str, Tensor]
    ) -> Tensor:
        """Returns (B, h, w) relief of unit depth: templates mixed, moved and stretched for each person."""
        u, v = self._texture_points(window)
        shift = WARP_SHARE * patch.level.wavelength * window.fine(warps)  # (B, 2, h, w) mm
        stretch = 1 / traits["wavelength"]
        extent = [patch.high[axis] - patch.low[axis] for axis in (0, 1)]
        x = (2 * (u - patch.low[0]) / extent[0] - 1) * stretch[:, None]
        y = (2 * (v - patch.low[1]) / extent[1] - 1) * stretch[:, None]
        x = x[:, None, :] + shift[:, 0] * (2 / patch.size_mm[0])
        y = y[:, :, None] + shift[:, 1] * (2 / patch.size_mm[1])
        grid = torch.stack([x, y], -1)
        parts = torch.cat([patch.templates, patch.irregularity]).to(self.device)
        sampled = functional.grid_sample(
            parts[None].expand(len(grid), -1, -1, -1),
            grid,
            mode="bicubic",
            align_corners=False,
            padding_mode="reflection",
        )
        stripes = sampled[:, :3]
        rough = sampled[:, 3:]
        weights = torch.stack([torch.full_like(skin[:, 3], 0.75), 0.55 * skin[:, 3], 0.55 * skin[:, 4]], 1)
        weights = weights / weights.norm(dim=1, keepdim=True)
        mixed = torch.einsum("bk,bkyx->byx", weights, stripes)
        turns = torch.stack([0.8 + 0.2 * skin[:, 9], 0.35 * skin[:, 10]], 1)
        breaks = patch.level.breaks
        rough = torch.einsum("bk,bkyx->byx", turns, rough)
        uneven = 1.55 * torch.sigmoid(breaks * rough + 0.65 - 0.25 * breaks)
        lopsided = torch.exp(0.08 * patch.side * skin[:, 11])[:, None, None]
        soft = uneven.clamp_min(1e-4).sqrt()  # a shallow stretch of a line is blunt, too
        return wrinkle_profile(1.15 * mixed * soft, patch.level.sharpness) * soft * lopsided

    def _fold(self, laid: LaidFold, window: Window, warps: Tensor, skin: Tensor) -> Tensor:
        """Returns (B, h, w) relief of one fold of unit depth."""
        fold = laid.fold
        side = laid.side
        moved = laid.distance.to(self.device) + (0.95 * fold.width) * (
            warps[:, 0] * 0.8 + warps[:, 1] * 0.6 + 0.35 * skin[:, 13, None, None]
        )
        fine = window.fine(moved)
        lopsided = torch.exp(0.13 * side * skin[:, 11] + 0.25 * skin[:, 13 if fold.name != "eleven" else 14])
        turns = torch.stack([0.55 + 0.2 * skin[:, 9], 0.3 * skin[:, 10]], 1)
        uneven = 1.2 * torch.sigmoid(torch.einsum("bk,kyx->byx", turns, self._breaks) + 1.6)
        uneven = window.fine(uneven)
        return fold_profile(fine, fold.width, fold.bulge, fold.bulge_width) * uneven * lopsided[:, None, None]

    def displacement(self, state: SkinState, expression: Tensor) -> Tensor:
        """Simulates maps.

        Args:
            state: from `prepare`, B people.
            expression: (B, E, 52) coefficients; not clamped.

        Returns:
            (B, E, R, R) float32 millimetres along the normal, row 0 at the bottom, within +-4.

        Raises:
            ValueError: a shape disagrees.
        """
        if (
            expression.ndim != 3
            or expression.shape[0] != len(state)
            or expression.shape[2] != len(EXPRESSION_NAMES)
        ):
            raise ValueError(
                f"expression {tuple(expression.shape)}: expected ({len(state)}, E, {len(EXPRESSION_NAMES)})"
            )
        expression = expression.to(self.device, torch.float32)
        count = expression.shape[1]
        maps = torch.zeros(len(state), count, self.resolution, self.resolution, device=self.device)
        for person in range(len(state)):
            strains = green_strain((expression[person] @ state.gradients[person]).view(count, 6, GRID, GRID))
            strongest, _ = principal_compression(strains)
            loads = []
            for index, field in enumerate(self._fields):
                loads.append(
                    crease_load(strains, strongest, expression[person], field) + state.resting[person, index]
                )
            for window, relief in zip(self._windows, state.reliefs, strict=True):
                load = loads[window.source][:, window.cells[0], window.cells[1]]
                depth = depth_response(load, window.family.onset, window.family.span) * window.region
                fine = window.up @ depth @ window.across.T
                maps[person, :, slice(*window.rows), slice(*window.columns)].addcmul_(fine, relief[person])
        maps *= self._fade
        return (maps + state.static[:, None]).clamp(-4, 4)


def _on_device(field: GroupField, device: torch.device) -> GroupField:
    moved = {
        name: getattr(field, name).to(device)
        for name in ("angle", "support", "contractions", "drive", "left")
    }
    return dataclasses.replace(field, **moved, acts=None if field.acts is None else field.acts.to(device))


def person_traits(years: Tensor, skin: Tensor) -> dict[str, Tensor]:
    """Returns the effect of age and skin on wrinkles.

    Args:
        years: (B,) age of the geometry.
        skin: (B, 16).

    Returns:
        (B,) each: "aged" 0 at 20 to 1 at 60 and beyond 1 above; "slack" 0 at 25 to 1 at 70, what stays at
        rest; "tendency" and "wavelength" factors around 1; "pores" a factor.
    """
    age = years + YEARS_PER_SKIN_AGE * skin[:, 0]
    aged = 1.25 * torch.sigmoid((age - 43) / 11)
    slack = 1.05 * torch.sigmoid((age - 52) / 8.5)
    return {
        "aged": aged,
        "slack": slack,
        "tendency": torch.exp(0.3 * skin[:, 1]),
        "wavelength": torch.exp(0.1 * skin[:, 2]),
        "pores": 0.75 + 0.3 * aged + 0.15 * torch.tanh(skin[:, 1]),
    }


def spline_matrix(coarse: int, fine: int, start: int, stop: int) -> Tensor:
    """Returns (stop - start, coarse) weights of a cubic B-spline.

    They carry a coarse grid's rows to texels start..stop of a fine one.
    """
    at = (torch.arange(start, stop) + 0.5) * coarse / fine - 0.5
    below = at.floor()
    t = at - below
    weights = (
        torch.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1) / 6
    )
    matrix = torch.zeros(stop - start, coarse)
    index = (below[:, None].long() + torch.arange(-1, 3)).clamp(0, coarse - 1)
    return matrix.scatter_add_(1, index, weights)
