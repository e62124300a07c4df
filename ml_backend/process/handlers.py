"""The requests that the worker answers: each name, and the pipeline behind it."""

import platform
from collections.abc import Callable

import numpy as np

Progress = Callable[[float, str], None]
Answer = tuple[dict, dict[str, np.ndarray]]


def describe_backend() -> dict:
    """Loads torch and returns device, versions and number of threads."""
    import torch

    from ..layers.device import device_name, pick_device

    return {
        "device": device_name(pick_device()),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }


def _info(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    return describe_backend(), {}


def _generate(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    from ..pipelines.generate_detail import GenerateDetailRequest, generate_detail

    resolution = int(parameters.get("resolution", 1024))
    given = (arrays["identity"], arrays["skin"], arrays["expression"])
    request = GenerateDetailRequest(
        *given, resolution, arrays.get("latent_offset"), dict(parameters.get("directions", {}))
    )
    return {"resolution": resolution}, {"map": generate_detail(request)}


def _animate(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    from ..pipelines.animate_from_audio import AnimateFromAudioRequest, animate_in_layers

    layered = animate_in_layers(AnimateFromAudioRequest(**parameters), progress)
    whole = layered.mixed()
    described = {
        "fps": whole.fps,
        "names": list(whole.names),
        "audio_seconds": whole.seconds,
        "layers": list(layered.layers),
    }
    described["notes"] = list(layered.notes)
    parts = {"frames": whole.frames, "head": whole.head, "speech": layered.speech.frames}
    for name, motion in layered.layers.items():
        parts |= {f"{name}_frames": motion.curves, f"{name}_head": motion.head}
    return described, parts


def _bake_detail(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    from ..pipelines.bake_detail import BakeDetailRequest, bake_detail

    chosen = {
        name: parameters[name]
        for name in ("resolution", "psnr_db", "most_components", "fine_resolution")
        if name in parameters
    }
    given = (arrays["identity"], arrays["skin"], arrays["expressions"], arrays["sample_uv"])
    baked = bake_detail(
        BakeDetailRequest(*given, **chosen, latent_offset=arrays.get("latent_offset")), progress
    )
    found = {"mean": baked.basis.mean, "basis": baked.basis.fields, "coefficients": baked.coefficients}
    return {"psnr_db": baked.basis.psnr_db}, found | {
        "fine_mean": baked.fine_mean,
        "fine_fields": baked.fine_fields,
    }


def _invert(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    from ..pipelines.invert_map import InvertMapRequest, invert_map

    chosen = {
        name: parameters[name] for name in ("path", "start", "steps", "resolution") if name in parameters
    }
    given = {name: arrays[name] for name in ("map", "identity", "skin", "expression") if name in arrays}
    found = invert_map(InvertMapRequest(**chosen, **given), progress)
    if parameters.get("out"):
        found.saved.write(parameters["out"])
    described = {"psnr_db": found.psnr_db, "start_psnr_db": found.start_psnr_db}
    return described, {"latent": found.saved.latent, "latent_offset": found.offset, "map": found.fitted}


def _fit_from_image(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    from ..pipelines.fit_from_image import (
        FitFromImageRequest,
        colour_described,
        fit_from_image,
        photos_described,
    )

    paths = tuple(str(path) for path in parameters["paths"])
    faces = tuple(int(number) for number in parameters.get("faces", ()))
    model, painted = str(parameters.get("landmark_model", "")), bool(parameters.get("painted_hair", True))
    fitted = fit_from_image(FitFromImageRequest(paths, faces, model, painted), progress)
    found = {
        "identity": fitted.identity,
        "skin": fitted.skin,
        "expressions": np.stack([item.expression for item in fitted.photos]),
    }
    found |= {"latent_offset": fitted.latent_offset, "albedo": fitted.colour.albedo}
    found |= {"photographed": fitted.colour.photographed, "light": fitted.unwrapped.light}
    found["rotation"] = np.stack([item.camera.rotation for item in fitted.photos])
    found["translation"] = np.stack([item.camera.translation for item in fitted.photos])
    found["photo"] = fitted.photos[0].photo.pixels
    described = {"photos": photos_described(fitted), "wrinkles_from": fitted.detail_source}
    described |= {"skin_colour": colour_described(fitted.colour), "hair": fitted.hair.described()}
    return described, found


def _encode_photo(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    from ..pipelines.encode_photo import encode_photo

    encoded = encode_photo(
        str(parameters["path"]), int(parameters.get("face", 0)), str(parameters.get("landmark_model", ""))
    )
    codes, found = encoded.codes, encoded.attributes()
    arrays = {"identity": codes.shape, "expression": codes.expression}
    for name in ("skin", "light", "pose"):
        arrays[name] = np.asarray(getattr(found, name), np.float32)
    return {"milliseconds": encoded.milliseconds}, arrays


def _track_video(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    from ..files.take_file import take_parts
    from ..pipelines.track_video import TrackVideoRequest, track_video
    from ..video.held_channels import HeldChannels

    held = None
    if "held_seconds" in arrays:
        held = HeldChannels(*(arrays[f"held_{name}"] for name in ("seconds", "channels", "values")))
    chosen = {
        name: parameters[name]
        for name in ("face", "start", "end", "rate", "landmark_model")
        if parameters.get(name) is not None
    }
    neutral = tuple(int(frame) for frame in parameters.get("neutral", ()))
    request = TrackVideoRequest(
        str(parameters["path"]),
        identity=arrays.get("identity"),
        neutral=neutral,
        voice=bool(parameters.get("voice", False)),
        held=held,
        **chosen,
    )
    return take_parts(track_video(request, progress))


def _live_start(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    from ..pipelines.track_live import TrackLiveRequest, start_session

    request = TrackLiveRequest(str(parameters["source"]), arrays.get("identity"))
    start_session(request)
    return {}, {}


def _live_frame(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    from ..pipelines.track_live import running_session

    state = running_session().state()
    names = ("phase", "seen", "frames", "seconds", "frames_per_second", "missed", "message", "remedy")
    described = {name: getattr(state, name) for name in names}
    return described, {"curves": state.curves, "head": state.head}


def _live_stop(parameters: dict, arrays: dict, progress: Progress) -> Answer:
    from ..files.take_file import take_parts
    from ..pipelines.track_live import end_session

    take = end_session(bool(parameters.get("keep", True)), progress)
    return ({}, {}) if take is None else take_parts(take)


HANDLERS = {
    "info": _info,
    "generate": _generate,
    "animate": _animate,
    "bake_detail": _bake_detail,
    "invert": _invert,
    "fit_from_image": _fit_from_image,
    "encode_photo": _encode_photo,
    "track_video": _track_video,
    "live_start": _live_start,
    "live_frame": _live_frame,
    "live_stop": _live_stop,
}
