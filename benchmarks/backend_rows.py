"""Benchmark rows that need no Blender: face model, generator, recordings and videos to curves, bake."""

import time

import numpy as np

from ml_backend.asset_files import ASSETS

from .timing import repeat


def face_model_rows() -> dict:
    """One evaluation of the base face, and of the dense one."""
    from ml_backend.geometry.dense_face import dense_face_mesh
    from ml_backend.models.bilinear_face import BilinearFace

    face = BilinearFace.default()
    identities = [face.sample_identity(seed) for seed in range(8)]
    expressions = np.random.default_rng(0).uniform(0, 1, (64, 52)).astype(np.float32)
    dense = dense_face_mesh(face)
    neutral = face.neutral(identities[0])
    return {
        "face model, new expression": repeat(lambda n: face.evaluate(identities[0], expressions[n % 64]), 60),
        "face model, new identity": repeat(lambda n: face.evaluate(identities[n % 8], expressions[0]), 30),
        f"dense mesh of {dense.vertex_count} vertices from the base mesh": repeat(
            lambda n: dense.refine(neutral), 20
        ),
    }


def generator_rows() -> dict:
    """The default generator, and a plain StyleGAN2 of the paper's channel sizes in the same run."""
    import torch

    from ml_backend.models.displacement_generator import DisplacementGenerator, GeneratorConfig
    from ml_backend.pipelines.generate_detail import GenerateDetailRequest, detail_model, generate_detail

    model = detail_model()
    rng = np.random.default_rng(0)
    identity = rng.normal(size=model.identity_size).astype(np.float32)
    skin = rng.normal(size=model.skin_size).astype(np.float32)
    expressions = rng.uniform(0, 1, (32, 52)).astype(np.float32)
    rows = {
        f"generator, one {resolution} map": repeat(
            lambda n, r=resolution: generate_detail(
                GenerateDetailRequest(identity, skin, expressions[n % 32], r)
            ),
            15,
        )
        for resolution in (256, 512, 1024)
    }
    plain = DisplacementGenerator(GeneratorConfig(channel_base=32768, channel_most=512, spread_rank=0)).eval()
    latents = torch.randn(1, plain.config.style_count, plain.config.latent_width)
    with torch.inference_mode():
        rows["plain way: StyleGAN2 of the paper's channel sizes, one 1024 map"] = repeat(
            lambda _: plain(latents, 1024), 3
        )
    return rows


def speech_rows() -> dict:
    """The shipped recording to curves."""
    from ml_backend.pipelines.animate_from_audio import AnimateFromAudioRequest, animate_from_audio

    recording = next(ASSETS.glob("demo_speech.*[!d]"))
    request = AnimateFromAudioRequest(path=str(recording), fps=30.0, seed=0)
    animation = animate_from_audio(request, _quiet)
    seconds = len(animation.frames) / animation.fps
    row = repeat(lambda _: animate_from_audio(request, _quiet), 5)
    row["times_faster_than_real_time"] = round(seconds / (row["median_ms"] / 1e3), 1)
    return {f"recording of {seconds:.1f} s to curves": row}


def bake_rows() -> dict:
    """Detail of ten seconds at 30 frames a second as a detail basis."""
    from ml_backend.geometry.dense_face import dense_face_mesh
    from ml_backend.models.bilinear_face import BilinearFace
    from ml_backend.models.skin_vector import sample_skin
    from ml_backend.pipelines.bake_detail import BakeDetailRequest, bake_detail

    face = BilinearFace.default()
    steps = np.linspace(0, 1, 300, dtype=np.float32)[:, None]
    targets = np.random.default_rng(0).uniform(0, 0.6, (6, 52)).astype(np.float32)
    weights = np.maximum(0, 1 - np.abs(steps * 5 - np.arange(6)))
    began = time.perf_counter()
    request = BakeDetailRequest(
        face.sample_identity(0), sample_skin(0), weights @ targets, dense_face_mesh(face).vertex_uv()
    )
    basis = bake_detail(request, _quiet).basis
    row = {
        "seconds": round(time.perf_counter() - began, 1),
        "k": len(basis.fields),
        "psnr_db": round(basis.psnr_db, 1),
        "count": 1,
    }
    return {"bake of detail, 10 s at 30 fps": row}


def video_rows() -> dict:
    """A painted video of 96 frames to smoothed curves: decode, landmarks, solve, filter."""
    import tempfile
    from pathlib import Path

    from ml_backend.datasets.painted_clips import paint_clip
    from ml_backend.evaluation.video.painted_clips import frames_per_second
    from ml_backend.models.bilinear_face import BilinearFace
    from ml_backend.pipelines.fit_from_image import landmark_model

    landmark_model()
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder) / "short.mp4"
        paint_clip(short, BilinearFace.default(), 420_000, 0, 24)
        pace = frames_per_second(short, Path(folder) / "longer.mp4")
    return {"video of 96 frames to keys": {"frames_per_second": round(pace, 1), "count": 1}}


def _quiet(fraction: float, text: str) -> None:
    """Takes progress and says nothing."""


def rows() -> dict:
    """Returns every row of this file."""
    return face_model_rows() | generator_rows() | speech_rows() | bake_rows() | video_rows()
