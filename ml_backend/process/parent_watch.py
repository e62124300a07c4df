"""Ends a process together with the one that started it, however that one ended."""

import os
import threading

WATCH_VARIABLE = "DETAILED3DMM_ENDS_WITH_PARENT"
_STANDARD_INPUT = 0


def end_with_parent() -> None:
    """Ends this process at once when the other end of its standard input closes.

    It does so only where the process that started it set DETAILED3DMM_ENDS_WITH_PARENT, gave it a pipe as
    standard input, and writes nothing into it. The pipe closes whenever that process ends, also when it is
    killed.
    """
    if os.environ.pop(WATCH_VARIABLE, ""):
        threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(_STANDARD_INPUT, 4096):  # not sys.stdin, whose lock would still be held at the normal end
        pass
    os._exit(1)
