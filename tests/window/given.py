"""The session's arguments after `--`: the zip, the worker's Python, the folder of results, the steps."""

import sys
from pathlib import Path

MODULE = "bl_ext.user_default.detailed3dmm"
ARCHIVE, INTERPRETER, OUT, *STEPS = sys.argv[sys.argv.index("--") + 1 :]
RECORDING = Path(__file__).resolve().parents[2] / "ml_backend" / "assets" / "demo_speech.wav"
