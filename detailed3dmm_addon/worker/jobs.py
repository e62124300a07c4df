"""The worker as Blender sees it: one session with its client, listeners, running job and last problem."""

import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.process.client import Event, WorkerClient
from ...ml_backend.process.memory import resident_megabytes
from . import environment, interpreter

ROOT = Path(__file__).resolve().parents[2]
Result = TypeVar("Result")
JobRequest = tuple[str, str, dict, dict]
"""Title, name of the request, parameters, arrays."""
JobSteps = Generator[JobRequest, Event, Result]
"""Steps of a job: requests are yielded, the worker's results are sent in, the last step returns."""
_FINAL = ("result", "error", "superseded", "cancelled", "died")


@dataclass
class Problem:
    """The last error and its remedy."""

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


class WorkerSession:
    """One worker, the functions that its events go to, the job under way and the last problem."""

    def __init__(self) -> None:
        self.problem = Problem()
        self.job: Job | None = None
        self._client: WorkerClient | None = None
        self._listeners: dict[int, Callable[[Event], None]] = {}

    def start(self) -> WorkerClient:
        """Starts the worker if it does not run; a change of interpreter replaces it.

        Raises:
            UserError: there is no Python to run it, or it cannot be started.
        """
        python = interpreter.find_interpreter()
        if python is None:
            raise UserError(
                "The backend is not installed.",
                "Press Install Backend in the add-on's preferences, or choose a Python with PyTorch.",
            )
        if self._client is not None and self._client.interpreter != python:
            self.stop()
        if self._client is None:
            library = interpreter.bundled_library() if python == sys.executable else ""
            self._client = WorkerClient(python, ROOT, environment.user_folder("logs"), library)
        self._client.start()
        return self._client

    def stop(self) -> None:
        """Ends the worker; open requests end as died."""
        if self._client is not None:
            self._client.stop()
            self.pump()
            self._client = None

    def state(self) -> str:
        """Returns `stopped`, `starting`, `ready`, `died` or `failed`."""
        return self._client.state if self._client is not None else "stopped"

    def device(self) -> str:
        """Returns the name of the device that the worker computes on, empty until it is ready."""
        return self._client.device if self._client is not None else ""

    def worker_pid(self) -> int | None:
        """Returns the worker's process id, or None."""
        return self._client.pid if self._client is not None else None

    def worker_memory(self) -> float | None:
        """Returns the memory of the worker in MB, looked up every two seconds at most.

        None where it does not run or the system does not tell.
        """
        pid = self.worker_pid()
        return _memory_of(pid, int(time.monotonic() / 2)) if pid is not None else None

    def request(
        self,
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
        number = self.start().request(name, parameters, arrays, latest_of)
        if listener is not None:
            self._listeners[number] = listener
        return number

    def pump(self) -> None:
        """Hands the worker's events to their listeners; never waits."""
        if self._client is None:
            return
        for event in self._client.poll():
            if event.kind in ("error", "died"):
                self.report_problem(event.message, event.remedy)
            listener = self._listeners.get(event.request_id)
            if event.kind in _FINAL:
                self._listeners.pop(event.request_id, None)
            if listener is not None:
                listener(event)

    def ask(
        self,
        name: str,
        parameters: Mapping,
        arrays: Mapping[str, np.ndarray],
        progress: Callable[[float, str], None] | None = None,
        timeout: float = 1800.0,
    ) -> Event:
        """Sends a request and waits for its result, for scripts and background use.

        Args:
            name: of the request.
            parameters: JSON values.
            arrays: by name.
            progress: called with (fraction, message), or None.
            timeout: seconds.

        Returns:
            The result.

        Raises:
            UserError: the worker reported an error, died, or cannot be started.
        """
        client = self.start()
        try:
            event = client.wait(client.request(name, parameters, arrays), timeout, progress)
        except TimeoutError as error:
            raise UserError(
                f"The backend did not answer: {error}.", "Press Stop in the Backend panel and try again."
            ) from error
        return self.require_result(event)

    def require_result(self, event: Event) -> Event:
        """Turns a final event that is not a result into the error that it carries.

        Raises:
            UserError: it is an error, a death or a cancellation.
        """
        if event.kind == "result":
            return event
        if event.kind == "cancelled":
            raise UserError("Cancelled.")
        self.report_problem(event.message, event.remedy)
        raise UserError(event.message or f"The request was {event.kind}.", event.remedy)

    def begin_job(self, title: str, name: str, parameters: Mapping, arrays: Mapping[str, np.ndarray]) -> Job:
        """Sends a long request whose progress the panels show; one at a time.

        Raises:
            UserError: another job is under way, or the worker cannot be started.
        """
        if self.running_job() is not None:
            raise UserError("Another job is under way.", "Wait for it, or cancel it in the Backend panel.")
        job = Job(0, title, message="Starting the backend")

        def follow(event: Event) -> None:
            if event.kind == "progress":
                job.fraction = event.fraction
                job.message = event.message
            elif event.kind in _FINAL:
                job.outcome = event

        job.request_id = self.request(name, parameters, arrays, follow)
        self.job = job
        return job

    def running_job(self) -> Job | None:
        """Returns the job under way, or None."""
        return self.job if self.job is not None and self.job.outcome is None else None

    def cancel_job(self) -> None:
        """Asks the worker to give the running job up."""
        job = self.running_job()
        if job is not None and self._client is not None:
            job.message = "Cancelling"
            self._client.cancel(job.request_id)

    def is_busy(self) -> bool:
        """Tells whether events of the worker are to be expected."""
        return bool(self._listeners) or self.state() == "starting"

    def status(self) -> tuple:
        """Returns the values that the panels show, to see whether they have changed."""
        job = self.running_job()
        shown = (job.title, round(job.fraction, 2), job.message) if job is not None else ()
        memory = self.worker_memory()
        problem = (self.problem.message, self.problem.remedy)
        return self.state(), self.device(), problem, shown, memory and round(memory, -2)

    def report_problem(self, message: str, remedy: str) -> None:
        """Keeps an error for the Backend panel."""
        self.problem.message = message
        self.problem.remedy = remedy

    def clear_problem(self) -> None:
        """Forgets the last error."""
        self.report_problem("", "")


@lru_cache(maxsize=1)
def _memory_of(pid: int, _moment: int) -> float | None:
    return resident_megabytes(pid)


session = WorkerSession()
"""The session of this Blender; the functions below are its own."""

problem = session.problem
start = session.start
stop = session.stop
state = session.state
device = session.device
worker_pid = session.worker_pid
worker_memory = session.worker_memory
request = session.request
pump = session.pump
ask = session.ask
require_result = session.require_result
begin_job = session.begin_job
running_job = session.running_job
cancel_job = session.cancel_job
is_busy = session.is_busy
status = session.status
report_problem = session.report_problem
clear_problem = session.clear_problem
missing_reason = interpreter.missing_reason
