"""The 52 expression coefficients: Apple's ARKit names in Live Link Face's column order."""

EXPRESSION_NAMES: tuple[str, ...] = tuple(
    """eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft
    eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight eyeWideRight
    jawForward jawRight jawLeft jawOpen mouthClose mouthFunnel mouthPucker mouthRight mouthLeft
    mouthSmileLeft mouthSmileRight mouthFrownLeft mouthFrownRight mouthDimpleLeft mouthDimpleRight
    mouthStretchLeft mouthStretchRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper
    mouthPressLeft mouthPressRight mouthLowerDownLeft mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight
    browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff
    cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight tongueOut""".split()
)


def both_sides(**values: float) -> dict[str, float]:
    """Expands names without a side, such as browDown, to the left and the right unit; full names stay.

    Raises:
        ValueError: a name is neither a unit nor one without its side.
    """
    units = {}
    for name, value in values.items():
        names = (name,) if name in EXPRESSION_NAMES else (f"{name}Left", f"{name}Right")
        if not set(names) <= set(EXPRESSION_NAMES):
            raise ValueError(f"{name} is no expression unit")
        units |= dict.fromkeys(names, value)
    return units


def mirrored_name(name: str) -> str:
    """Returns the expression of the other side of the face; the same name where it has no side."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name
