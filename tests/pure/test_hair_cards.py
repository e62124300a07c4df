"""Hair as cards: they cover what the strands cover, stay outside the head, and their atlas shows hair."""

import numpy as np
import pytest

from ml_backend.geometry.dense_face import dense_face_mesh
from ml_backend.geometry.srgb import from_srgb
from ml_backend.hair.card_atlas import CUT, Pigments, Tile, cell_corners, cells_of, draw_atlas, strand_colours
from ml_backend.hair.card_groups import group_mean, group_members, group_quantiles, grouped
from ml_backend.hair.card_layers import PLANS, CardStrands
from ml_backend.hair.cards import hair_cards, moved_by_skin, outer_skin, outward_of
from ml_backend.hair.face_hair import beard_hair, brow_hair, lash_hair
from ml_backend.hair.head import hair_head
from ml_backend.hair.pigments import WHITE, pigments_of, shown_colour
from ml_backend.hair.scalp import GroomSliders, scalp_hair
from ml_backend.hair.strands import follow_face, unit
from ml_backend.models.bilinear_face import BilinearFace

CELL = 0.003
BROWN = Pigments(0.8, 0.3, 0.0)


@pytest.fixture(scope="module")
def head():
    face = BilinearFace.default()
    return hair_head(face, dense_face_mesh(face))


@pytest.fixture(scope="module")
def dressed(head):
    """Grows a part once and makes its cards: strands, what cards read, cards, by part and style."""
    made = {}

    def dress(part: str, style: str):
        if (part, style) not in made:
            grow = {"scalp": scalp_hair, "beard": beard_hair, "brows": brow_hair, "lashes": lash_hair}[part]
            draft = {"scalp": 0.3, "beard": 0.6}.get(part, 1.0)
            strands = grow(head, style, GroomSliders(draft=draft))
            normals = unit((head.normals[strands.corners] * strands.weights[..., None]).sum(1))
            outward = outward_of(strands.points, normals, part == "scalp")
            source = CardStrands(strands.points, strands.radius, strands.chance, outward)
            skin = outer_skin(head)
            cards = hair_cards(source, PLANS[part], (head.positions[skin], head.normals[skin]))
            made[part, style] = strands, source, cards
        return made[part, style]

    return dress


def silhouette(points: np.ndarray, axes: tuple[int, int], least: int) -> np.ndarray:
    """The cells in which at least so many of points (N, 3) lie, seen along the third axis."""
    cell = np.floor(points[:, axes] / CELL).astype(int) + 150
    counts = np.zeros((300, 300), int)
    np.add.at(counts, (cell[:, 0], cell[:, 1]), 1)
    return counts >= least


def along_strands(points: np.ndarray, step: float) -> np.ndarray:
    """Places (n, 3) every so many metres along strands (N, M, 3)."""
    longest = np.linalg.norm(np.diff(points, axis=1), axis=2).max()
    shares = np.linspace(0, 1, int(np.ceil(longest / step)) + 1)[:, None]
    return np.concatenate(
        [(points[:, k, None] * (1 - shares) + points[:, k + 1, None] * shares).reshape(-1, 3) for k in
         range(points.shape[1] - 1)]
    )  # fmt: skip


def covered_places(cards, picture: np.ndarray, count: int = 12) -> np.ndarray:
    """Places (n, 3) on the cards where their picture shows hair."""
    across, along = (axis.ravel() for axis in np.meshgrid(*[(np.arange(count) + 0.5) / count] * 2))
    weights = np.stack(
        [(1 - across) * (1 - along), across * (1 - along), across * along, (1 - across) * along], 1
    )
    places = np.einsum("pk,fki->fpi", weights, cards.vertices[cards.quads]).reshape(-1, 3)
    uv = np.einsum("pk,fki->fpi", weights, cards.uv[cards.quads]).reshape(-1, 2)
    row, column = (uv[:, ::-1] * len(picture)).astype(int).T
    return places[picture[row, column, 3] > CUT * 255]


@pytest.mark.parametrize(
    ("part", "style"),
    [("scalp", "BOB"), ("scalp", "COILY"), ("scalp", "CROPPED"), ("beard", "FULL"), ("brows", "NATURAL")],
)
def test_cards_cover_what_strands_cover(dressed, part, style):
    _, source, cards = dressed(part, style)
    picture = draw_atlas(cards.tiles, 512, BROWN)
    shown = covered_places(cards, picture)
    strands = along_strands(source.points, CELL / 2)
    for axes in ((0, 2), (1, 2)):
        wanted, found = silhouette(strands, axes, 3), silhouette(shown, axes, 1)
        overlap = (wanted & found).sum() / (wanted | found).sum()
        assert overlap > 0.8


