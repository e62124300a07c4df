"""Expressions that have a name: joy, anger, ... as ARKit coefficients. Standard library only."""

from .expression_names import both_sides

EXPRESSION_PRESETS: dict[str, tuple[str, dict[str, float]]] = {
    "joy": (
        "Joy",
        both_sides(
            mouthSmile=0.85,
            cheekSquint=0.75,
            eyeSquint=0.45,
            mouthUpperUp=0.25,
            jawOpen=0.12,
            mouthDimple=0.2,
        ),
    ),
    "laugh": (
        "Laugh",
        both_sides(
            mouthSmile=0.95,
            cheekSquint=0.9,
            eyeSquint=0.6,
            jawOpen=0.45,
            mouthUpperUp=0.4,
            browInnerUp=0.25,
            eyeBlink=0.2,
        ),
    ),
    "anger": (
        "Anger",
        both_sides(
            browDown=1.0, noseSneer=0.55, eyeSquint=0.45, mouthPress=0.55, mouthFrown=0.35, jawForward=0.15
        ),
    ),
    "surprise": (
        "Surprise",
        both_sides(browInnerUp=1.0, browOuterUp=0.95, eyeWide=0.8, jawOpen=0.45, mouthFunnel=0.15),
    ),
    "disgust": (
        "Disgust",
        both_sides(
            noseSneer=1.0,
            mouthUpperUp=0.6,
            browDown=0.55,
            eyeSquint=0.5,
            mouthFrown=0.45,
            mouthShrugLower=0.3,
        ),
    ),
    "fear": (
        "Fear",
        both_sides(
            browInnerUp=1.0, browOuterUp=0.45, browDown=0.35, eyeWide=0.9, mouthStretch=0.75, jawOpen=0.25
        ),
    ),
    "sadness": (
        "Sadness",
        both_sides(
            browInnerUp=0.95,
            browDown=0.25,
            mouthFrown=0.8,
            mouthShrugLower=0.5,
            eyeSquint=0.25,
            eyeLookDown=0.25,
        ),
    ),
    "contempt": (
        "Contempt",
        both_sides(
            mouthSmileLeft=0.45,
            mouthDimpleLeft=0.8,
            cheekSquintLeft=0.3,
            mouthPressLeft=0.4,
            eyeSquintLeft=0.25,
        ),
    ),
    "skeptical": (
        "Skeptical",
        both_sides(
            browOuterUpLeft=0.95,
            browInnerUp=0.25,
            browDownRight=0.8,
            eyeSquintRight=0.5,
            mouthLeft=0.3,
            mouthPressRight=0.35,
        ),
    ),
    "wink": (
        "Wink",
        both_sides(
            eyeBlinkLeft=1.0, eyeSquintLeft=0.6, cheekSquintLeft=0.7, mouthSmileLeft=0.6, mouthSmileRight=0.25
        ),
    ),
    "kiss": ("Kiss", both_sides(mouthPucker=1.0, mouthFunnel=0.2, eyeBlink=0.35, cheekSquint=0.15)),
    "blink": ("Blink", both_sides(eyeBlink=1.0)),
    "scream": (
        "Scream",
        both_sides(
            jawOpen=1.0,
            mouthStretch=0.5,
            mouthLowerDown=0.6,
            mouthUpperUp=0.5,
            browDown=0.8,
            eyeSquint=0.7,
            noseSneer=0.7,
        ),
    ),
    "effort": (
        "Effort",
        both_sides(
            eyeBlink=0.7,
            eyeSquint=1.0,
            noseSneer=0.8,
            browDown=0.7,
            mouthStretch=0.6,
            mouthPress=0.4,
            cheekSquint=0.8,
        ),
    ),
    "thinking": (
        "Thinking",
        both_sides(
            browInnerUp=0.5,
            browDownLeft=0.3,
            browDownRight=0.3,
            eyeLookUpLeft=0.5,
            eyeLookUpRight=0.5,
            mouthRight=0.4,
            mouthPucker=0.3,
        ),
    ),
}
"""Identifier to (label, expression values); names that are missing are 0."""
