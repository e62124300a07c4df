"""The worker as Blender sees it: which Python runs it, one client, who is told of each event, what went wrong last."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.process.client import Event, WorkerClient, resident_megabytes
from . import environment
from .preferences import preferences

ROOT = Path(__file__).resolve().parents[2]
_FINAL = ("result", "error", "superseded", "cancelled", "died")


@dataclass
class Problem:
    """What went wrong last, and what to do about it."""

    message: str = ""
    remedy: str = ""


@dataclass
class Job:
    """A long request that the panels show.

    Attributes:
        request_id: the client's number for it.
        title: what it does.
        fraction: 0 to 1.
        message: what it is doing now.
        outcome: its final event, once there.
    """

    request_id: int
    title: str
    fraction: float = 0.0
    message: str = ""
    outcome: Event | None = None


problem = Problem()
_client: WorkerClient | None = None
_listeners: dict[int, Callable[[Event], None]] = {}
_job: Job | None = None


def find_interpreter() -> str | None:
    """The Python that runs the backend: the preference, the managed environment, or the running one if it has torch."""
    chosen = preferences()
    if chosen is not None and chosen.interpreter:
        return bpy.path.abspath(chosen.interpreter)
    if environment.is_installed():
        return str(environment.environment_python())
    return sys.executable if _carried_library() else None


@lru_cache(maxsize=1)
def _carried_library() -> str:
    """Where Blender's own Python finds torch, which a zip for one platform carries: the worker must be told; empty where it does not."""
    found = find_spec("torch")
    return str(Path(found.origin).parent.parent) if found is not None and found.origin else ""


def missing_reason() -> str:
    """Why the backend cannot be used at all; empty when it can."""
    interpreter = find_interpreter()
    if interpreter is None:
        return "No Python with PyTorch: press Install Backend in the add-on's preferences, or choose a Python there"
    if not Path(interpreter).is_file():
        return f"The backend's Python does not exist: {interpreter}"
    return ""


def start() -> WorkerClient:
    """Starts the worker if it does not run; a change of interpreter replaces it.

    Raises:
        UserError: there is no Python to run it, or it cannot be started.
    """
    global _client
    interpreter = find_interpreter()
    if interpreter is None:
        raise UserError(
            "The backend is not installed.",
            "Press Install Backend in the add-on's preferences, or choose a Python with PyTorch.",
        )
    if _client is not None and _client.interpreter != interpreter:
        stop()
    if _client is None:
        library = _carried_library() if interpreter == sys.executable else ""
        _client = WorkerClient(interpreter, ROOT, environment.user_folder("logs"), library)
    _client.start()
    return _client


def stop() -> None:
    """Ends the worker; open requests end as died."""
    global _client
    if _client is not None:
        _client.stop()
        pump()
        _client = None


def state() -> str:
    """`stopped`, `starting`, `ready`, `died` or `failed`."""
    return _client.state if _client is not None else "stopped"


def device() -> str:
    """What the worker computes on, once it has said so."""
    return _client.device if _client is not None else ""


def worker_pid() -> int | None:
    """The worker's process id, or None."""
    return _client.pid if _client is not None else None


def worker_memory() -> float | None:
    """Memory that the worker holds, MB, looked up every two seconds at most; None when it does not run or the system does not say."""
    pid = worker_pid()
    return _memory_of(pid, int(time.monotonic() / 2)) if pid is not None else None


@lru_cache(maxsize=1)
def _memory_of(pid: int, _moment: int) -> float | None:
    return resident_megabytes(pid)


def request(
    name: str,
    parameters: Mapping,
    arrays: Mapping[str, np.ndarray],
    listener: Callable[[Event], None] | None = None,
    latest_of: str | None = None,
) -> int:
    """Sends a request; its events go to the listener from `pump`.

    Raises:
        UserError: the worker cannot be started.
    """
    number = start().request(name, parameters, arrays, latest_of)
    if listener is not None:
        _listeners[number] = listener
    return number


def pump() -> None:
    """Hands the worker's news to those who asked; never waits."""
    if _client is None:
        return
    for event in _client.poll():
        if event.kind in ("error", "died"):
            report_problem(event.message, event.remedy)
        listener = _listeners.get(event.request_id)
        if event.kind in _FINAL:
            _listeners.pop(event.request_id, None)
        if listener is not None:
            listener(event)


def ask(
    name: str, parameters: Mapping, arrays: Mapping[str, np.ndarray], progress=None, timeout: float = 1800.0
) -> Event:
    """Sends a request and waits for its result, for scripts and background use.

    Args:
        progress: called with (fraction, message), or None.
        timeout: seconds.

    Returns:
        The result.

    Raises:
        UserError: the worker reported an error, died, or cannot be started.
    """
    client = start()
    try:
        event = client.wait(client.request(name, parameters, arrays), timeout, progress)
    except TimeoutError as error:
        raise UserError(
            f"The backend did not answer: {error}.", "Press Stop in the Backend panel and try again."
        ) from error
    return require_result(event)


def require_result(event: Event) -> Event:
    """Turns a final event that is not a result into the error that it carries.

    Raises:
        UserError: it is an error, a death or a cancellation.
    """
    if event.kind == "result":
        return event
    if event.kind == "cancelled":
        raise UserError("Cancelled.")
    report_problem(event.message, event.remedy)
    raise UserError(event.message or f"The request was {event.kind}.", event.remedy)


def begin_job(title: str, name: str, parameters: Mapping, arrays: Mapping[str, np.ndarray]) -> Job:
    """Sends a long request whose progress the panels show; one at a time.

    Raises:
        UserError: another job is under way, or the worker cannot be started.
    """
    global _job
    if running_job() is not None:
        raise UserError("Another job is under way.", "Wait for it, or cancel it in the Backend panel.")
    job = Job(0, title, message="Starting the backend")

    def follow(event: Event) -> None:
        if event.kind == "progress":
            job.fraction, job.message = event.fraction, event.message
        elif event.kind in _FINAL:
            job.outcome = event

    job.request_id = request(name, parameters, arrays, follow)
    _job = job
    return job


def running_job() -> Job | None:
    """The job under way, or None."""
    return _job if _job is not None and _job.outcome is None else None


def is_busy() -> bool:
    """Whether news of the worker is to be expected."""
    return bool(_listeners) or state() == "starting"


def status() -> tuple:
    """What the panels show, to see whether it has changed."""
    job = running_job()
    shown = (job.title, round(job.fraction, 2), job.message) if job is not None else ()
    memory = worker_memory()
    return state(), device(), problem.message, problem.remedy, shown, memory and round(memory, -2)


def cancel_job() -> None:
    """Asks the worker to give the running job up."""
    if running_job() is not None and _client is not None and _job is not None:
        _job.message = "Cancelling"
        _client.cancel(_job.request_id)


def report_problem(message: str, remedy: str) -> None:
    """Notes what went wrong, for the Backend panel."""
    problem.message, problem.remedy = message, remedy


def clear_problem() -> None:
    """Forgets what went wrong last."""
    report_problem("", "")
