"""Guesses a person's hair from a photograph: at most sixteen numbers, and the cuts that suit them.

All of it is measured on the picture, in the frame of the fitted head: the line where skin becomes hair, the
room that hair takes beyond the bald head, how far down it hangs, how its strands turn, its colour in the
light that the skin is in, and how much darker brows and beard are than the skin around them.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

from ...geometry.camera_view import Camera
from ...geometry.hair_regions import HAIRLINE, brow_cover, scalp_cover
from ...geometry.srgb import from_srgb
from ...hair.face_hair import BEARD_STYLES, beard_cover
from ...hair.head import azimuth
from ...hair.pigments import pigments_of
from ...models.bilinear_face import BilinearFace
from ..face_preview import crop_photo
from ..skin.fit_skin import FittedSkin
from ..unwrap_photo import TextureDomain
from .hair_mask import HairPicture, find_hair_pixels

_BIN = 0.0025
_MIDDLE, _TEMPLE = 0.012, (0.034, 0.056)
"""Metres from the middle: the strip where the hairline is read, and that of the temples."""
_FEWEST = 4
_FINE = 416
_BARE = 0.25
"""Share of the scalp below which a head is bald."""
_STUBBLE, _BEARD, _FULL = 0.10, 0.42, 0.9
"""Logarithms by which skin with stubble, a beard, and a thick one is darker than cheeks."""
_BROW_USUAL, _BROW_SPREAD = 0.85, (0.5, 1.3)
_HIGHER, _FRINGE = 0.009, -0.020
"""Metres by which photographs show the hairline over the model's, and under it from where it is a fringe."""
_FEMININE = -0.2
"""Fits draw everybody towards the mean, a little female in the model: this parts photographs best."""
_BESIDE, _THICK = 0.04, 0.005
"""Metres above the chin from which hair hangs beside the jaw, and its least mean width there."""
_TEXELS = 256
_FRONT = 62.0
"""Degrees from the middle up to which a beard is read: behind, hair may hang."""
_FEW_PIXELS, _DARKER = 30, 0.45


