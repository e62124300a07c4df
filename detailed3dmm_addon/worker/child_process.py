"""Child processes that end with their own children."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO


def start_child(command: Sequence[str], variables: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen:
    """Starts a process in a group of its own; its output goes to a log.

    Args:
        command: the program and its arguments.
        variables: environment variables.
        log: receives standard output and errors.

    Raises:
        OSError: the program cannot be started.
    """
    return subprocess.Popen(
        command,
        cwd=tempfile.gettempdir(),
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def end_tree(process: subprocess.Popen) -> None:
    """Ends a process of `start_child` and every process that it has started, and waits for it."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):  # the whole group has ended
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(process.pid)],
            capture_output=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            check=False,
        )
        process.kill()
    process.wait()
