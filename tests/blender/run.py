"""Runs the Blender tests in this process's bpy, and leaves with their true status.

    D3DMM_WORKER_PYTHON=/path/to/python/with/torch  python tests/blender/run.py [pytest arguments]

The extension is enabled by its true name from a throw-away user folder. A process that leaves with its
classes still registered hangs in 4.5 and crashes in 4.2: so everything is taken back, and the process ends by
`os._exit`. A run of all tests leaves its results in build/results, for `python -m tools.version_matrix`.
"""

import os
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

TIME_LIMIT = float(os.environ.get("D3DMM_TEST_SECONDS", "3300"))
MODULE = "bl_ext.user_default.detailed3dmm"
ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Enables the extension, runs pytest, disables it."""
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory(prefix="d3dmm-blender-") as folder:
        os.environ["BLENDER_USER_RESOURCES"] = folder
        place = Path(folder) / "extensions" / "user_default"
        place.mkdir(parents=True)
        (place / "detailed3dmm").symlink_to(ROOT, target_is_directory=True)
        import bpy
        import pytest

        print(f"Blender {bpy.app.version_string}", flush=True)
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        bpy.ops.preferences.addon_enable(module=MODULE)
        if MODULE not in bpy.context.preferences.addons:
            return 3
        results = ROOT / "build" / "results" / f"blender-{bpy.app.version[0]}.{bpy.app.version[1]}.xml"
        arguments = sys.argv[1:] or [
            str(Path(__file__).parent),
            f"--junitxml={results}",
            f"--override-ini=junit_suite_name={_worker_name()}",
        ]
        status = int(
            pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), "--durations=8", *arguments])
        )
        bpy.ops.preferences.addon_disable(module=MODULE)
        return status


def _worker_name() -> str:
    """The name of the results' suite: it says which Python the worker is, for the matrix of versions."""
    worker = os.environ.get("D3DMM_WORKER_PYTHON", sys.executable)
    ask = [worker, "-c", "import platform; print(*platform.python_version_tuple()[:2], sep='.')"]
    return f"worker Python {subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()}"


def _run_out() -> None:
    print(f"error: the Blender tests took more than {TIME_LIMIT:g} s", file=sys.stderr, flush=True)
    os._exit(124)


if __name__ == "__main__":
    watchdog = threading.Timer(TIME_LIMIT, _run_out)
    watchdog.daemon = True
    watchdog.start()
    try:
        exit_status = main()
    except BaseException:
        traceback.print_exc()
        exit_status = 4
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_status)
