"""The preview of a take shows the video's frame, the solved face where the actor's is, and wrinkles."""

import numpy as np

from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.take_file import Take
from ml_backend.geometry.camera_view import FRONTAL
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.pipelines.preview_take import preview_take, take_camera
from ml_backend.video.clip_model import UNSEEN
from ml_backend.video.video_writer import write_video


def test_a_preview_has_three_parts_and_shows_an_expression(tmp_path):
    face = BilinearFace.default()
    raw = np.zeros((3, 52), np.float32)
    raw[2, EXPRESSION_NAMES.index("jawOpen")] = 0.8
    take = Take(
        np.arange(3) / 30, raw, np.zeros((3, 9), np.float32), np.ones((3, 52), np.float32),
        np.tile(FRONTAL, (3, 1, 1)), np.tile([0.0, 0.0, 1.0], (3, 1, 1))[:, 0], ("seen",) * 3, UNSEEN,
        {"focal": 300.0, "column": 64.0, "row": 64.0, "width": 128.0, "height": 128.0},
        np.zeros(face.identity_size, np.float32), face.fingerprint(), (0,), (), "grey.mp4",
    )  # fmt: skip
    path = tmp_path / "grey.mp4"
    write_video(path, (np.full((128, 128, 3), 90, np.uint8) for _ in range(3)), 30)
    assert take_camera(take, 0).focal == 300
    still, open_jaw = preview_take(take, path, (0, 2), 64)
    assert still.shape == open_jaw.shape == (64, 192, 3)
    assert np.abs(still[20:44, 20:44].astype(int) - 90).max() < 12, "the frame of the video"
    drawn = open_jaw.astype(int) - still
    assert np.abs(drawn[:, :64]).max() < 12 and np.abs(drawn[:, 64:]).max() > 40
