"""The landmarks of a clip without the head's pose: how far each lies from where it is at rest."""

import numpy as np

from .clip_landmarks import ClipLandmarks
from .clip_model import ClipModel, HeadPose


def head_displacement(
    model: ClipModel, clip: ClipLandmarks, poses: list[HeadPose], expression: np.ndarray
) -> np.ndarray:
    """Returns the displacement (T, L, 2) of the landmarks, seen from the front of the head, right and up.

    Each point of a picture is taken back into the head's axes at the depth that the solved face has there.

    Args:
        model: person, camera and offsets of the clip.
        clip: the landmarks.
        poses: of the head, one for each frame.
        expression: (T, 52) solved.

    Returns:
        Inter-ocular distances, float32; frames without a face hold the one before, the first ones 0.
    """
    found = np.zeros((len(poses), len(model.rest), 2), np.float32)
    for frame, pose in enumerate(poses):
        points = np.asarray(clip.points[frame], np.float64)
        if not np.isfinite(points[0, 0]):
            found[frame] = found[max(frame - 1, 0)]
            continue
        places = model.places(expression[frame][model.free], pose)
        depth = (places @ pose.rotation.T + pose.translation)[:, 2:]
        local = np.concatenate([(points - model.centre) / model.focal * depth, depth], 1)
        seen = (local - pose.translation) @ pose.rotation
        rest = model.places(np.zeros(len(model.free)), pose)
        found[frame] = ((seen - rest) / model.unit)[:, [0, 2]]
    return found
