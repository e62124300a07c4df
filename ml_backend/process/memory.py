"""Tells how much memory a process holds, on every system."""

import os
import subprocess
import sys
from pathlib import Path


def resident_megabytes(pid: int) -> float | None:
    """Returns the memory that a process holds in MB, or None where the system does not tell.

    Args:
        pid: a process of this user's.
    """
    try:
        if sys.platform == "linux":
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        if sys.platform == "darwin":
            listed = subprocess.run(
                ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
            )
            return int(listed.stdout) / 1024
        return _resident_megabytes_on_windows(pid)
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):  # it may have just ended
        return None


def _resident_megabytes_on_windows(pid: int) -> float | None:
    import ctypes
    from ctypes import wintypes

    names = (
        "peak",
        "resident",
        "peak_paged",
        "paged",
        "peak_nonpaged",
        "nonpaged",
        "pagefile",
        "peak_pagefile",
    )
    fields = [
        ("size", wintypes.DWORD),
        ("faults", wintypes.DWORD),
        *((name, ctypes.c_size_t) for name in names),
    ]
    counters = type("Counters", (ctypes.Structure,), {"_fields_": fields})()
    counters.size = ctypes.sizeof(counters)
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = kernel.OpenProcess(0x1000, False, pid)  # may ask for its figures, no more
    if not handle:
        return None
    try:
        query = kernel.K32GetProcessMemoryInfo
        query.argtypes = [wintypes.HANDLE, ctypes.c_void_p, wintypes.DWORD]
        return counters.resident / 2**20 if query(handle, ctypes.byref(counters), counters.size) else None
    finally:
        kernel.CloseHandle(wintypes.HANDLE(handle))
