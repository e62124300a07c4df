"""Codes of the baselines: the mean person, and the iterative fit of face, skin and light."""

import numpy as np

from ...datasets.coded_portraits import StoredPortrait
from ...fitting.attributes.code_figures import nearest_texture
from ...fitting.attributes.levelled_face import levelled_points, place_face
from ...fitting.face_fit import fit_face
from ...fitting.landmarks import find_faces
from ...fitting.photo_camera import SeenFace
from ...fitting.skin.fit_skin import SkinModel, fit_skin
from ...fitting.skin.photo_skin import skin_of_photo
from ...fitting.unwrap_photo import TextureDomain
from ...models.attribute_encoder import AttributeEncoder
from ...models.bilinear_face import BilinearFace
from ...models.face_codes import FaceCodes, angles_of_rotation, code_of_light
from ...pipelines.fit_from_image import landmark_model
from ...simulation.portraits.coded_portrait import SIZE

_MAP = 256


def mean_codes(encoder: AttributeEncoder, portrait: StoredPortrait) -> FaceCodes:
    """Returns the mean of drawn people, put where the landmarks are."""
    table = {}
    start = 0
    from ...models.face_codes import SIZES

    for name, size in SIZES.items():
        table[name] = encoder.output_mean[start : start + size].numpy().copy()
        start += size
    face = levelled_points(portrait.points, portrait.focal, SIZE, SIZE)
    table["shape"] = np.zeros(SIZES["shape"], np.float32)
    table["rotation"], table["translation"] = place_face(
        face, table["rotation"], table["translation"], SIZE, SIZE
    )
    return FaceCodes.of(table)


def fitted_codes(portrait: StoredPortrait) -> FaceCodes | None:
    """Fits a portrait by iteration, as `fit` does; None where no face is found.

    The camera's focal length is given. Texture is the albedo model's nearest to the fitted map; there is no
    hair.
    """
    found = find_faces(portrait.pixels)
    if not found:
        return None
    seen = SeenFace(found[0].points, SIZE, SIZE, portrait.focal / SIZE, True)
    fit = fit_face(landmark_model(), [seen])
    view = fit.views[0]
    face, domain, model = BilinearFace.default(), TextureDomain.default(_MAP), SkinModel.default()
    shape, expression = fit.identity.astype(np.float32), view.expression.astype(np.float32)
    positions = domain.mesh.refine(face.evaluate(shape, expression))
    photo = skin_of_photo(domain, portrait.pixels, view.camera, positions, model.usual)
    skin = fit_skin([photo], model)
    return FaceCodes.of(
        {
            "shape": shape,
            "expression": expression,
            "texture": nearest_texture(skin.albedo),
            "illumination": code_of_light(skin.light).astype(np.float32),
            "hair": np.zeros(16, np.float32),
            "rotation": angles_of_rotation(view.camera.rotation).astype(np.float32),
            "translation": view.camera.translation.astype(np.float32),
        }
    )
