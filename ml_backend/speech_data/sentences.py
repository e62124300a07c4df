"""Sentences for the synthesisers, public domain, rich in bilabials, numbers and pauses."""

import numpy as np


def _phrases(text: str) -> list[str]:
    return [phrase.strip() for line in text.strip().splitlines() for phrase in line.split("|")]


_SUBJECTS = _phrases(
    """
    my mother|our baby brother|the old man|a brave woman|Bob and Mary|the pharmacist|every member
    the bus driver|their neighbour|Philip
    Victoria|five young people|the whole family|nobody|the blue bird|a small mouse|the professor
    my best friend|the village baker|Emma
    the captain|your father|the farmer|that beautiful puppy|the judge|Oliver|the new teacher|a famous painter
    the moon|everybody
    """
)
_VERBS = _phrases(
    """
    bought|made|moved|found|painted|believed in|dropped|borrowed|heard about|jumped over|offered|wanted|built
    left|knew|forgot|put away
    cleaned|watched|could not open|will bring|might have broken|should give back|always loved|never saw
    laughed at|showed me|pushed
    picked up|remembered
    """
)
_OBJECTS = _phrases(
    """
    a map of the valley|the broken pump|some warm bread|a very big umbrella|the five white horses
    my favourite movie|an apple pie
    the empty bottle|a paper boat|the wooden table|fresh fish and vegetables|a pair of brown boots
    the heavy box|a cup of coffee
    the morning paper|his purple jumper|the lamp above the piano|a photograph of the farm
    the voice of the river|a thousand shells
    the judgement|our future|the oil lamp|a yellow flower|the huge cathedral|two good books|the young wolf
    a measure of sugar
    the car with the leather seats|a few more problems
    """
)
_ADVERBS = _phrases(
    """
    before breakfast|on Monday morning|in the middle of February|by the sea|with both hands|after a while
    for the first time
    above the clouds|without a word|at half past seven|just now|under the bridge|in the autumn|quite slowly
    as far as possible
    every evening|near the church|once upon a time|when the rain stopped|behind the house|across the field
    during the summer|at the moment
    all over the world
    """
)
_OPENERS = _phrases(
    """
    well|perhaps|of course|oh no|by the way|maybe|in my opinion|yes|sometimes|hello|please|hmm|you know
    I believe|unfortunately
    first of all|above all
    """
)
_SHORT = _phrases(
    """
    How are you?|Thank you very much.|Wow, that was close!|What do you want me to do?
    Push the button and wait.|Who is there?|I am here.
    Good morning, everybody.|Maybe, maybe not.|Please come in.|Go away!|You have to move, now.
    Open your mouth and say ah.|I do not know.
    What a wonderful evening!|Welcome home, my boy.|Who would have thought so?|Show me the way to the pool.
    It is too far, far away.
    Do you hear me?|Be careful with the blue vase.|Move over.|Goodbye, and be well.
    """
)
_DIGITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty forty "
    "fifty ninety hundred thousand million"
).split()
_LETTERS = "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z".split()
_VOWELS = {
    "it": "a e i o u",
    "cs": "a e i o u á í ou",
    "fi": "a e i o u ä ö y aa oo uu ii",
    "ca": "a e i o u",
}
_ONSETS = {
    "it": "p b m f v t d n s r l c g sp tr br pr fr m b p mm pp bb",
    "cs": "p b m f v t d n s r l k h š č ž j př br m b p",
    "fi": "p m v t n s r l k h j m p mm pp",
    "ca": "p b m f v t d n s r l c g tr br pr m b p x",
}


def english_sentence(rng: np.random.Generator, words: tuple[str, ...] = ()) -> str:
    """Returns one sentence of 1 to about 16 words.

    Args:
        rng: decides everything.
        words: a vocabulary (a pronunciation dictionary's, say) for sentences of random words; without it none
            are made.
    """

    def pick(options):
        return options[int(rng.integers(len(options)))]

    kind = rng.random()
    if words and kind < 0.45:
        chosen = [pick(words) for _ in range(int(rng.integers(4, 11)))]
        if rng.random() < 0.5:
            chosen.insert(len(chosen) // 2, ",")
        return " ".join(chosen).replace(" ,", ",") + "."
    if kind < 0.55:
        return f"{pick(_OPENERS)}, " + ", ".join(pick(_DIGITS) for _ in range(int(rng.integers(3, 7)))) + "."
    if kind < 0.59:
        return " ".join(pick(_LETTERS) for _ in range(int(rng.integers(4, 8)))) + "."
    if kind < 0.66:
        return pick(_SHORT)
    clause = f"{pick(_SUBJECTS)} {pick(_VERBS)} {pick(_OBJECTS)}"
    if rng.random() < 0.6:
        clause += f" {pick(_ADVERBS)}"
    if rng.random() < 0.35:
        clause = f"{pick(_OPENERS)}, {clause}"
    if rng.random() < 0.25:
        clause += f", but {pick(_SUBJECTS)} {pick(_VERBS)} {pick(_OBJECTS)}"
    return clause + pick((".", ".", ".", "?", "!"))


def syllables(rng: np.random.Generator, language: str) -> str:
    """Returns pronounceable nonsense in the spelling of "it", "cs", "fi" or "ca".

    A foreign voice is another speaker for the lips.
    """
    onsets, vowels = _ONSETS[language].split(), _VOWELS[language].split()

    def syllable(first: bool) -> str:
        onset = onsets[int(rng.integers(len(onsets)))]
        return (onset[0] if first else onset) + vowels[int(rng.integers(len(vowels)))]

    words = [
        "".join(syllable(i == 0) for i in range(int(rng.integers(1, 4))))
        for _ in range(int(rng.integers(4, 11)))
    ]
    return " ".join(words[: len(words) // 2]) + ", " + " ".join(words[len(words) // 2 :]) + "."
