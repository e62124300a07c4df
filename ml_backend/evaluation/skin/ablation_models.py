"""Forms of the albedo model to set beside it: coarser ones, and one with joint components.

`train albedo` leaves models that were fitted at 64 and 128 texels, and joint ones. A package holds only the
model itself; from its components and their covariance the others follow: low-passed components, and the
principal components of the people that it describes.
"""

from pathlib import Path

import numpy as np

from ...geometry.linear_models import PrincipalComponents, strongest_eigenvectors
from ...geometry.map_resampling import resample
from ...models.skin.albedo_model import ALBEDO_FILE, AlbedoModel

SIZES = (64, 128, 256)


def models_of(folder: Path) -> dict[str, dict[int, AlbedoModel]]:
    """Returns the models of a folder by kind, "coarse" and "joint", and by resolution.

    Those in its ablation/ were fitted at their size; the others are made from the model.

    Raises:
        UserError: the model is missing, or a file is broken.
    """
    model = AlbedoModel.read(folder / ALBEDO_FILE)
    found: dict[str, dict[int, AlbedoModel]] = {"coarse": {model.resolution: model}, "joint": {}}
    for kind, models in found.items():
        for path in sorted((folder / "ablation").glob(f"{kind}_*.safetensors")):
            other = AlbedoModel.read(path)
            models[other.resolution] = other
    for size in (*(size for size in SIZES if size < model.resolution), model.resolution):
        if size not in found["coarse"]:
            found["coarse"][size] = coarser(model, size)
        if size not in found["joint"]:
            found["joint"][size] = joint(found["coarse"][size])
    return {kind: dict(sorted(models.items())) for kind, models in found.items()}


def coarser(model: AlbedoModel, size: int) -> AlbedoModel:
    """Returns a model whose components are low-passed to `size` texels."""
    groups, count, channels = model.axes.shape[:3]
    whole = model.basis.reshape(groups, count, channels, model.resolution, model.resolution)
    low = resample(whole, size)
    mean = resample(model.mean, size)
    people = model.mixing.T.reshape(-1, groups, count) * model.mixing.shape[1] ** 0.5
    found = [
        PrincipalComponents(mean[group].ravel(), low[group].reshape(count, -1), np.ones(count, np.float32))
        for group in range(groups)
    ]
    mask = resample(model.mask.astype(np.float32), size) > 0.5
    return AlbedoModel.fit(found, [people[:, group] for group in range(groups)], mask)


def joint(model: AlbedoModel) -> AlbedoModel:
    """Returns a model of joint components, as many as each channel has, of the people of a model."""
    groups, count = model.axes.shape[:2]
    mixing = model.mixing.reshape(groups, count, -1)
    people = np.concatenate([model.basis[group].T @ mixing[group] for group in range(groups)])  # (3 n, F)
    powers, vectors = strongest_eigenvectors((people.T @ people).astype(np.float64))
    powers, vectors = powers[:count], vectors[:, :count]
    deviations = np.sqrt(np.maximum(powers, 1e-12))
    axes = (people @ (vectors / deviations)).T.astype(np.float32)
    one = PrincipalComponents(model.mean.ravel(), axes, deviations.astype(np.float32))
    coordinates = np.eye(len(axes)) * deviations * len(axes) ** 0.5
    return AlbedoModel.fit([one], [coordinates], model.mask)
