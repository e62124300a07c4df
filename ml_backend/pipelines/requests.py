"""What the worker answers: each request's name, and the pipeline behind it."""

import platform
from collections.abc import Callable

import numpy as np

Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]
Answer = tuple[dict, dict[str, np.ndarray]]


def describe_backend() -> dict:
    """Loads torch and says where it computes: device, versions, threads."""
    import torch

    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }


def _info(parameters: dict, arrays: dict, progress: Progress, cancelled: Cancelled) -> Answer:
    return describe_backend(), {}


def _generate(parameters: dict, arrays: dict, progress: Progress, cancelled: Cancelled) -> Answer:
    from .generate_detail import GenerateDetailRequest, generate_detail

    resolution = int(parameters.get("resolution", 1024))
    request = GenerateDetailRequest(arrays["identity"], arrays["skin"], arrays["expression"], resolution)
    return {"resolution": resolution}, {"map": generate_detail(request)}


def _animate(parameters: dict, arrays: dict, progress: Progress, cancelled: Cancelled) -> Answer:
    from .animate_from_audio import AnimateFromAudioRequest, animate_from_audio

    animation = animate_from_audio(AnimateFromAudioRequest(**parameters), progress, cancelled)
    seconds = len(animation.frames) / animation.fps
    described = {"fps": animation.fps, "names": list(animation.names), "audio_seconds": seconds}
    return described, {"frames": animation.frames, "head": animation.head}


def _bake_detail(parameters: dict, arrays: dict, progress: Progress, cancelled: Cancelled) -> Answer:
    from .bake_detail import BakeDetailRequest, bake_detail

    request = BakeDetailRequest(
        arrays["identity"],
        arrays["skin"],
        arrays["expressions"],
        arrays["sample_uv"],
        int(parameters.get("resolution", 512)),
        float(parameters.get("psnr_db", 48.0)),
        int(parameters.get("most_components", 32)),
    )
    basis, coefficients = bake_detail(request, progress)
    return {"psnr_db": basis.psnr_db}, {"mean": basis.mean, "basis": basis.fields, "coefficients": coefficients}


HANDLERS = {"info": _info, "generate": _generate, "animate": _animate, "bake_detail": _bake_detail}
