"""Properties of a performance from a video, the same for the import and for the clip in the scene."""

from bpy.props import BoolProperty, FloatProperty, IntProperty, StringProperty

from ...ml_backend.errors import UserError


def strength():
    """Returns the factor on the face of a performance."""
    return FloatProperty(
        name="Strength",
        description="Factor on jaw, lips, tongue, cheeks and brows of a video; eyes and head keep theirs",
        default=1.0,
        min=0.0,
        max=3.0,
        soft_max=2.0,
        step=5,
        precision=2,
    )


def head_motion():
    """Returns the choice whether head motion is keyed."""
    return BoolProperty(
        name="Head Motion",
        description="Key the turns of the actor's head on the object's rotation",
        default=True,
    )


def gaze():
    """Returns the choice whether gaze is keyed."""
    return BoolProperty(
        name="Gaze", description="Key where the actor looks; else the eyes look ahead", default=True
    )


def face_number():
    """Returns the number of a face in a video."""
    return IntProperty(
        name="Face",
        description="Which face of the video, counted from 1, left to right, where the first is seen; "
        "0: the largest",
        default=0,
        min=0,
    )


def neutral_frame():
    """Returns the frame at which the actor rests."""
    return IntProperty(
        name="Neutral Frame",
        description="Frame of the video, counted from 0, on which the actor's face is at rest; "
        "-1: the rest is found",
        default=-1,
        min=-1,
    )


def same_person():
    """Returns the choice whether the selected face is the actor's."""
    return BoolProperty(
        name="Same Person",
        description="The selected face is the actor's: solve with its shape; "
        "else the actor's is found in the video",
        default=False,
    )


def more_neutral_frames():
    """Returns further frames at which the actor rests."""
    return StringProperty(
        name="More Neutral",
        description="Further frames of the video on which the actor's face is at rest, with commas between: "
        "they count together",
        default="",
    )


def lips_from_voice():
    """Returns the choice whether the voice helps."""
    return BoolProperty(
        name="Use Voice",
        description="Where the picture is unsure of jaw and lips, they follow the sound of the video",
        default=False,
    )


def neutral_frames(first: int, more: str) -> tuple[int, ...]:
    """Returns the frames at which the actor rests; none where the rest is to be found.

    Args:
        first: a frame, or -1.
        more: further ones, with commas between.

    Raises:
        UserError: a word is no frame.
    """
    words = more.replace(",", " ").split()
    for word in words:
        if not word.isdecimal():
            raise UserError(
                f"{word}: not a frame of the video.", "Give numbers from 0 on, with commas between them."
            )
    return tuple(sorted({*(int(word) for word in words), *((first,) if first >= 0 else ())}))
