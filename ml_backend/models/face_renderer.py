"""The exact decoder D: seven codes to a picture, by mesh, skin colour, harmonics of light and a camera.

The surface that each pixel shows comes from a raster of the face's own mesh; its colour is a function of
texture, illumination and hair that torch can differentiate. Hair, brows, beard, eyes and teeth are painted
in places of the mean face. What no code says (gloss, shade in hollows, iris, blotches) is a `Nuisance`.

Source: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views", section 3.1,
where D is a network (HeadNeRF); ours knows the image formation and has nothing to learn.
"""

import dataclasses
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..geometry.camera_view import Camera, rasterise_view
from ..geometry.displacement import vertex_normals
from ..geometry.hair_regions import BROW, COARSE_HAIRLINE
from ..geometry.map_resampling import resample
from ..geometry.spherical_harmonics import harmonics
from ..geometry.srgb import to_srgb
from ..geometry.texture_space import bilinear_corners, triangles_of
from .bilinear_face import BilinearFace
from .face_codes import TEXTURE, FaceCodes, rotation_of_angles
from .skin.albedo_model import AlbedoModel

TEXELS = 64
_FOREHEAD_HEIGHT, _HAIRLINE_FADE = 0.068, 0.012
_BROWN = np.log([0.050, 0.031, 0.020])
_SHADED_MOUTH, _LEAST_SHADE = 0.45, 0.04
_TEETH, _TONGUE = (0.50, 0.44, 0.36), (0.35, 0.12, 0.10)
_IRIS, _PUPIL = 0.48, 0.18


@dataclasses.dataclass(frozen=True)
class Nuisance:
    """Things that a picture shows and no code says.

    Attributes:
        gloss, hollow: strengths of highlights and of shade in hollows, about 1.
        blotches: deviation of the skin's colour from the albedo model, logarithms.
        white, iris: (3,) linear colours of an eye.
        seed: of the patterns.
    """

    gloss: float = 0.6
    hollow: float = 1.0
    blotches: float = 0.0
    white: tuple[float, float, float] = (0.58, 0.54, 0.50)
    iris: tuple[float, float, float] = (0.05, 0.03, 0.02)
    seed: int = 0


@dataclasses.dataclass
class Surface:
    """Places of a head's surface, and all that their colours depend on; leading sizes are any.

    Attributes:
        texels, texel_weights: (..., 4) places of the skin's map and their weights.
        lobes: (..., 9) harmonics of the normal.
        paint: (..., 3) linear colour of eyes, teeth, tongue.
        fields: (..., F) see `FIELDS`.
    """

    texels: Tensor
    texel_weights: Tensor
    lobes: Tensor
    paint: Tensor
    fields: Tensor

    def __getitem__(self, rows) -> "Surface":
        return Surface(*(getattr(self, item.name)[rows] for item in dataclasses.fields(self)))


FIELDS = (
    "skin", "hairline", "fore", "brow_off", "brow_taper", "lid", "moustache", "chin", "jaw", "gloss",
    "hollow", "strand", "blotch", "inside",
)  # fmt: skip
_FIELD = {name: index for index, name in enumerate(FIELDS)}


class SkinColours:
    """The albedo model at 64 texels in its strongest normal numbers.

    Attributes:
        mean: (3, 4096) sRGB; spread: (48, 3, 4096) per unit.
    """

    def __init__(self, model: AlbedoModel):
        size = model.resolution
        groups, count = model.axes.shape[:2]
        low = resample(model.basis.reshape(groups, count, -1, size, size), TEXELS).reshape(groups, count, -1)
        mixing = model.mixing[:, :TEXTURE].reshape(groups, count, -1)
        spread = np.einsum("gkn,gkf->fgn", low, mixing, optimize=True).reshape(-1, 3, TEXELS**2)
        mean = resample(model.mean.reshape(3, size, size), TEXELS).reshape(3, -1)
        self.mean = torch.from_numpy(np.ascontiguousarray(mean, np.float32))
        self.spread = torch.from_numpy(np.ascontiguousarray(spread, np.float32))

    def linear(self, texture: Tensor) -> Tensor:
        """Returns linear albedo (B, 3, 4096) of codes (B, 48)."""
        flat = self.mean.flatten() + texture @ self.spread.flatten(1)
        return linear_of_srgb(flat.view(-1, *self.mean.shape).clamp(0.02, 1))

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> "SkinColours":
        """Returns those of the package's albedo model."""
        return cls(AlbedoModel.default())


