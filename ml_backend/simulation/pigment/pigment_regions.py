"""The pigments' distribution over the face: fields in the anatomical frame, and how traits weigh them.

Numbers are what MakeHuman's CC0 skins show (`benchmarks.skin_colour_statistics`: means of regions in CIELAB
less the cheek's, turned into pigment by the optics), where baked shade does not hide it; the rest follows the
literature. Redness of nose, cheeks and chin: measured haemoglobin of Jimenez et al. 2010, "A practical
appearance model for dynamic facial color"; the yellowish forehead, red middle and bluish lower third of the
face: Gurney 2010, "Color and Light". Dark circles are melanin and deep veins: Park et al. 2018, "Dark circles
under the eyes", Ann. Dermatol. 30. What tans and spots first is what the sun meets: Flament et al. 2013,
"Effect of the sun on visible clinical signs of aging", Clin. Cosmet. Investig. Dermatol. 6.
"""

import torch
from torch import Tensor

from .pigment_chart import PigmentChart

_BEARD_LINE = ((0, -47), (12, -48), (22, -56), (34, -68), (48, -66), (60, -46), (70, -14), (80, 0))
"""Upper edge of a beard: across, up, millimetres."""


def _blob(chart: PigmentChart, across: float, up: float, half_width: float, half_height: float) -> Tensor:
    """A soft ellipse on both sides, 1 in its middle."""
    away = ((chart.across.abs() - across) / half_width) ** 2 + ((chart.up - up) / half_height) ** 2
    return torch.exp(-0.7 * away) * torch.sigmoid((95 - chart.behind) / 8)


def _step(values: Tensor, width: float) -> Tensor:
    return torch.sigmoid(values / width)


def beard_cover(chart: PigmentChart) -> Tensor:
    """Returns (R, R) 0..1, where a beard grows."""
    beside = chart.across.abs()
    knots = torch.tensor(_BEARD_LINE, dtype=torch.float32)
    index = torch.searchsorted(knots[:, 0].contiguous(), beside.contiguous()).clamp(1, len(knots) - 1)
    low, high = knots[index - 1], knots[index]
    share = ((beside - low[..., 0]) / (high[..., 0] - low[..., 0])).clamp(0, 1)
    line = low[..., 1] + share * (high[..., 1] - low[..., 1])
    cover = _step(line - chart.up, 2.5) * _step(chart.up + 138, 6) * _step(88 - chart.behind, 4)
    bare = 0.7 * _blob(chart, 15, -77, 7, 5) + 0.35 * _blob(chart, 0, -52, 3, 6)
    thick = 0.55 + 0.45 * torch.maximum(_blob(chart, 0, -92, 24, 16), _blob(chart, 12, -56, 14, 8)).clamp(
        0, 1
    )
    return cover * thick * (1 - bare).clamp(0, 1) * (1 - chart.lips) * chart.seen


def region_fields(chart: PigmentChart) -> dict[str, Tensor]:
    """Returns by name (R, R) float32 in about 0..1."""
    front = _step(95 - chart.behind, 8)
    mouth = (1 - chart.seen) * _blob(chart, 0, -66, 26, 12).clamp(0, 1)
    fields = {
        "cheeks": _blob(chart, 40, -34, 17, 15),
        "apples": _blob(chart, 36, -28, 11, 9),
        "forehead": _blob(chart, 0, 46, 46, 18),
        "nose": _blob(chart, 0, -30, 13, 15),
        "nose_tip": _blob(chart, 0, -38, 15, 13) + 0.5 * _blob(chart, 13, -36, 9, 12),
        "wing_crease": _blob(chart, 18, -40, 6, 9),
        "nasolabial": _blob(chart, 27, -52, 5, 10),
        "perioral": _blob(chart, 0, -64, 30, 14),
        "mouth_corner": _blob(chart, 25, -67, 4.5, 5),
        "chin": _blob(chart, 0, -96, 14, 9),
        "jaw": _blob(chart, 52, -72, 16, 16),
        "temples": _blob(chart, 62, 16, 12, 16),
        "upper_lid": _blob(chart, 30, 9, 15, 6),
        "inner_eye": _blob(chart, 15, -2, 6, 9),
        "under_eye": _blob(chart, 26, -15, 13, 6),
        "tear_trough": _blob(chart, 18, -17, 7, 5.5),
        "lid_margin": torch.exp(-((chart.lid_edge / 1.3) ** 2)),
        "neck": _step(-112 - chart.up, 7),
        "ears": chart.ears,
        "lips": chart.lips,
        "upper_lip": chart.lips * _step(chart.up + 66, 1.2),
        "vermilion_rim": 4 * chart.lips * (1 - chart.lips),
        "brows": chart.brows,
        "scalp": chart.scalp,
        "mouth": mouth,
        "glabella": _blob(chart, 0, 12, 9, 12),
        "sun": (
            0.7 * _blob(chart, 0, 46, 52, 22) + _blob(chart, 46, -20, 24, 16)
            + 0.9 * _blob(chart, 0, -24, 12, 22)
            - 0.6 * _blob(chart, 0, -112, 40, 14) - 0.4 * _blob(chart, 30, 8, 16, 7)
        ) * front,
    }  # fmt: skip
    return fields


