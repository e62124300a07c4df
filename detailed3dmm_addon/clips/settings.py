"""Settings of clips on one mesh: gains, smoothing, layers, emotions, destination, and the last import."""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ...ml_backend.animation.curve_editing import GAIN_GROUPS, CurveEdit
from ...ml_backend.animation.curve_filters import GROUPS
from ...ml_backend.expression_presets import EXPRESSION_PRESETS
from ..actions.action_writer import ACTION, LAYERS, NLA
from . import video_properties

LAYER_TEXTS = {
    "blinks": ("Blinks", "Eyelids that close about 20 times a minute, in pauses and with wide glances"),
    "brows": ("Brows", "Brows that rise with stressed syllables"),
    "head": ("Head", "Slow sway of the head, and nods with stressed syllables"),
    "gaze": ("Gaze", "Eyes that fix the viewer and jump away now and then"),
    "breath": ("Breath", "Nostrils and head that move with a breath in pauses"),
    "emotion": ("Emotion", "The emotions chosen below, which never open closed lips"),
}
EMOTION_NAMES = (
    "neutral",
    "joy",
    "anger",
    "surprise",
    "disgust",
    "fear",
    "sadness",
    "contempt",
    "skeptical",
    "thinking",
    "effort",
)
VIDEO_GROUPS = {
    "lids": "Lids",
    "gaze": "Gaze",
    "lips": "Jaw and Lips",
    "brows": "Brows",
    "cheeks": "Cheeks and Nose",
    "head": "Head",
}
"""Labels of the groups that the curves of a video are smoothed by."""
_EMOTIONS = tuple(
    (name, EXPRESSION_PRESETS[name][0] if name in EXPRESSION_PRESETS else "Neutral", f"Show {name}")
    for name in EMOTION_NAMES
)


NO_GUESS = "none"
_VOICE_EMOTIONS = (
    (NO_GUESS, "Off", "Nothing is guessed from the voice"),
    ("guess", "Surprise or Sadness", "Raised brows on a lively voice, a little sadness on a subdued one"),
    *(
        (name, label, f"Show {name} as strongly as the voice is lively")
        for name, label, _ in _EMOTIONS
        if name != "neutral"
    ),
)
_LANGUAGES = (
    ("en", "English", "Words are read by a dictionary"),
    ("de", "German", "Words are read by their spelling"),
    ("fr", "French", "Words are read by their spelling"),
    ("es", "Spanish", "Words are read by their spelling"),
    ("it", "Italian", "Words are read by their spelling"),
    ("pt", "Portuguese", "Words are read by their spelling"),
)


def _amount(label: str, description: str):
    return FloatProperty(
        name=label,
        description=f"{description}; 1 is life-like, 0 none",
        default=1.0,
        min=0.0,
        max=3.0,
        soft_max=2.0,
        step=5,
        precision=2,
    )


def _seed(label: str):
    return IntProperty(
        name=f"{label} Seed", description=f"Added to the import's seed for {label.lower()} alone", min=0
    )


def _gain(label: str):
    return FloatProperty(
        name=label,
        description=f"Factor on the curves of {label.lower()}; closed lips stay closed",
        default=1.0,
        min=0.0,
        max=3.0,
        soft_max=2.0,
        step=5,
        precision=2,
    )


def _video_smoothing(label: str):
    return FloatProperty(
        name=label,
        description="0: as solved; 1: smoothed most, but hardly where it moves fast",
        default=0.0,
        min=0.0,
        max=1.0,
        step=5,
        precision=2,
    )


class D3DMM_PG_emotion_key(bpy.types.PropertyGroup):
    """From a frame on, the face shows an emotion."""

    frame: FloatProperty(
        name="Frame", description="Scene frame at which the emotion is reached", step=100, precision=1
    )
    emotion: EnumProperty(name="Emotion", description="What the face shows", items=_EMOTIONS, default="joy")
    intensity: FloatProperty(
        name="Intensity",
        description="How strongly it shows; 1 is the preset",
        default=0.6,
        min=0.0,
        max=1.5,
        step=5,
        precision=2,
    )