def linear_of_srgb(values: Tensor) -> Tensor:
    """Returns linear light of sRGB values in 0..1, differentiable."""
    return torch.where(
        values <= 0.04045, values / 12.92, ((values.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    )


class HeadFields:
    """Places of hair and paint on the mean face, and its mesh.

    Args:
        face: the face model.
    """

    def __init__(self, face: BilinearFace):
        self.face = face
        triangles, owner = triangles_of(face.polygons)
        part = face.polygon_part[owner]
        drawn = part != face.part_names.index("lashes")
        self.triangles, self.part = triangles[drawn], part[drawn]
        self.rest = face.mean.astype(np.float32)
        self.uv = np.zeros((face.vertex_count, 2), np.float32)
        for corner in range(4):
            known = (face.polygons[:, corner] >= 0) & (face.polygon_part == 0)
            self.uv[face.polygons[known, corner]] = face.uv[face.uv_polygons[known, corner]]
        self.scalp = self.hair_fields(self.rest)[0] * (face.vertex_part == 0)
        ear = face.mean[face.landmarks["ear_left"]].mean(0)
        self.beyond_ears = _soft((np.linalg.norm((np.abs(self.rest) - ear)[:, 1:], axis=1) - 0.045) / 0.006)
        self.normals = vertex_normals(self.rest, face.polygons)

    def hair_fields(self, rest: np.ndarray) -> np.ndarray:
        """Returns (8, N) float32 at places (N, 3), metres, of the mean face.

        The rows: cover of the scalp's hair (0 to 1), fore, brow_off, brow_taper, moustache, chin, jaw, and
        metres above the hairline.
        """
        marks, mean = self.face.landmarks, self.face.mean
        ear, top = mean[marks["ear_left"]].mean(0), mean[marks["forehead_top"]].mean(0)
        scale = (top[2] - ear[2]) / _FOREHEAD_HEIGHT
        behind = (rest[:, 1] - ear[1]) / scale
        above = (rest[:, 2] - ear[2]) / scale - np.interp(behind, *np.array(COARSE_HAIRLINE).T)
        fore = np.clip(1 - (behind + 0.085) / 0.03, 0, 1)
        off, taper = np.full(len(rest), 9.0), np.zeros(len(rest))
        for side in ("left", "right"):
            upper = mean[marks[f"lid_upper_{side}"]]
            inner, outer = upper[0], upper[-1]
            centre, half = (inner + outer) / 2, np.linalg.norm(outer - inner) / 2
            along = (rest[:, 0] - centre[0]) / (outer[0] - centre[0])
            up = (rest[:, 2] - centre[2]) / half
            stations, heights, widths = np.array(BROW).T
            apart = np.abs(up - np.interp(along, stations, heights)) / np.interp(along, stations, widths)
            ends = np.clip((along + 1.25) / 0.55, 0, 1) * np.clip((1.85 - along) / 0.45, 0, 1)
            near = (rest[:, 1] < centre[1] + 2.5 * half) & (ends > 0) & (apart < off)
            off, taper = np.where(near, apart, off), np.where(near, ends, taper)
        lip, nose = mean[marks["lip_border_upper"]].mean(0), mean[marks["nose_base"]].mean(0)
        low, tip = mean[marks["lip_border_lower"]].mean(0), mean[marks["chin_bottom"]].mean(0)
        x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
        front = _soft((-y - 0.02) / 0.01)
        moustache = (
            _soft((z - lip[2]) / 0.002) * _soft((nose[2] + 0.002 - z) / 0.003) * _soft((0.030 - x) / 0.004)
        )
        chin = (
            _soft((low[2] - 0.004 - z) / 0.004)
            * _soft((z - tip[2] + 0.012) / 0.004)
            * _soft((0.030 - x) / 0.005)
        )
        jaw = _soft((low[2] + 0.012 - 0.2 * (x - 0.03) - z) / 0.006) * _soft((x - 0.028) / 0.005)
        jaw = jaw * _soft((z - tip[2] + 0.012) / 0.005) * _soft((0.01 - y) / 0.01)
        cover = np.clip(above / _HAIRLINE_FADE + 0.5, 0, 1)
        return np.stack([cover, fore, off, taper, moustache * front, chin * front, jaw, above]).astype(
            np.float32
        )

    def lid_edge(self, rest: np.ndarray) -> np.ndarray:
        """Returns (N,) 0..1, how near places (N, 3) of the mean face are to the roots of the lashes."""
        found = np.zeros(len(rest), np.float32)
        for side in ("left", "right"):
            for lid, width in (("upper", 0.0014), ("lower", 0.0007)):
                line = self.face.mean[self.face.landmarks[f"lid_{lid}_{side}"]]
                steps = np.linspace(0, len(line) - 1, 4 * len(line))
                fine = np.stack(
                    [np.interp(steps, np.arange(len(line)), line[:, axis]) for axis in range(3)], 1
                )
                centre = fine.mean(0)
                near = np.flatnonzero(np.abs(rest - centre).max(1) < 0.022)
                apart = np.sqrt(np.square(rest[near, None] - fine[None]).sum(2).min(1)) if len(near) else []
                found[near] = np.maximum(found[near], np.clip(1.4 - np.asarray(apart) / width, 0, 1))
        return found

    def positions(self, codes: FaceCodes) -> np.ndarray:
        """Returns vertices (V, 3), metres, of a face with its hair's volume."""
        base = self.face.evaluate(codes.shape, codes.expression)
        top, side = (size * np.exp(0.6 * codes.hair[index]) for index, size in ((6, 0.012), (7, 0.007)))
        high = np.clip((self.rest[:, 2] - 0.05) / 0.06, 0, 1)
        thick = self.scalp * self.beyond_ears * (side + (top - side) * high) * float(_density(codes.hair[0]))
        return base + vertex_normals(base, self.face.polygons) * thick[:, None]

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> "HeadFields":
        """Returns the fields of the embedded face model."""
        return cls(BilinearFace.default())


def _soft(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(2 * values, -30, 30)))


def _density(number):
    return 1 / (1 + np.exp(-1.5 * number - 1.8))


def camera_of(codes: FaceCodes, focal: float, width: int, height: int) -> Camera:
    """Returns the camera that sees a face with its codes of rotation and translation; focal in pixels."""
    rotation = rotation_of_angles(codes.rotation)
    return Camera(rotation, np.asarray(codes.translation, np.float64), focal, width, height)


@dataclasses.dataclass(frozen=True)
class SeenSurface:
    """The surface that a camera sees.

    Attributes:
        mask: (H, W) bool, where the head is.
        surface: its places, row by row, of as many as there are in the mask.
        rest: (P, 3) the same places on the mean face, metres.
    """

    mask: np.ndarray
    surface: Surface
    rest: np.ndarray


def see_surface(head: HeadFields, codes: FaceCodes, camera: Camera, nuisance: Nuisance) -> SeenSurface:
    """Finds what each pixel of a camera shows.

    Args:
        head: of the face model.
        codes: of the face; texture and illumination do not count.
        camera: of the picture.
        nuisance: eyes, and the patterns of strands and blotches.
    """
    positions = head.positions(codes)
    pixels, depth = camera.project(positions)
    corners = pixels[head.triangles]
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = np.flatnonzero(one[:, 0] * other[:, 1] < one[:, 1] * other[:, 0])
    raster = rasterise_view(pixels, depth, head.triangles[facing], camera.height, camera.width)
    mask = raster.mask
    weights = raster.barycentric[mask]
    chosen = head.triangles[facing][raster.triangle[mask]]
    part = head.part[facing][raster.triangle[mask]]
    normals = vertex_normals(positions, head.face.polygons)
    to_camera = camera.position - positions
    to_camera /= np.linalg.norm(to_camera, axis=1, keepdims=True)
    half = to_camera + np.array([0.2, -0.6, 0.6])
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = 0.06 * np.clip((normals * half).sum(1), 0, 1) ** 24
    values = np.concatenate([head.rest, head.uv, normals, shine[:, None]], 1)[chosen]
    spread = (values * weights[..., None]).sum(1)
    rest, uv, normal, gloss = spread[:, :3], spread[:, 3:5], spread[:, 5:8], spread[:, 8]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    surface = surface_at(head, rest, uv, normal, gloss, part, _hollows(raster, camera), nuisance)
    return SeenSurface(mask, surface, rest.astype(np.float32))


def _hollows(raster, camera: Camera) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    mask = raster.mask
    inside, filled = mask.astype(np.float32), np.where(mask, raster.depth, 0).astype(np.float32)
    pixel = float(np.median(raster.depth[mask])) / camera.focal if mask.any() else 1.0
    found = np.zeros(mask.shape, np.float32)
    for reach in (0.005, 0.015):
        around = gaussian_filter(filled, reach / pixel) / np.maximum(
            gaussian_filter(inside, reach / pixel), 1e-3
        )
        found += np.clip((filled - around) / reach, 0, 1) * inside / 2
    return found[mask]


def surface_at(
    head: HeadFields,
    rest: np.ndarray,
    uv: np.ndarray,
    normal: np.ndarray,
    gloss: np.ndarray,
    part: np.ndarray,
    hollow: np.ndarray,
    nuisance: Nuisance,
) -> Surface:
    """Gathers the fields of places (N, ...) of the mean face."""
    face = head.face
    skin = part == face.part_names.index("skin")
    paint = np.zeros((len(rest), 3), np.float32)
    for side in ("left", "right"):
        chosen = part == face.part_names.index(f"eye_{side}")
        ball = face.mean[face.landmarks[f"eye_{side}"]]
        centre = ball.mean(0)
        offset = (rest[chosen] - centre) / np.median(np.linalg.norm(ball - centre, axis=1))
        radius = np.hypot(offset[:, 0], offset[:, 2])
        inner = (radius < _IRIS) & (offset[:, 1] < 0)
        colour = np.where(inner[:, None], nuisance.iris, nuisance.white)
        paint[chosen] = np.where((inner & (radius < _PUPIL))[:, None], 0.004, colour)
    for name, colour in (("teeth_upper", _TEETH), ("teeth_lower", _TEETH), ("tongue", _TONGUE)):
        paint[part == face.part_names.index(name)] = colour
    inside = np.isin(part, [face.part_names.index(name) for name in ("teeth_upper", "teeth_lower", "tongue")])
    random = np.random.default_rng([nuisance.seed, 0xB10])
    along = rest @ random.standard_normal(3)
    strand = np.sin(along * random.uniform(300, 1200) + random.standard_normal() * 3)
    waves = [
        random.standard_normal()
        * np.sin(rest @ (random.standard_normal(3) * frequency) + random.uniform(0, 6.3))
        for frequency in np.exp(random.uniform(np.log(20), np.log(400), 10))
    ]
    blotch = np.sum(waves, 0) / np.sqrt(5)
    hair = head.hair_fields(rest)
    lid = head.lid_edge(rest)
    columns = [
        skin,
        hair[7],
        hair[1],
        hair[2],
        hair[3],
        lid,
        *hair[4:7],
        gloss,
        hollow,
        strand,
        blotch,
        inside,
    ]
    index, weights = bilinear_corners(uv.clip(0, 1), TEXELS, TEXELS)
    return Surface(
        torch.from_numpy(np.ascontiguousarray(index.reshape(len(rest), 4), np.int64)),
        torch.from_numpy(np.ascontiguousarray(weights.reshape(len(rest), 4), np.float32)),
        torch.from_numpy(harmonics(normal).astype(np.float32)),
        torch.from_numpy(paint),
        torch.from_numpy(np.stack(columns, 1).astype(np.float32)),
    )


def place_surface(vertices: np.ndarray, codes: FaceCodes, head: HeadFields | None = None) -> Surface:
    """Returns the surface at vertices (P,) of a face, as its codes of shape and expression have it."""
    head = head or HeadFields.default()
    positions = head.face.evaluate(codes.shape, codes.expression)
    normal = vertex_normals(positions, head.face.polygons)[vertices]
    empty = np.zeros(len(vertices), np.float32)
    part = head.face.vertex_part[vertices]
    return surface_at(head, head.rest[vertices], head.uv[vertices], normal, empty, part, empty, Nuisance())


def surface_between(
    head: HeadFields, rest: np.ndarray, uv: np.ndarray, normal: np.ndarray, part: np.ndarray
) -> Surface:
    """Returns the surface at places of the mean face (N, 3), of texture coordinates (N, 2), normals (N, 3)
    and parts (N,), without gloss and shade in hollows."""
    return surface_at(head, rest, uv, normal, np.zeros(len(rest)), part, np.zeros(len(rest)), Nuisance())


def hair_colour(hair: Tensor) -> Tensor:
    """Returns the linear colour (..., 3) of scalp hair of codes (..., 16)."""
    tint = hair.new_tensor([[-0.9, -0.9, -0.9], [0.25, 0.0, -0.25], [0.10, 0.22, 0.36]])
    return torch.exp(hair.new_tensor(_BROWN) + hair[..., 1:4] @ tint)


def surface_colours(
    surface: Surface,
    albedo: Tensor,
    light: Tensor,
    hair: Tensor,
    gloss: Tensor | float = 0.6,
    hollow: Tensor | float = 1.0,
    blotches: Tensor | float = 0.0,
) -> Tensor:
    """Lights places of heads.

    Args:
        surface: (B, P, ...) places.
        albedo: (B, 3, 4096) linear, `SkinColours.linear`.
        light: (B, 9, 3).
        hair: (B, 16).
        gloss, hollow, blotches: of `Nuisance`, numbers or (B, 1).

    Returns:
        (B, P, 3) linear light.
    """
    field = {name: surface.fields[..., index] for name, index in _FIELD.items()}
    batch, places = surface.texels.shape[:2]
    flat = surface.texels.reshape(batch, 1, -1).expand(-1, 3, -1)
    seen = albedo.gather(2, flat).view(batch, 3, places, 4)
    colour = (seen * surface.texel_weights[:, None]).sum(3).transpose(1, 2)
    colour = colour * torch.exp(blotches * field["blotch"])[..., None]
    h = hair[:, None]  # (B, 1, 16)
    strands = 1 + 0.4 * torch.sigmoid(h[..., 8:9]) * field["strand"][..., None]
    scalp = hair_colour(hair)[:, None] * strands
    shift = 0.008 * h[..., 4] * field["fore"] + 0.010 * h[..., 5] * (1 - field["fore"])
    cover = ((field["hairline"] - shift) / _HAIRLINE_FADE + 0.5).clamp(0, 1)
    cover = cover * torch.sigmoid(1.5 * h[..., 0] + 1.8)
    brow = (1.25 - field["brow_off"] / torch.exp(0.2 * h[..., 11])).clamp(0, 1) * field["brow_taper"]
    brow = brow * torch.sigmoid(0.6 + h[..., 9])
    beard = (
        torch.sigmoid(2 * h[..., 12:15] - 2.2)
        * torch.stack([field["moustache"], field["chin"], field["jaw"]], -1)
    ).amax(-1)
    beards = hair_colour(hair)[:, None] * torch.exp(-0.3 * h[..., 15:16]) * (0.8 + 0.2 * strands)
    brows = hair_colour(hair)[:, None] * 0.7 * torch.exp(-0.4 * h[..., 10:11])
    for amount, over in ((0.9 * beard, beards), (0.9 * brow, brows), (0.8 * field["lid"], 0.5 * brows)):
        colour = colour + (over - colour) * amount[..., None]
    colour = colour + (scalp - colour) * (0.97 * cover)[..., None]
    skin = field["skin"][..., None]
    colour = colour * skin + surface.paint * (1 - skin)
    shading = torch.einsum("bpk,bkc->bpc", surface.lobes, light)
    shading = torch.maximum(shading, _LEAST_SHADE * light[:, :1].clamp_min(1e-3))
    shade = torch.exp(-hollow * field["hollow"]) * (1 - (1 - _SHADED_MOUTH) * field["inside"])
    shine = gloss * field["gloss"] * (1 - 0.7 * cover)
    level = light[:, :1].clamp_min(0)
    return (colour * shading + shine[..., None] * level) * shade[..., None]


def draw_face(
    codes: FaceCodes,
    camera: Camera,
    ground: np.ndarray | None = None,
    nuisance: Nuisance | None = None,
    head: HeadFields | None = None,
    seen: SeenSurface | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a face.

    Args:
        codes: of the face; its rotation and translation are in the camera.
        camera: of the picture, `camera_of`.
        ground: (H, W, 3) linear light behind the head; None: a grey.
        nuisance: what no code says.
        head: of the face model; None: the embedded one.
        seen: from `see_surface`, if it is there already.

    Returns:
        (H, W, 3) linear light, and (H, W) bool, where the head is.
    """
    nuisance = nuisance or Nuisance()
    head = head or HeadFields.default()
    seen = seen or see_surface(head, codes, camera, nuisance)
    one = torch.from_numpy
    with torch.no_grad():
        albedo = SkinColours.default().linear(one(codes.texture)[None])
        light = one(codes.light.astype(np.float32))[None]
        colours = surface_colours(
            seen.surface[None], albedo, light, one(codes.hair)[None], nuisance.gloss, nuisance.hollow,
            nuisance.blotches,
        )[0].numpy()  # fmt: skip
    picture = (
        np.full((*seen.mask.shape, 3), 0.18, np.float32) if ground is None else np.array(ground, np.float32)
    )
    picture[seen.mask] = colours
    return picture, seen.mask


def picture_of(linear: np.ndarray) -> np.ndarray:
    """Returns (H, W, 3) uint8 sRGB of linear light."""
    return (np.clip(to_srgb(np.clip(linear, 0, 1)), 0, 1) * 255 + 0.5).astype(np.uint8)
