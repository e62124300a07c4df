"""The languages whose transcripts are read by their own spelling."""

from ...errors import UserError
from .french import FRENCH
from .german import GERMAN
from .italian import ITALIAN
from .portuguese import PORTUGUESE
from .rules import Spelling
from .spanish import SPANISH

LANGUAGES = {"de": GERMAN, "fr": FRENCH, "es": SPANISH, "it": ITALIAN, "pt": PORTUGUESE}
"""By their code of ISO 639-1."""


ENGLISH = "en"
TRANSCRIPT_LANGUAGES = (ENGLISH, *LANGUAGES)
"""English is read by the aligner's dictionary."""


def spelling_of(language: str) -> Spelling:
    """Returns the spelling of a language by its code.

    Raises:
        UserError: there is no table for it.
    """
    if language not in LANGUAGES:
        raise UserError(
            f"{language}: no language whose spelling is known.",
            f"Choose of {', '.join(TRANSCRIPT_LANGUAGES)}.",
        )
    return LANGUAGES[language]
