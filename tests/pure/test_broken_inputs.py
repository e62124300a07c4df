"""Broken files of every kind: each is refused by name with a remedy, or read as finite values.

60 of each here; `D3DMM_BROKEN_INPUTS=1000` or `python tests/pure/broken_files.py all --count 1000` tries
more.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from broken_files import READERS

COUNT = os.environ.get("D3DMM_BROKEN_INPUTS", "60")


@pytest.mark.parametrize("reader", READERS)
def test_every_broken_file_is_refused_by_name_or_read_as_sound_values(reader):
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(Path(__file__).with_name("broken_files.py")),
        reader,
        "--count",
        COUNT,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=1800, check=False
    )
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    assert f"{reader}: {COUNT} broken files, 0 faults" in done.stdout
