"""Starts, asks and stops the worker: the only part of the backend that Blender talks to.

One child process and its pipes; no port. No call waits for the child: a thread writes the requests, and
answers are read as they arrive. Blender calls `poll` from a timer; the shell and tests call `wait`. The
child's standard error goes to a log file whose last lines explain its death.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..asset_files import assets_environment
from ..errors import UserError
from .pipes import PipeWriter, read_available
from .protocol import PROTOCOL_VERSION, Decoder, Message, ProtocolError, encode

_FINAL = {"result", "error", "superseded", "cancelled", "died"}
_FROM_WORKER = {"ready", "progress", "result", "error", "superseded", "cancelled"}
_READ_SECONDS = 0.05
"""Time that one poll reads for: a long answer is taken in several polls."""
_HIDDEN_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE")


@dataclass(frozen=True)
class Event:
    """An event of the worker.

    Attributes:
        kind: `ready`, `progress`, `result`, `error`, `superseded`, `cancelled` or `died`.
        request_id: the request it belongs to; 0 for the worker as a whole.
        fraction: of a job done, 0 to 1.
        message: for people.
        remedy: for an error, a sentence for people.
        parameters: JSON values of a result.
        arrays: arrays of a result.
    """

    kind: str
    request_id: int = 0
    fraction: float = 0.0
    message: str = ""
    remedy: str = ""
    parameters: dict = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class WorkerClient:
    """A worker process and the requests that are under way in it."""

    def __init__(self, interpreter: str | None, root: str | Path, log_folder: str | Path, library: str = ""):
        """Prepares a worker without starting it.

        Args:
            interpreter: a Python that has torch; None for the running one.
            root: the folder that holds `ml_backend`.
            log_folder: where `worker.log` goes; made if it is missing.
            library: a folder of packages that the interpreter does not know by itself.
        """
        self.library = library
        self.interpreter = interpreter or sys.executable
        self.root = Path(root)
        self.log_path = Path(log_folder) / "worker.log"
        self.state = "stopped"
        self.device = ""
        self.description: dict = {}
        self._process: subprocess.Popen | None = None
        self._writer: PipeWriter | None = None
        self._decoder = Decoder()
        self._next_id = 1
        self._open: set[int] = set()
        self._events: list[Event] = []

    def start(self) -> None:
        """Starts the process, unless it runs already.

        Raises:
            UserError: the interpreter is missing or cannot be started.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self._drop_open_requests("The worker was started again.")
        environment = {name: value for name, value in os.environ.items() if name not in _HIDDEN_VARIABLES}
        environment |= {"PYTHONPATH": self.library} if self.library else {}
        environment |= assets_environment()  # its folder is another one: a relative name would change
        environment["PYTHONUNBUFFERED"] = "1"
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        try:
            self.log_path.parent.mkdir(parents=True, exist_ok=True)
            with self.log_path.open("wb") as log:
                self._process = subprocess.Popen(
                    [self.interpreter, "-m", "ml_backend", "worker"],
                    cwd=self.root,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    bufsize=0,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except OSError as error:
            self.state = "failed"
            raise UserError(
                f"{self.interpreter}: the backend's Python cannot be started ({error.strerror or error}).",
                "Choose a Python that has PyTorch in the add-on's preferences, "
                "or press Install Backend there.",
            ) from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._writer = PipeWriter(self._process.stdin)
        if os.name == "posix":
            os.set_blocking(self._process.stdout.fileno(), False)
        self._decoder = Decoder()
        self.state = "starting"

    def request(
        self,
        name: str,
        parameters: Mapping | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
        latest_of: str | None = None,
    ) -> int:
        """Sends a request; the worker is started if it does not run.

        Args:
            name: a name of `process.handlers.HANDLERS`.
            parameters: JSON values.
            arrays: arrays by name.
            latest_of: a key; requests with the same key that have not begun are given up in favour of this
                one.

        Returns:
            The request's id, which its events carry.

        Raises:
            UserError: the worker cannot be started.
        """
        self.start()
        number = self._next_id
        self._next_id += 1
        self._open.add(number)
        body = {"name": name, "parameters": dict(parameters or {}), "latest_of": latest_of}
        self._send(Message("request", number, body, dict(arrays or {})))
        return number

    def cancel(self, request_id: int) -> None:
        """Asks the worker to give a request up; a `cancelled` event follows unless it was done already."""
        if request_id in self._open and self._process is not None:
            self._send(Message("cancel", request_id))

    def poll(self) -> list[Event]:
        """Returns the events since the last call, without waiting."""
        process = self._process
        if process is not None:
            ended = process.poll() is not None
            self._read(time.monotonic() + _READ_SECONDS)
            if ended and self._process is process:
                self._read(float("inf"))
            if ended and self._process is process:
                self._report_death(f"The worker ended unexpectedly (status {process.returncode}).")
        events = self._events
        self._events = []
        return events

    def wait(self, request_id: int, timeout: float = 600.0, on_progress=None) -> Event:
        """Waits for a request's end; other requests' events are kept for `poll`.

        Args:
            request_id: from `request`.
            timeout: seconds.
            on_progress: called with (fraction, message), or None.

        Returns:
            The final event: `result`, `error`, `superseded`, `cancelled` or `died`.

        Raises:
            TimeoutError: the request did not end in time.
        """
        kept: list[Event] = []
        limit = time.monotonic() + timeout
        try:
            while time.monotonic() < limit:
                events = self.poll()
                for index, event in enumerate(events):
                    if event.request_id != request_id:
                        kept.append(event)
                    elif event.kind in _FINAL:
                        kept += events[index + 1 :]
                        return event
                    elif on_progress is not None and event.kind == "progress":
                        on_progress(event.fraction, event.message)
                time.sleep(0.002)
        finally:
            self._events = kept + self._events
        raise TimeoutError(f"request {request_id} took more than {timeout:g} s")

    def stop(self, patience: float = 2.0) -> None:
        """Ends the worker; open requests get a `died` event."""
        process = self._process
        if process is not None:
            if process.poll() is None:
                self._send(Message("stop"))
                try:
                    process.wait(patience)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            self._drop_open_requests("The worker was stopped.")
        self.state = "stopped"

    def log_tail(self, lines: int = 12) -> str:
        """Returns the last lines of the worker's log."""
        try:
            text = self.log_path.read_text("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    @property
    def pid(self) -> int | None:
        """The process id, or None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def _send(self, message: Message) -> None:
        if self._writer is not None:
            self._writer.put(encode(message))

    def _read(self, limit: float) -> None:
        """Takes the bytes that have arrived.

        Args:
            limit: moment (seconds, monotonic) after which the rest is left to the next call.
        """
        process = self._process
        if process is None or process.stdout is None:
            return
        while time.monotonic() < limit and (data := read_available(process.stdout.fileno())):
            try:
                for message in self._decoder.feed(data):
                    self._take(message)
            except ProtocolError as error:
                process.kill()
                process.wait()
                self._report_death(f"The worker sent something unreadable: {error}.")
                return

    def _take(self, message: Message) -> None:
        values = message.parameters
        if message.kind == "hello":
            if values.get("protocol") != PROTOCOL_VERSION:
                self.state = "failed"
                self._events.append(
                    Event(
                        "error",
                        message="The worker speaks another protocol version.",
                        remedy="Reinstall the extension.",
                    )
                )
            return
        event = _event_of(message)
        if event.kind == "ready":
            self.state = "ready"
            self.device = str(values.get("device", ""))
            self.description = values
        if event.kind in _FINAL:
            self._open.discard(event.request_id)
        self._events.append(event)

    def _report_death(self, why: str) -> None:
        """Reports the death of the process to every open request."""
        tail = self.log_tail(5)
        remedy = "Try again: the next request starts a new one." + (
            f" Its last words:\n{tail}" if tail else ""
        )
        died = [Event("died", number, message=why, remedy=remedy) for number in sorted(self._open)]
        self._close()
        self._events += died or [Event("died", 0, message=why, remedy=remedy)]
        self.state = "died"

    def _drop_open_requests(self, why: str) -> None:
        self._events += [
            Event("died", number, message=why, remedy="Try again.") for number in sorted(self._open)
        ]
        self._close()

    def _close(self) -> None:
        self._open.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None


def _event_of(message: Message) -> Event:
    """Turns a message of the worker into an event.

    Raises:
        ProtocolError: its kind is not a worker's, or its share done is no number.
    """
    values = message.parameters
    fraction = values.get("fraction", 0.0)
    if message.kind not in _FROM_WORKER or type(fraction) not in (int, float):
        raise ProtocolError(f"a message of the kind {message.kind!r} with the share {fraction!r}")
    return Event(
        message.kind,
        message.id,
        float(fraction),
        str(values.get("message", "")),
        str(values.get("remedy", "")),
        values,
        message.arrays,
    )
