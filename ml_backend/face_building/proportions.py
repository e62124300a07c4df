"""Twelve of Farkas's measures of a face, and how adults' measures are published.

Means and deviations of young North American adults in millimetres: Farkas 1994, "Anthropometry of the Head
and Face", 2nd edition, Raven Press; the face's measures again in Farkas et al. 2005, "International
anthropometric study of facial morphology in various ethnic groups/races", J. Craniofac. Surg. 16. The height
of the red of the lips (ls-li) is the sum of both lips' there.
"""

from collections.abc import Mapping

import numpy as np

# Measure -> ((mean, deviation) of women, of men).
PUBLISHED = {
    "n-gn": ((111.4, 4.8), (124.7, 5.7)),
    "zy-zy": ((130.0, 4.6), (139.1, 5.3)),
    "go-go": ((94.5, 5.0), (105.6, 6.7)),
    "al-al": ((31.4, 2.0), (34.9, 2.1)),
    "ch-ch": ((50.2, 3.5), (54.5, 3.0)),
    "en-en": ((31.8, 2.3), (33.3, 2.7)),
    "ex-ex": ((87.8, 3.2), (91.2, 3.0)),
    "sn-gn": ((64.3, 4.0), (72.6, 4.5)),
    "n-sn": ((50.6, 3.1), (54.8, 3.3)),
    "sa-sba": ((59.7, 3.7), (62.9, 3.5)),
    "eu-eu": ((144.1, 4.8), (151.2, 5.7)),
    "ls-li": ((18.1, 2.4), (17.3, 2.7)),
}


def farkas_measures(face: np.ndarray, landmarks: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The twelve measures of a face at rest.

    Args:
        face: (V, 3) metres, Blender axes.
        landmarks: of the model, by name.

    Returns:
        Millimetres by name of the measure. zy and eu are where the face between ear and eye, and the skull
        above the ears, are widest.
    """

    def at(name: str) -> np.ndarray:
        return face[landmarks[name]].mean(axis=0)

    def apart(one: str, other: str) -> float:
        return 1000 * float(np.linalg.norm(at(one) - at(other)))

    def widest(name: str) -> float:
        return 1000 * float(np.ptp(face[landmarks[name], 0]))

    ears = [apart(f"ear_top_{side}", f"ear_bottom_{side}") for side in ("left", "right")]
    return {
        "n-gn": apart("nose_root", "chin_bottom"),
        "zy-zy": widest("zygion_band"),
        "go-go": apart("jaw_left", "jaw_right"),
        "al-al": apart("nose_wing_left", "nose_wing_right"),
        "ch-ch": apart("cheilion_left", "cheilion_right"),
        "en-en": apart("endocanthion_left", "endocanthion_right"),
        "ex-ex": apart("exocanthion_left", "exocanthion_right"),
        "sn-gn": apart("nose_base", "chin_bottom"),
        "n-sn": apart("nose_root", "nose_base"),
        "sa-sba": float(np.mean(ears)),
        "eu-eu": widest("euryon_band"),
        "ls-li": apart("lip_border_upper", "lip_border_lower"),
    }


def compare_proportions(women: list[dict[str, float]], men: list[dict[str, float]]) -> dict[str, dict]:
    """Holds the measures of random people against the published ones.

    Args:
        women, men: `farkas_measures` of each person.

    Returns:
        By measure and sex: mean and deviation in millimetres, how many published deviations the mean is off,
        the deviation's ratio to the published one.
    """
    rows = {}
    for name, norms in PUBLISHED.items():
        rows[name] = {}
        for sex, people, (mean, deviation) in (("women", women, norms[0]), ("men", men, norms[1])):
            values = np.array([person[name] for person in people])
            rows[name][sex] = {
                "mean": round(float(values.mean()), 1),
                "deviation": round(float(values.std()), 2),
                "off": round(float((values.mean() - mean) / deviation), 2),
                "spread": round(float(values.std() / deviation), 2),
            }
    return rows