@dataclass(frozen=True)
class PhotoHair:
    """A guess at a person's hair; lengths are metres on the mean face.

    Attributes:
        melanin, redness, grey: pigments of the scalp's hair, or the brows' on a bald head.
        cover: 0..1, the share of the usual scalp that shows hair.
        hairline: height of the hairline over the usual; below zero for a fringe.
        temples: the same at the temples, over that in the middle.
        volume: mean room between scalp and the outline of the hair above the ears.
        height: the same on top.
        hanging: how far below the chin's height hair hangs; 0 for none below the ears.
        turning: 0..1, straight to coily.
        brow_density, brow_melanin: beside the usual one; pigment.
        moustache, chin, cheeks: 0..1, the beard's strength there.
        sure: 0..1.
        scalp, beard: names of cuts, empty for none.
    """

    melanin: float
    redness: float
    grey: float
    cover: float
    hairline: float
    temples: float
    volume: float
    height: float
    hanging: float
    turning: float
    brow_density: float
    brow_melanin: float
    moustache: float
    chin: float
    cheeks: float
    sure: float
    scalp: str
    beard: str

    def described(self) -> dict:
        """Describes the guess for JSON."""
        numbers = {
            name: round(float(value), 4) for name, value in vars(self).items() if not isinstance(value, str)
        }
        return {**numbers, "scalp": self.scalp, "beard": self.beard, "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """Says for people what was guessed."""
        if not self.scalp:
            return "Hair is a guess: none on the scalp."
        return f"Hair is a guess: {self.scalp.replace('_', ' ').lower()}."


@dataclass(frozen=True)
class HairPhoto:
    """A photo whose face is fitted.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB.
        camera: fitted to them.
        positions: (N, 3) dense vertices as fitted, metres.
        texture: (R, R, 3) linear, the photo in the texture domain, its light included.
        confidence: (R, R) 0..1 of it.
    """

    pixels: np.ndarray
    camera: Camera
    positions: np.ndarray
    texture: np.ndarray
    confidence: np.ndarray


def guess_hair(photo: HairPhoto, skin: FittedSkin, identity: np.ndarray) -> PhotoHair:
    """Guesses.

    Args:
        photo: of the person.
        skin: its colour, which tells the light.
        identity: (K,), whose form says whether hair that does not hang is short or tied back.
    """
    seen = find_hair_pixels(photo.pixels, photo.camera, photo.positions)
    light = _light(skin.albedo, photo.texture, photo.confidence)
    brow_density, brow_colour, beard = _face_hair(skin.with_hair, photo.confidence)
    on_scalp = seen.scalp * seen.inside
    cover = float((seen.hair * on_scalp).sum() / max(on_scalp.sum(), 1e-6))
    hairline, temples = _hairline(seen)
    volume, height = _volume(seen)
    hanging = _hanging(seen)
    turning = _turning(seen, photo.pixels)
    bald = cover < _BARE
    strong = seen.hair > 0.8
    shown = strong.sum() > _FEW_PIXELS and not bald
    colour = np.quantile(seen.colours[strong], _DARKER, axis=0) / light if shown else brow_colour
    melanin, redness, grey = pigments_of(colour)
    brow_melanin, _, _ = pigments_of(brow_colour)
    moustache, chin, cheeks = (beard[name] for name in ("MOUSTACHE", "GOATEE", "FULL"))
    outside = float(seen.inside[seen.head].mean())
    sure = float(np.clip(0.75 * seen.crown + 0.25, 0, 1) * outside)
    numbers = {
        "melanin": melanin, "redness": redness, "grey": grey, "cover": cover, "hairline": hairline,
        "temples": temples, "volume": volume, "height": height, "hanging": hanging, "turning": turning,
        "brow_density": brow_density, "brow_melanin": brow_melanin, "moustache": moustache, "chin": chin,
        "cheeks": cheeks, "sure": sure,
    }  # fmt: skip
    feminine = _gender(identity) < _FEMININE
    return PhotoHair(
        **numbers,
        scalp="" if bald else _cut(numbers, feminine),
        beard="" if feminine else _beard(moustache, chin, cheeks),
    )


def _gender(identity: np.ndarray) -> float:
    """Returns what the shape tells, -1 female to 1 male; 0 for a model that does not know."""
    known = BilinearFace.default().attributes
    return float(known[1, 0] + known[1, 1:] @ identity) if len(known) > 1 else 0.0


def _light(albedo: np.ndarray, texture: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Returns (3,): what the light makes of a white surface at forehead and cheeks."""
    size = len(albedo)
    window = slice(int(0.40 * size), int(0.75 * size)), slice(int(0.35 * size), int(0.65 * size))
    ratio = texture[window] / np.maximum(albedo[window], 0.01)
    chosen = confidence[window] > 0.5
    if chosen.sum() < 50:
        return np.ones(3)
    return np.maximum(np.median(ratio[chosen], axis=0), 1e-3)


def _hairline(seen: HairPicture) -> tuple[float, float]:
    """Returns the hairline's height in the middle over the usual, and that of the temples over it, metres."""
    face = BilinearFace.default()
    usual = float(face.mean[face.landmarks["forehead_top"]].mean(0)[2])
    brow = float(face.mean[face.landmarks["glabella"]].mean(0)[2]) + 0.012
    across, up = np.abs(seen.place[..., 0]), seen.place[..., 2]
    front = seen.head & seen.inside & (seen.place[..., 1] < 0)
    heights = np.arange(brow, float(up.max()), _BIN)
    found = []
    for low, high in ((0.0, _MIDDLE), _TEMPLE):
        strip = front & (across >= low) & (across < high)
        line = heights[-1] if len(heights) else usual
        for height in heights:
            part = strip & (up >= height) & (up < height + 2 * _BIN)
            if part.sum() >= _FEWEST and float(seen.hair[part].mean()) > 0.5:
                line = height
                break
        found.append(float(line))
    middle, temple = found
    ear = face.mean[face.landmarks["ear_left"]].mean(0)
    top = face.mean[face.landmarks["forehead_top"]].mean(0)
    grid = np.stack([np.full(200, 0.045), np.full(200, -0.085), np.linspace(brow, usual + 0.03, 200)], 1)
    inside = scalp_cover(grid, ear, top, HAIRLINE) > 0.5
    usual_temple = float(grid[np.argmax(inside), 2]) if inside.any() else usual - 0.01
    return middle - usual - _HIGHER, (temple - usual_temple) - (middle - usual)


def _volume(seen: HairPicture) -> tuple[float, float]:
    """Returns the mean room that hair takes outside the bald outline above the ears, and that on top."""
    metre = seen.scale
    rows, columns = np.nonzero(seen.head & (seen.scalp > 0.3))
    if len(rows) < 20:
        return 0.0, 0.0
    centre = float(columns.mean()), seen.top + 0.10 * metre
    rows, columns = np.mgrid[: len(seen.hair), : len(seen.hair)] + 0.5
    right, up = columns - centre[0], centre[1] - rows
    angle, radius = np.degrees(np.arctan2(up, np.abs(right))), np.hypot(right, up)
    room = []
    for low in range(0, 90, 6):
        sector = (angle >= low) & (angle < low + 6) & seen.inside
        edge = radius[sector & seen.head]
        outer = radius[sector & ~seen.head & (seen.hair > 0.5)]
        if len(edge):
            room.append((low, max(0.0, np.quantile(outer, 0.9) - edge.max()) if len(outer) > 3 else 0.0))
    whole = np.array([value for _, value in room]) / metre
    top = np.array([value for low, value in room if low >= 60]) / metre
    return float(whole.mean()) if len(whole) else 0.0, float(top.mean()) if len(top) else 0.0


def _hanging(seen: HairPicture) -> float:
    """Returns how far below the jaw hair hangs outside face and neck, metres; 0 where none is beside the jaw.

    The mean of the longer side and of both: hair may lie behind one shoulder.
    """
    begin, end = seen.chin - _BESIDE * seen.scale, seen.chin
    rows, columns = np.nonzero(seen.head & (seen.scalp > 0.3))
    if len(rows) < 20:
        return 0.0
    middle, loose = float(columns.mean()), (seen.hair > 0.5) & ~seen.head
    longest = []
    for sign in (-1, 1):
        side = np.sign(np.arange(len(seen.hair)) + 0.5 - middle) == sign
        counts = loose[:, side].sum(1)
        beside = counts[int(max(begin, 0)) : int(max(end, 1))]
        thick = len(beside) > 0 and float(beside.mean()) / seen.scale > _THICK
        below = np.flatnonzero((counts >= 2) & (np.arange(len(counts)) > begin))
        longest.append(float(below.max() - begin) / seen.scale if thick and len(below) else 0.0)
    return float(np.mean(longest) * 0.5 + max(longest) * 0.5)


def _turning(seen: HairPicture, pixels: np.ndarray) -> float:
    """Returns how much strands turn, 0 straight to 1 coily: directions that agree nowhere."""
    fine = from_srgb(crop_photo(pixels, seen.window, _FINE) / np.float32(255)).mean(2)
    logs = np.log(np.maximum(fine, 0.004))
    logs = logs - gaussian_filter(logs, 6)
    down, right = np.gradient(gaussian_filter(logs, 0.8))
    width = 0.006 * seen.scale * _FINE / len(seen.hair)
    xx, yy, xy = (gaussian_filter(values, width) for values in (right * right, down * down, right * down))
    agree = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / np.maximum(xx + yy, 1e-9)
    rows = np.clip((np.arange(_FINE) * len(seen.hair)) // _FINE, 0, len(seen.hair) - 1)
    hair = seen.hair[np.ix_(rows, rows)] > 0.9
    if hair.sum() < 200:
        return 0.0
    weights = (xx + yy)[hair]
    return float(np.clip((0.62 - np.average(agree[hair], weights=weights)) / 0.35, 0, 1))


@lru_cache(maxsize=1)
def _face_covers() -> dict[str, np.ndarray]:
    """Returns (T, T) covers in texture space: brows, the skin around them, and the beards' parts."""
    face, domain = BilinearFace.default(), TextureDomain.default()
    place = domain.mesh.refine(face.mean)
    lid = face.mean[face.landmarks["lid_upper_left"]]
    brows = np.maximum(*(brow_cover(place * (side, 1, 1), lid) for side in (1, -1)))
    near = np.maximum(*(brow_cover(place * (side, 1, 1) - (0, 0, 0.014), lid) for side in (1, -1)))
    lips = domain.mesh.refine(face.regions["lips"]) > 0.05
    covers = {"brows": brows, "above": near * (brows < 0.02)}
    for name in ("MOUSTACHE", "GOATEE", "FULL"):
        covers[name] = beard_cover(place, BEARD_STYLES[name]) * ~lips
    covers["FULL"] = covers["FULL"] * (covers["GOATEE"] < 0.05) * (azimuth(place) < _FRONT)
    covers["FULL"] = covers["FULL"] * (covers["MOUSTACHE"] < 0.05)
    covers["GOATEE"] = covers["GOATEE"] * (covers["MOUSTACHE"] < 0.05)
    cheeks = np.clip(domain.mesh.refine(face.regions["cheeks"]), 0, 1)
    covers["cheek"] = (cheeks > 0.5) * (beard_cover(place, BEARD_STYLES["FULL"]) < 0.02)
    stack = domain.lookup.spread(np.stack(list(covers.values()), 1).astype(np.float32))
    step = len(stack) // _TEXELS
    stack = stack.reshape(_TEXELS, step, _TEXELS, step, -1).mean((1, 3))
    return {name: stack[..., index] for index, name in enumerate(covers)}


def _face_hair(colours, confidence) -> tuple[float, np.ndarray, dict[str, float]]:
    """Returns the brows' density and colour (3,) linear, and by part how strong the beard is, 0 to 1."""
    step = len(colours) // _TEXELS

    def small(values: np.ndarray) -> np.ndarray:
        return values.reshape(_TEXELS, step, _TEXELS, step, -1).mean((1, 3))

    bare, seen = small(colours), small(confidence)[..., 0]
    covers = _face_covers()

    def colour(name: str, dark: float = 0.5) -> np.ndarray:
        chosen = (covers[name] > 0.4) & (seen > 0.2)
        if chosen.sum() < 12:
            return np.full(3, np.nan)
        return np.quantile(bare[chosen], dark, axis=0)

    skin, brow = colour("above"), colour("brows")
    darker = (
        float(np.log(max(skin.mean(), 1e-3) / max(brow.mean(), 1e-3))) if np.isfinite(skin).all() else 0.0
    )
    density = float(np.clip(darker / _BROW_USUAL, *_BROW_SPREAD)) if np.isfinite(darker) else 1.0
    darkest = colour("brows", 0.06)
    if not np.isfinite(darkest).all():
        darkest = np.array([0.05, 0.035, 0.025])
    cheek = colour("cheek")
    beard = {}
    for name in ("MOUSTACHE", "GOATEE", "FULL"):
        part = colour(name, 0.35)
        known = np.isfinite(part).all() and np.isfinite(cheek).all()
        shade = float(np.log(max(cheek.mean(), 1e-3) / max(part.mean(), 1e-3))) if known else 0.0
        beard[name] = float(np.clip((shade - _STUBBLE) / (_FULL - _STUBBLE), 0, 1))
    return density, darkest, beard


def _cut(seen: dict[str, float], feminine: bool) -> str:
    """Returns the cut that suits the numbers."""
    if seen["hanging"] > 0.035 or (seen["hairline"] < _FRINGE and feminine):
        if seen["hanging"] < 0.08:
            return "BOB"
        return "WAVY" if seen["turning"] > 0.35 else "LONG"
    if seen["turning"] > 0.4 and seen["melanin"] > 0.88 and seen["height"] > 0.004:
        return "COILY"
    if seen["turning"] > 0.45 and seen["height"] > 0.018:
        return "CURLY"
    if feminine:
        return "SLICKED"
    if seen["temples"] > 0.012 or seen["hairline"] > 0.021 or seen["cover"] < 0.45:
        return "RECEDING"
    if seen["volume"] < 0.004:
        return "SHAVED"
    if seen["volume"] < 0.009:
        return "CROPPED"
    return "SIDE_PART" if seen["height"] > 0.020 else "FADE"


def _beard(moustache: float, chin: float, cheeks: float) -> str:
    """Returns the beard that suits the numbers, empty for none."""
    strong = (_BEARD - _STUBBLE) / (_FULL - _STUBBLE)
    if chin > strong and cheeks > strong:
        return "FULL"
    if chin > strong and moustache > 0.6 * strong:
        return "GOATEE"
    if moustache > 1.2 * strong:
        return "MOUSTACHE"
    return "STUBBLE" if min(moustache, chin) > 0.10 else ""
