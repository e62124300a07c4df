"""The worker process: reads requests from its standard input, runs pipelines, writes events to its standard output.

Two lanes: short requests (slider drags) never wait behind long jobs. Requests with the same `latest_of` key
that have
not begun are dropped in favour of the newest. When the other end of the pipe closes, the process ends.
"""

import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from ..errors import UserError
from .protocol import PROTOCOL_VERSION, Decoder, Message, ProtocolError, encode

LONG_REQUESTS = ("animate", "bake_detail", "invert", "fit_from_image")


class Cancelled(Exception):
    """Raised inside a job once its cancellation was asked for."""


@dataclass
class Job:
    """A request that waits or runs."""

    message: Message
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def latest_of(self) -> str | None:
        return self.message.parameters.get("latest_of")


class Worker:
    """Dispatches requests to pipelines; `handlers` map a request's name to a function of (Message, Job context)."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, handlers: dict[str, Callable]):
        """Prepares the worker.

        Args:
            source: where requests come from, unbuffered.
            sink: where events go.
            handlers: by request name: (parameters, arrays, progress, cancelled) -> (parameters, arrays).
        """
        self._source, self._sink, self._handlers = source, sink, handlers
        self._write_lock = threading.Lock()
        self._lock = threading.Lock()
        self._lanes = {"short": queue.Queue(), "long": queue.Queue()}
        self._jobs: dict[int, Job] = {}

    def run(self, describe: Callable[[], dict]) -> None:
        """Serves until the source ends or a `stop` arrives.

        Args:
            describe: what to say once ready (loads the heavy libraries): device, versions.
        """
        self.send(
            Message(
                "hello",
                0,
                {"protocol": PROTOCOL_VERSION, "pid": os.getpid(), "python": sys.version.split()[0]},
            )
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.send(Message("ready", 0, describe()))
        threading.Thread(target=self._work, args=(self._lanes["long"],), daemon=True).start()
        self._work(self._lanes["short"])

    def send(self, message: Message) -> None:
        """Writes one message, whole."""
        with self._write_lock:
            for piece in encode(message):
                self._sink.write(piece)
            self._sink.flush()

    def _listen(self) -> None:
        decoder = Decoder()
        try:
            while data := self._source.read(2**16):
                for message in decoder.feed(data):
                    self._accept(message)
        except ProtocolError as error:
            print(f"worker: {error}", file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)  # Blender has gone: nobody is left to work for

    def _accept(self, message: Message) -> None:
        if message.kind == "stop":
            os._exit(0)
        if message.kind == "cancel":
            with self._lock:
                job = self._jobs.get(message.id)
            if job is not None:
                job.cancelled.set()
            return
        job = Job(message)
        lane = self._lanes["long" if message.parameters.get("name") in LONG_REQUESTS else "short"]
        with self._lock:
            self._jobs[message.id] = job
            superseded = []
            if job.latest_of is not None:
                with lane.mutex:
                    superseded = [other for other in lane.queue if other.latest_of == job.latest_of]
                    for other in superseded:
                        lane.queue.remove(other)
        for other in superseded:
            self._finish(other, Message("superseded", other.message.id))
        lane.put(job)

    def _work(self, lane: queue.Queue) -> None:
        while True:
            job = lane.get()
            self._finish(job, self._answer(job))

    def _finish(self, job: Job, message: Message) -> None:
        with self._lock:
            self._jobs.pop(job.message.id, None)
        self.send(message)

    def _answer(self, job: Job) -> Message:
        number, body = job.message.id, job.message.parameters

        def progress(fraction: float, text: str) -> None:
            if job.cancelled.is_set():
                raise Cancelled
            self.send(Message("progress", number, {"fraction": float(fraction), "message": text}))

        try:
            if job.cancelled.is_set():
                raise Cancelled
            handler = self._handlers.get(body.get("name", ""))
            if handler is None:
                raise UserError(
                    f"The worker has no request named {body.get('name')!r}.", "Reinstall the extension."
                )
            parameters, arrays = handler(
                body.get("parameters", {}), job.message.arrays, progress, job.cancelled.is_set
            )
            if job.cancelled.is_set():
                raise Cancelled
            return Message("result", number, parameters, arrays)
        except Cancelled:
            return Message("cancelled", number)
        except UserError as error:
            return Message("error", number, {"message": error.message, "remedy": error.remedy})
        except Exception as error:  # a fault of ours must reach the user's eyes, and the worker must live on
            traceback.print_exc(file=sys.stderr)
            sys.stderr.flush()
            remedy = "This is a fault of the backend; its log holds the details."
            return Message("error", number, {"message": f"{type(error).__name__}: {error}", "remedy": remedy})


def private_standard_output() -> BinaryIO:
    """Keeps standard output for the protocol alone: whatever a library prints goes to the log instead."""
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return channel
