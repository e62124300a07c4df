"""Losses from the landmark network: how differently it sees two pictures of the same face.

Source: Johnson et al. 2016, "Perceptual losses for real-time style transfer and super-resolution":
differences of a network's features as a loss.
"""

import torch
from torch import Tensor
from torch.nn import functional

from ..models.landmark_network import CROP, LandmarkNetwork


def face_crops(pictures: Tensor, frames: Tensor) -> Tensor:
    """Cuts squares out of pictures and brings them to the network's size.

    Args:
        pictures: (B, 3, H, W).
        frames: (B, 2, 3) that take the square's coordinates (-1..1 right and down, 1) to the picture's, also
            -1..1.

    Returns:
        (B, 3, 192, 192); beyond a picture's edge its edge.
    """
    grid = functional.affine_grid(frames, [len(pictures), 3, CROP, CROP], align_corners=False)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def landmark_losses(
    network: LandmarkNetwork, made: Tensor, truth: Tensor, frames: Tensor
) -> tuple[Tensor, Tensor]:
    """Compares two sets of pictures of the same faces as the landmark network sees them.

    Args:
        network: the landmark network.
        made: (B, 3, h, w) sRGB in 0..1; gradients go to it.
        truth: (B, 3, H, W) sRGB in 0..1.
        frames: (B, 2, 3), see `face_crops`.

    Returns:
        The features' absolute differences over their size, mean of all resolutions; the distance of the
        points in distances between the eyes, a mean per picture (B,).
    """
    with torch.no_grad():
        true_features, true_points = network(face_crops(truth, frames))
        right, left = true_points[:, [33, 133]].mean(1), true_points[:, [362, 263]].mean(1)
        between_eyes = (right - left).norm(dim=-1).clamp_min(1)
    features, points = network(face_crops(made, frames))
    differences = [
        (level - true_level).abs().mean() / true_level.abs().mean()
        for level, true_level in zip(features, true_features, strict=True)
    ]
    return torch.stack(differences).mean(), (points - true_points).norm(dim=-1).mean(1) / between_eyes
