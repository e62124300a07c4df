"""Published spectra of skin: absorption of its pigments, scattering, and the standard observer.

All tables run from 400 to 700 nm in steps of 10 nm.

Sources: haemoglobin: S. Prahl's compilation of W. B. Gratzer's and N. Kollias's measurements, "Tabulated
Molar Extinction Coefficient for Hemoglobin in Water", omlc.org/spectra/hemoglobin. Beta-carotene in hexane:
Du et al. 1998, "PhotochemCAD", Photochem. Photobiol. 68 (R. A. Fuh's measurement, scaled to Zechmeister's
139,500 at 451 nm), read at 10 nm, its noise of about 1,000 beyond 550 nm left out. Melanins and the
bloodless background: S. Jacques, "Skin Optics", omlc.org/news/jan98/skinoptics.html, in the form of Donner
and Jensen 2006, "A Spectral BSSRDF for Shading Human Skin". Scattering: Jacques 2013, "Optical properties
of biological tissues: a review", Phys. Med. Biol. 58, the mean of the skins in its table 1. Observer and
illuminant: CIE 15, 1931 2-degree observer and D65.
"""

import numpy as np

WAVELENGTHS = np.arange(400.0, 701.0, 10.0)
"""Nanometres, (31,)."""

# fmt: off
OXYHAEMOGLOBIN = np.array([
    266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209.2, 26629.2, 23684.4, 20932.8, 20035.2,
    24202.4, 39956.8, 53236, 43016, 32613.2, 44496, 50104, 14400.8, 3200, 1506, 942, 610, 442, 368, 319.6,
    294, 277.6, 276, 290,
])
"""Molar extinction, 1 / (cm M), (31,)."""
DEOXYHAEMOGLOBIN = np.array([
    223296, 303956, 407560, 528600, 413280, 103292, 23388.8, 16156.4, 14550, 16684, 20862, 25773.6, 31589.6,
    39036.4, 46592, 53412, 53788, 45072, 37020, 28324.4, 14677.2, 9443.6, 6509.6, 5148.8, 4345.2, 3750.12,
    3226.56, 2795.12, 2407.92, 2051.96, 1794.28,
])
"""Molar extinction, 1 / (cm M), (31,)."""
BETA_CAROTENE = np.array([
    59000, 73100, 97400, 107000, 120900, 138700, 120800, 108500, 110300, 75500, 32500, 10600, 3400, 1600,
    1000, 500, *[0] * 15,
], np.float64)
"""Molar extinction, 1 / (cm M), (31,)."""
OBSERVER = np.array([
    [.01431, .04351, .13438, .2839, .34828, .3362, .2908, .19536, .09564, .03201, .0049, .0093, .06327,
    .1655, .2904, .43345, .5945, .7621, .9163, 1.0263, 1.0622, 1.0026, .85445, .6424, .4479, .2835, .1649,
    .0874, .04677, .0227, .011359],
    [.000396, .00121, .004, .0116, .023, .038, .06, .09098, .13902, .20802, .323, .503, .71, .862, .954,
    .99495, .995, .952, .87, .757, .631, .503, .381, .265, .175, .107, .061, .032, .017, .00821, .004102],
    [.06785, .2074, .6456, 1.3856, 1.74706, 1.77211, 1.6692, 1.28764, .81295, .46518, .272, .1582, .07825,
    .04216, .0203, .00875, .0039, .0021, .00165, .0011, .0008, .00034, .00019, .00005, .00002, *[0] * 6],
])
"""x, y and z of the standard observer, (3, 31)."""
DAYLIGHT = np.array([
    82.7549, 91.486, 93.4318, 86.6823, 104.865, 117.008, 117.812, 114.861, 115.923, 108.811, 109.354,
    107.802, 104.79, 107.689, 104.405, 104.046, 100, 96.3342, 95.788, 88.6856, 90.0062, 89.5991, 87.6987,
    83.2886, 83.6992, 80.0268, 80.2146, 82.2778, 78.2842, 69.7213, 71.6091,
])
"""Relative power of the illuminant D65, (31,)."""
# fmt: on

_BLOOD_GRAMS, _BLOOD_GRAMS_A_MOLE = 150.0, 66500.0
_PER_MM = np.log(10) / 10  # decadic, 1 / cm -> natural, 1 / mm


def eumelanin_absorption() -> np.ndarray:
    """Returns (31,) 1 / mm, of a melanosome's inside."""
    return 6.6e10 * WAVELENGTHS**-3.33


def pheomelanin_absorption() -> np.ndarray:
    """Returns (31,) 1 / mm, of a melanosome's inside."""
    return 2.9e14 * WAVELENGTHS**-4.75


def blood_absorption() -> tuple[np.ndarray, np.ndarray]:
    """Returns (31,) and (31,) 1 / mm, of whole blood (150 g of haemoglobin a litre), oxygenated and not."""
    scale = _PER_MM * _BLOOD_GRAMS / _BLOOD_GRAMS_A_MOLE
    return scale * OXYHAEMOGLOBIN, scale * DEOXYHAEMOGLOBIN


def carotene_absorption() -> np.ndarray:
    """Returns (31,) 1 / mm, of a micromole a litre."""
    return _PER_MM * 1e-6 * BETA_CAROTENE


def background_absorption() -> np.ndarray:
    """Returns (31,) 1 / mm, of skin without melanin and blood."""
    return 0.0244 + 8.53 * np.exp(-(WAVELENGTHS - 154) / 66.2)


def reduced_scattering() -> np.ndarray:
    """Returns (31,) 1 / mm, of epidermis and dermis."""
    return 4.6 * (WAVELENGTHS / 500) ** -1.421


def observer_weights() -> np.ndarray:
    """Returns (31, 3): a reflectance times it is linear sRGB under D65; a white surface is (1, 1, 1)."""
    xyz = (OBSERVER * DAYLIGHT).T / (OBSERVER[1] * DAYLIGHT).sum()
    to_rgb = np.array(
        [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560],
         [0.0556434, -0.2040259, 1.0572252]]
    )  # fmt: skip
    weights = xyz @ to_rgb.T
    return weights / weights.sum(0)
