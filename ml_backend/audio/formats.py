"""The endings of the recordings and films whose sound is read; the content counts, not the ending."""

SOUND_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".caf", ".au", ".w64",
    ".rf64", ".bwf", ".m4a", ".m4b", ".aac", ".ac3", ".wma", ".mka",
)  # fmt: skip
FILM_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
AUDIO_SUFFIXES = SOUND_SUFFIXES + FILM_SUFFIXES