SPOT_FIELDS = {
    "freckles": {
        "cheeks": 1.0, "apples": 0.3, "nose": 0.95, "forehead": 0.45, "chin": 0.25, "jaw": 0.25,
        "temples": 0.4,
    },
    "moles": {
        "cheeks": 0.3, "forehead": 0.2, "chin": 0.3, "jaw": 0.35, "neck": 0.2, "temples": 0.4,
        "perioral": 0.3,
    },
    "age_spots": {"cheeks": 0.6, "temples": 0.95, "forehead": 0.7, "jaw": 0.45, "nose": 0.2},
    "blemishes": {"cheeks": 0.6, "forehead": 0.5, "chin": 0.9, "jaw": 0.6, "perioral": 0.4, "nose": 0.3},
    "scars": {"cheeks": 0.7, "temples": 0.5, "forehead": 0.4, "chin": 0.3, "jaw": 0.4},
}  # fmt: skip
"""Commonness of each kind of spot by region."""


def spot_weight(kind: str, chart: PigmentChart, fields: dict[str, Tensor]) -> Tensor:
    """Returns (R, R) 0..1: how common a kind of spot is at each place, none on lips, lids and under hair."""
    total = sum(share * fields[name] for name, share in SPOT_FIELDS[kind].items())
    free = (1 - chart.lips) * (1 - chart.scalp) * (1 - fields["lid_margin"]) * chart.seen
    return (total * free).clamp(0, 1)


def region_weights(traits: dict[str, Tensor], names: list[str], even: Tensor) -> Tensor:
    """Weighs the regions for B people.

    Args:
        traits: by name (B,).
        names: the K fields, in order.
        even: (B,) 1 for light skin, where melanin varies by a share of itself, towards 0 for dark skin.

    Returns:
        (B, 6, K): logarithm of melanin, logarithm of blood, oxygenation, veins, hair roots, carotene.
    """
    old = ((traits["age"] - 25) / 50).clamp(0, 1.2)
    male = traits["sex"]
    flush = (1 + 0.6 * traits["redness"]) * (1.5 - 0.5 * even)  # blood shows less through melanin
    dark = ((25 - traits["tone"]) / 55).clamp(0, 1)
    dark = dark * dark * (3 - 2 * dark)
    eye, tan, lip = traits["under_eye"], traits["tan"], traits["lips"]
    none = torch.zeros_like(old)
    melanin = {
        "sun": even * (0.50 * tan + 0.08 * old),
        "forehead": 0.03 * even + 0.03 * dark,
        "temples": 0.08 * even + 0.05 * dark,
        "perioral": even * (0.12 + 0.06 * old) + 0.07 * dark,
        "mouth_corner": 0.12 * even + 0.08 * dark,
        "nasolabial": 0.04 * even + 0.03 * dark,
        "chin": 0.10 * even + 0.06 * dark,
        "upper_lid": even * (0.25 + 0.25 * eye) + 0.06 * dark,
        "under_eye": even * (0.08 + 0.45 * eye) + dark * 0.07 * eye,
        "inner_eye": even * (0.20 + 0.25 * eye) + 0.02 * dark,
        "wing_crease": 0.12 * even + 0.05 * dark,
        "jaw": 0.12 * even,
        "apples": -0.04 * even - 0.04 * dark,
        "nose_tip": 0.04 * dark,
        "neck": even * (0.25 - 0.35 * tan) + 0.04 * dark,
        "ears": -0.15 * even,
        "lips": 0.20 * even - 0.10 * dark - 0.10 * lip,
        "upper_lip": 0.15 + 0.16 * dark,
        "vermilion_rim": -0.05 + 0.10 * dark,
        "lid_margin": 0.30 * even,
        "mouth": -1.2 + none,
        "pores": (0.34 + 0.16 * male + 0.16 * old) * (0.4 + 0.6 * even),
        "scalp": -0.25 * even,
    }
    blood = {
        "cheeks": 0.13 * flush,
        "apples": 0.14 * flush + 0.05 * (1 - male),
        "forehead": -0.07 + 0.04 * flush,
        "glabella": 0.06 * flush,
        "nose": 0.30 * flush,
        "nose_tip": 0.32 * flush + 0.10 * old,
        "wing_crease": 0.16 * flush,
        "nasolabial": 0.12 * flush,
        "perioral": 0.06 * flush,
        "chin": 0.52 * flush,
        "jaw": -0.16 + 0.04 * flush,
        "temples": 0.05 + none,
        "upper_lid": 0.22 + 0.10 * flush,
        "inner_eye": 0.30 + none,
        "under_eye": 0.06 + 0.10 * eye,
        "lid_margin": 0.40 + none,
        "neck": -0.28 + 0.05 * flush,
        "ears": 0.30 * flush,
        "lips": 2.1 + 0.35 * lip - 0.12 * male - 0.20 * old,
        "upper_lip": -0.10 + none,
        "mouth": 1.6 + none,
        "sun": 0.08 * tan,
    }
    oxygen = {
        "lips": -0.02 + 0.03 * lip - 0.03 * old,
        "under_eye": -0.05 * eye,
        "nose_tip": -0.03 * old,
        "cheeks": 0.03 + none,
    }
    clear = 0.3 + 0.7 * even
    veins = {
        "under_eye": clear * (0.10 + 0.30 * eye),
        "tear_trough": clear * (0.12 + 0.36 * eye),
        "inner_eye": clear * (0.20 + 0.15 * eye),
        "upper_lid": clear * (0.12 + 0.10 * eye),
        "temples": 0.03 + 0.06 * old,
        "neck": 0.04 + none,
    }
    hair = {
        "brows": 0.50 + 0.10 * male,
        "scalp": 0.22 + none,
        "beard": 0.60 * traits["stubble"],
    }
    carotene = {"forehead": 0.05 + none, "cheeks": -0.02 + none, "perioral": 0.05 + none, "jaw": 0.02 + none}
    tables = (melanin, blood, oxygen, veins, hair, carotene)
    rows = [torch.stack([table.get(name, none) for name in names], -1) for table in tables]
    return torch.stack(rows, 1)
