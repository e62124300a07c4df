"""Figures of the skin's fit on photographs of simulated people whose colour is known.

Each person is lit by eight lights that no training saw. The face is found and fitted as in any photo, in one
of the pictures; all eight share head and camera. Under each light the tone is fitted, under one of them the
whole map, which is then lit by another.

Source of error by group and bias: Feng et al. 2022, "Towards racially unbiased skin tone estimation via scene
disambiguation" (TRUST): the mean of |error of the typology angle| in each group of tones, and its deviation
over the groups.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...datasets.colour_set import held_out_colours, simulated_colours
from ...datasets.map_set import HELD_OUT_SEED
from ...fitting.face_fit import fit_face
from ...fitting.landmarks import find_faces
from ...fitting.photo_camera import SeenFace
from ...fitting.skin.fit_skin import SkinModel, believed_tone, fit_skin
from ...fitting.skin.photo_skin import light_on_head, skin_of_photo, skins_of_photos
from ...fitting.unwrap_photo import TextureDomain, project_photo, unwrap_photo
from ...geometry.camera_view import Camera
from ...geometry.cielab import ciede2000, cielab, typology_angle
from ...geometry.displacement import vertex_normals
from ...geometry.map_resampling import resample
from ...geometry.srgb import from_srgb, to_srgb
from ...models.bilinear_face import BilinearFace
from ...pipelines.fit_from_image import landmark_model
from ...simulation.pigment.pigment_simulation import PigmentSimulation
from ...simulation.pigment.pigment_traits import TONE_GROUPS
from ...simulation.portraits.lights_around import LIGHTS
from ...simulation.portraits.lit_person import LitPerson

ROWS = ("fit", "mean_skin", "painted_skin", "unwrapped")
_FINE, _COARSE = 512, 256
_SEEN = 0.25
_OTHER = 3
"""Steps in `LIGHTS` from the light of a fit to the one that its map is then lit by."""
_MIDDLE = 0.18


@dataclass
class Totals:
    """The running lists of one way of making maps, a number a person (or a picture)."""

    different: list[float] = field(default_factory=list)
    relit: list[float] = field(default_factory=list)
    missed: list[tuple[int, float]] = field(default_factory=list)
    deviation: list[float] = field(default_factory=list)

    def so_far(self) -> str:
        """Returns the errors so far, for people who wait."""
        if not self.missed:
            return "no face found"
        error = float(np.mean([abs(error) for _, error in self.missed]))
        over_lights, colours = float(np.mean(self.deviation)), float(np.mean(self.different))
        return f"ITA off by {error:.2f}, over lights {over_lights:.2f}; CIEDE2000 {colours:.2f}"

    def figures(self) -> dict:
        """Returns `ciede2000`, `relit_psnr_db`, `ita_error_deg`, `ita_by_group`, `ita_bias_deg`,
        `light_deviation_deg`."""
        groups = {
            f"{low:.0f} to {high:.0f}": round(float(np.mean(errors)), 2)
            for number, (low, high) in enumerate(TONE_GROUPS)
            if (errors := [abs(error) for group, error in self.missed if group == number])
        }
        return {
            "ciede2000": round(float(np.mean(self.different)), 2),
            "ita_error_deg": round(float(np.mean([abs(error) for _, error in self.missed])), 2),
            "ita_bias_deg": round(float(np.std(list(groups.values()))), 2),
            "ita_by_group": groups,
            "light_deviation_deg": round(float(np.mean(self.deviation)), 2),
            "relit_psnr_db": round(float(np.mean(self.relit)), 2),
        }


def tone_of_map(linear: np.ndarray, region: np.ndarray) -> float:
    """Returns the median typology angle, degrees, of a map (R, R, 3) in a region (R, R) bool."""
    return float(np.median(typology_angle(linear[region].T.clip(0, 1))))


def fitted_head(pixels: np.ndarray) -> tuple[Camera, np.ndarray, np.ndarray] | None:
    """Finds and fits a picture's face: camera, identity (K,), expression (52,); None if none is found."""
    faces = find_faces(pixels)
    if not faces:
        return None
    height, width = pixels.shape[:2]
    fit = fit_face(landmark_model(), [SeenFace(faces[0].points, width, height, None, False)])
    view = fit.views[0]
    return view.camera, fit.identity.astype(np.float32), view.expression.astype(np.float32)