def depth_in_head(head, points: np.ndarray) -> np.ndarray:
    """Metres that points (N, 3) lie beneath the nearest skin; minus one beside ears and sockets."""
    outer = np.unique(head.triangles)
    places, normals = head.positions[outer], unit(head.normals[outer])
    apart = (head.ears[outer] > 0.02) | (head.pocket[outer] > 0.1)
    depths = np.empty(len(points))
    for start in range(0, len(points), 512):
        here = points[start : start + 512]
        near = ((places**2).sum(1) - 2 * here @ places.T).argmin(1)
        depths[start : start + 512] = -((here - places[near]) * normals[near]).sum(1)
        depths[start : start + 512][apart[near]] = -1
    return depths


@pytest.mark.parametrize(
    ("part", "style"),
    [
        ("scalp", "BOB"),
        ("scalp", "COILY"),
        ("scalp", "CROPPED"),
        ("scalp", "SHAVED"),
        ("scalp", "WAVY"),
        ("beard", "FULL"),
        ("beard", "STUBBLE"),
        ("brows", "NATURAL"),
        ("lashes", "NATURAL"),
    ],
)
def test_cards_stay_outside_the_head_and_within_the_atlas(head, dressed, part, style):
    _, _, cards = dressed(part, style)
    plan = PLANS[part]
    assert np.isfinite(cards.vertices).all() and np.isfinite(cards.normals).all()
    assert depth_in_head(head, cards.vertices).max() < 0.002
    assert cards.uv.min() >= 0 and cards.uv.max() <= 1
    assert len(cards.followed) == cards.card.max() + 1 <= plan.ribbons + plan.base + plan.ends
    assert np.abs(np.linalg.norm(cards.normals, axis=1) - 1).max() < 1e-3


def test_cards_face_outwards(dressed):
    _, source, cards = dressed("scalp", "BOB")
    first, second, third = (cards.vertices[cards.quads[:, k]] for k in range(3))
    front = unit(np.cross(second - first, third - first))
    facing = (front * cards.normals[cards.quads].mean(1)).sum(1)
    assert (facing > 0).mean() > 0.97
    assert len(source.points) > 10_000


def test_the_atlas_shows_hair_without_dark_fringes(dressed):
    _, _, cards = dressed("scalp", "BOB")
    picture = draw_atlas(cards.tiles, 1024, BROWN)
    assert picture.shape == (1024, 1024, 4) and picture.dtype == np.uint8
    cover = picture[..., 3] / 255
    low, high = cell_corners(np.arange(16, 32))  # the first row holds the patches next to the skin
    middles, tips = [], []
    for begin, end in zip(low, high, strict=True):
        left, bottom, right, top = np.round(np.concatenate([begin, end]) * 1024).astype(int)
        cell = cover[bottom:top, left:right]
        middles.append(cell[60:120].mean())
        tips.append(cell[-8:].mean())
    assert 0.4 < np.mean(middles) < 0.98
    assert np.mean(tips) < 0.6 * np.mean(middles)
    brightness = from_srgb(picture[..., :3] / 255).mean(2)
    hair, bare = cover > 0.9, cover == 0
    beside = bare & (np.roll(hair, 2, 0) | np.roll(hair, 2, 1) | np.roll(hair, -2, 1))
    assert beside.sum() > 1000
    assert brightness[beside].mean() > 0.7 * brightness[hair].mean()
    assert brightness[bare].min() > 0.2 * brightness[hair].mean()
    red, _, blue = picture[hair][:, :3].astype(float).mean(0)
    assert red > 1.2 * blue


def test_a_tile_shows_its_strands_where_they_are():
    """One strand up the middle of a ribbon is one dark line, which thins out towards its tip."""
    line = np.stack([np.full(9, 0.5), np.linspace(0, 1, 9)], 1)[None].astype(np.float32)
    tile = Tile(line, np.array([0.1]), np.array([0.5]), np.zeros(1), 0.0, 1.0)
    (cells,) = cells_of([(False, 1)])
    picture = draw_atlas({int(cells[0]): tile}, 1024, BROWN)
    cell = picture[:256, :64, 3].astype(float) / 255
    width = cell.sum(1)
    assert width[8:40].mean() == pytest.approx(0.1 * 60, rel=0.2)
    assert width[230:250].mean() < 0.6 * width[8:40].mean()
    centre = (cell * (np.arange(64) + 0.5)).sum(1)[8:240] / width[8:240]
    assert np.abs(centre - 32).max() < 1
    assert picture[256:, :, 3].max() == 0 and picture[:, 64:, 3].max() == 0