class D3DMM_PG_animation(bpy.types.PropertyGroup):
    """Settings of clips on one mesh."""

    smoothing: FloatProperty(
        name="Smoothing",
        description=(
            "Width of the smoothing of speech and captured curves, in milliseconds; closed lips stay closed"
        ),
        default=0.0,
        min=0.0,
        max=500.0,
        soft_max=150.0,
        step=100,
        precision=0,
    )
    offset: FloatProperty(
        name="Offset",
        description="Frames by which the motion comes after the sound; below 0 it leads",
        soft_min=-10.0,
        soft_max=10.0,
        min=-100.0,
        max=100.0,
        step=10,
        precision=1,
    )
    key_error: FloatProperty(
        name="Key Error",
        description="Leave out keys as long as no expression is off by more than this; 0 keys every frame",
        min=0.0,
        max=0.1,
        soft_max=0.02,
        step=0.1,
        precision=4,
    )
    destination: EnumProperty(
        name="Bake To",
        description="Where the curves are written",
        items=(
            (ACTION, "Action", "A new action; the one before stays in the file"),
            (NLA, "NLA Strip", "One strip on a track of its own"),
            (LAYERS, "NLA Layers", "A track each for speech, blinks, brows, head, gaze, breath and emotion"),
        ),
    )
    head_object: PointerProperty(
        name="Head",
        description=(
            "Object that turns as the head: an armature with the bones below, or any other; "
            "empty: the face itself"
        ),
        type=bpy.types.Object,
    )
    head_bone: StringProperty(name="Head Bone", description="Bone of the armature that turns as the head")
    eye_bone_left: StringProperty(
        name="Left Eye Bone", description="Bone of the armature that turns as the left eye"
    )
    eye_bone_right: StringProperty(
        name="Right Eye Bone", description="Bone of the armature that turns as the right eye"
    )
    emotions: CollectionProperty(type=D3DMM_PG_emotion_key)
    voice_emotion: EnumProperty(
        name="From Voice",
        description="A guess: the emotion layer follows how lively the voice is, where no emotion is chosen",
        items=_VOICE_EMOTIONS,
    )
    transcript: StringProperty(
        name="Transcript",
        description=(
            "What the recording says, as text, SRT, WebVTT or TextGrid; the lips follow its words; "
            "empty: what is heard"
        ),
        subtype="FILE_PATH",
    )
    language: EnumProperty(name="Language", description="Language of the transcript", items=_LANGUAGES)
    speech_encoder: StringProperty(
        name="Speech Encoder",
        description=(
            "Folder of a network to listen with: Whisper base in CTranslate2's layout, or a wav2vec 2.0 "
            "phoneme checkpoint in that of transformers; empty: the built-in one"
        ),
        subtype="DIR_PATH",
    )
    decoder: EnumProperty(
        name="Decoder",
        description="How speech sounds become curves",
        items=(
            ("parallel", "Parallel", "All frames of a stretch at once"),
            ("autoregressive", "Autoregressive", "Each frame from the frames before it; slower"),
        ),
    )
    video_strength: video_properties.strength()
    video_head: video_properties.head_motion()
    video_gaze: video_properties.gaze()
    video_face: video_properties.face_number()
    video_neutral: video_properties.neutral_frame()
    video_same_person: video_properties.same_person()
    video_more_neutral: video_properties.more_neutral_frames()
    video_voice: video_properties.lips_from_voice()
    live_source: StringProperty(
        name="Live Source",
        description="A camera (0 is the first; on Windows its name), or a video that is played in real time",
        default="0",
    )
    rest_rotation: FloatVectorProperty(
        options={"HIDDEN"}, description="Where the head stood before the first clip, radians"
    )
    source: StringProperty(options={"HIDDEN"}, description="File that was imported last")
    source_kind: StringProperty(options={"HIDDEN"}, description="Audio or curves")
    source_start: FloatProperty(
        options={"HIDDEN"}, description="Seconds of the recording that are left out before the clip"
    )
    source_length: FloatProperty(
        options={"HIDDEN"}, description="Seconds of the recording in the clip; 0 for all that is left"
    )
    source_pace: FloatProperty(
        options={"HIDDEN"}, default=1.0, description="Seconds of the video in a second of the scene"
    )
    video_tag: StringProperty(
        options={"HIDDEN"}, description="Identifier of what imports of videos added to the scene"
    )
    video_markers: StringProperty(
        options={"HIDDEN"}, description="Names of the markers that they added, one a line"
    )
    source_frame: IntProperty(options={"HIDDEN"}, description="Scene frame at which the clip begins")
    source_seed: IntProperty(options={"HIDDEN"}, description="Seed of its layers")
    source_head: BoolProperty(options={"HIDDEN"}, description="Whether head motion was keyed")
    source_detail: BoolProperty(options={"HIDDEN"}, description="Whether wrinkles were baked")

    def edit(self, fps: float) -> CurveEdit:
        """Returns the edit of the curves that the settings describe."""
        gains = {group: getattr(self, f"gain_{group}") for group in GAIN_GROUPS}
        return CurveEdit(gains, self.smoothing / 1000, self.offset / fps)

    def video_edit(self, fps: float, strength: float) -> CurveEdit:
        """Returns the edit of a video's curves; they are smoothed by `video_smoothing`.

        Args:
            fps: of the scene.
            strength: factor on all groups but eyes and head.
        """
        gains = {group: getattr(self, f"gain_{group}") for group in GAIN_GROUPS}
        for group in set(gains) - {"eyes", "head"}:
            gains[group] = min(gains[group] * strength, 3.0)
        return CurveEdit(gains, 0.0, self.offset / fps)

    def video_smoothing(self) -> dict[str, float]:
        """Returns the smoothing of a video's curves by group, 0 to 1."""
        return {group: getattr(self, f"video_smoothing_{group}") for group in GROUPS}

    def request(self, seed: int, first_frame: int, fps: float) -> dict:
        """Returns the parameters of the worker's request that the settings decide."""
        parameters: dict = {name: getattr(self, f"amount_{name}") for name in LAYER_TEXTS}
        parameters["seeds"] = {name: seed + getattr(self, f"seed_{name}") for name in LAYER_TEXTS}
        parameters["emotions"] = [
            ((key.frame - first_frame) / fps, key.emotion, key.intensity) for key in self.emotions
        ]
        if self.voice_emotion != NO_GUESS and not self.emotions:
            parameters["voice_emotion"] = self.voice_emotion
        parameters["decoder"] = self.decoder
        if self.speech_encoder:
            parameters["speech_encoder"] = bpy.path.abspath(self.speech_encoder)
        return parameters


for _name, (_label, _text) in LAYER_TEXTS.items():
    D3DMM_PG_animation.__annotations__[f"amount_{_name}"] = _amount(_label, _text)
    D3DMM_PG_animation.__annotations__[f"seed_{_name}"] = _seed(_label)
for _name, _label in GAIN_GROUPS.items():
    D3DMM_PG_animation.__annotations__[f"gain_{_name}"] = _gain(_label)
for _name, _label in VIDEO_GROUPS.items():
    D3DMM_PG_animation.__annotations__[f"video_smoothing_{_name}"] = _video_smoothing(_label)

CLASSES = (D3DMM_PG_emotion_key, D3DMM_PG_animation)


def register():
    """Adds `Object.d3dmm_animation`."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.d3dmm_animation = PointerProperty(type=D3DMM_PG_animation, name="Detailed3DMM Animation")


def unregister():
    """Removes `Object.d3dmm_animation`."""
    del bpy.types.Object.d3dmm_animation
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