def simulated_photo_figures(
    people: int, model: SkinModel, progress: Callable[[str], None] = lambda text: None
) -> dict[str, dict]:
    """Measures.

    Args:
        people: how many, flat over the six groups of tone.
        model: what fits.
        progress: told what was done.

    Returns:
        Figures by row of `ROWS`; `fit` also has `interval_holds`, the share of pictures whose tone lies in
        the interval of 80 %, and `faces_found`.
    """
    face = BilinearFace.default()
    simulation = PigmentSimulation(face, _FINE)
    totals = {name: Totals() for name in ROWS}
    held = found = 0
    for number, traits in enumerate(held_out_colours(people)):
        colours = simulated_colours(simulation, [traits])[0]
        person = LitPerson.of(colours, float(traits.tone < 20), HELD_OUT_SEED + number)
        pictures = [person.photograph(light, index) for index, light in enumerate(LIGHTS.values())]
        main = number % len(pictures)
        head = fitted_head(pictures[main])
        if head is not None:
            found += 1
            held += _measure(person, pictures, main, head, model, totals, number % len(TONE_GROUPS))
        progress(f"{number + 1} of {people} people photographed; {totals['fit'].so_far()}")
    figures = {name: total.figures() for name, total in totals.items()}
    figures["fit"]["interval_holds"] = round(held / max(found * len(LIGHTS), 1), 3)
    figures["fit"]["faces_found"] = found
    return figures


def _measure(
    person: LitPerson,
    pictures: list[np.ndarray],
    main: int,
    head: tuple,
    model: SkinModel,
    totals: dict[str, Totals],
    group: int,
) -> int:
    """Adds a person to the totals; returns how many of the pictures' intervals hold the tone."""  # fmt: skip
    face = BilinearFace.default()
    camera, identity, expression = head
    coarse, fine = TextureDomain.default(_COARSE), TextureDomain.default(_FINE)
    positions = fine.mesh.refine(face.evaluate(identity, expression))
    reached = light_on_head(fine, positions, camera)
    normals = vertex_normals(positions, fine.mesh.polygons)
    truth = from_srgb(person.colours).transpose(1, 2, 0)
    sliders = model.prior.sliders
    region = resample(sliders.region.astype(np.float32), _FINE) > 0.5
    small = sliders.region if len(sliders.region) == _COARSE else region[::2, ::2]
    tone = tone_of_map(truth, region)
    tones: dict[str, list[float]] = {name: [] for name in ROWS}
    held = 0
    mean = from_srgb(_mean_skin(model)).transpose(1, 2, 0)
    textures, confidence = project_photo(coarse, np.concatenate(pictures, 2), camera, positions, normals)
    skins = skins_of_photos(coarse, pictures, camera, positions, model.usual, (textures, confidence), reached)
    for number, (pixels, shown) in enumerate(zip(pictures, skins, strict=True)):
        projected = textures[..., 3 * number : 3 * number + 3], confidence
        belief = believed_tone([shown], model.belief)
        held += belief.low <= tone <= belief.high
        tones["fit"].append(belief.tone)
        pasted = unwrap_photo(coarse, pixels, camera, positions, projected).albedo
        tones["unwrapped"].append(tone_of_map(pasted, small))
        painted = np.median(pasted[small], axis=0)
        tones["painted_skin"].append(float(typology_angle(painted.clip(0, 1))))
        tones["mean_skin"].append(tone_of_map(mean, region))
    for name, found in tones.items():
        totals[name].missed += [(group, value - tone) for value in found]
        totals[name].deviation.append(float(np.std(found)))
    projected = project_photo(fine, pictures[main], camera, positions, normals)
    photo = skin_of_photo(fine, pictures[main], camera, positions, model.usual, projected, reached)
    pasted = unwrap_photo(fine, pictures[main], camera, positions, projected).albedo
    maps = {
        "fit": fit_skin([photo], model).albedo,
        "mean_skin": mean,
        "painted_skin": np.broadcast_to(np.median(pasted[region], axis=0), truth.shape),
        "unwrapped": pasted,
    }
    visible = (photo.confidence > _SEEN) & (fine.face > 0.5)
    light = list(LIGHTS.values())[(main + _OTHER) % len(LIGHTS)]
    received = fine.lookup.spread(person.irradiance(light).astype(np.float32))
    received = received * (_MIDDLE / max(float((truth * received)[visible].mean()), 1e-6))
    lab = cielab(truth[visible].T)
    shown = to_srgb(np.clip(truth * received, 0, 1))
    for name, albedo in maps.items():
        totals[name].different.append(float(ciede2000(lab, cielab(albedo[visible].T.clip(0, 1))).mean()))
        square = np.square(to_srgb(np.clip(albedo * received, 0, 1)) - shown)[visible].mean()
        totals[name].relit.append(float(-10 * np.log10(max(float(square), 1e-9))))
    return held


def _mean_skin(model: SkinModel) -> np.ndarray:
    """Returns the mean map (3, R, R) sRGB."""
    coarse = model.prior.model
    return np.clip(resample(coarse.mean.reshape(3, coarse.resolution, -1), _FINE), 0.01, 1)