def test_an_atlas_has_four_rows():
    assert [len(found) for found in cells_of([(True, 16), (False, 48)])] == [16, 48]
    with pytest.raises(ValueError, match="5 rows"):
        cells_of([(True, 17), (False, 48)])
    numbers = np.concatenate(cells_of([(True, 16), (False, 48)]))
    low, high = cell_corners(numbers)
    assert (low >= 0).all() and (high <= 1).all() and (low < high).all()
    overlap = (low[:, None] < high[None]).all(2) & (low[None] < high[:, None]).all(2)
    assert (overlap == np.eye(len(numbers), dtype=bool)).all()


def test_grey_strands_are_white_and_thick_ones_their_mean():
    chance = np.linspace(0, 1, 200, endpoint=False)
    grey = Pigments(0.9, 0.2, 0.25)
    single = strand_colours(chance, grey)
    assert np.allclose(single[:50], WHITE) and single[50:].max() < 0.1
    mixed = strand_colours(chance, grey, 40)
    assert mixed.mean() == pytest.approx(single.mean(), rel=0.05)
    assert np.ptp(mixed[:, 0]) < 0.25 * np.ptp(single[:, 0])


@pytest.mark.parametrize(("melanin", "redness"), [(0.35, 0.0), (0.6, 0.5), (0.9, 0.2), (0.97, 1.0)])
def test_the_shown_colour_is_what_a_photograph_is_read_as(melanin, redness):
    assert pigments_of(np.array(shown_colour(melanin, redness))) == pytest.approx(
        (melanin, redness, 0.0), abs=0.02
    )


def test_cards_move_as_their_strands(head, dressed):
    """A turn and a shift of the whole head moves cards exactly; a raised brow nearly as it moves strands."""
    strands, source, cards = dressed("brows", "NATURAL")
    angle = 0.3
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    posed = head.positions @ turn.T + (0.01, 0.02, -0.03)
    at = strands.corners, strands.weights, strands.wide, head.positions
    moved = cards.vertices + moved_by_skin(cards, *at, posed)
    assert np.abs(moved - (cards.vertices @ turn.T + (0.01, 0.02, -0.03))).max() < 1e-5
    shifted = moved_by_skin(
        cards, strands.corners, strands.weights, None, head.positions, head.positions + 0.01
    )
    assert np.abs(shifted - 0.01).max() < 1e-6
    face = BilinearFace.default()
    neutral, deltas = face.shapes(np.zeros(face.identity_size))
    dense = dense_face_mesh(face)
    raised = dense.refine(neutral + deltas[face.expression_names.index("browInnerUp")])
    rest = dense.refine(neutral)
    strand_rest, strand_up = (follow_face(strands, head, shape, rest) for shape in (rest, raised))
    wanted = strand_up - strand_rest
    found = moved_by_skin(
        cards, strands.corners, strands.weights, strands.wide, head.positions, raised - rest + head.positions
    )
    assert len(source.points) == len(strands.points)
    near = ((cards.vertices[:, None] - strands.points[None, :, 3]) ** 2).sum(2).argmin(1)
    apart = np.linalg.norm(found - wanted[near, 3], axis=1)
    assert np.linalg.norm(wanted, axis=2).max() > 0.003
    assert apart.mean() < 0.0004 and np.quantile(apart, 0.95) < 0.001


def test_groups_have_their_means_quantiles_and_members():
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(centre, 0.05, (50, 2)) for centre in ((0, 0), (3, 0), (0, 3))])
    group = grouped(points, 12, random)
    assert group.max() < 12 and len(np.unique(group)) == group.max() + 1
    for number in range(group.max() + 1):
        assert len(np.unique(np.flatnonzero(group == number) // 50)) == 1
    mean = group_mean(points, group)
    assert np.allclose(mean[2], points[group == 2].mean(0), atol=1e-6)
    low, high = group_quantiles(points[:, 0], group, group.max() + 2, 0.0, 1.0)
    assert low[1] == points[group == 1, 0].min().astype(np.float32)
    assert high[1] == points[group == 1, 0].max().astype(np.float32) and np.isnan(low[-1])
    members = group_members(group, 5)
    assert (group[members] == np.arange(group.max() + 1)[:, None]).all()
