"""The worker process: reads requests from standard input, runs pipelines, writes events to standard output.

Two lanes: short requests (slider drags) never wait behind long jobs. Of the requests with the same
`latest_of` key that have not begun, only the newest is kept. One thread reads and never writes, another one
writes: a client that reads slowly can still send requests. When the other end of the pipe closes, the
process ends.
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

LONG_REQUESTS = ("animate", "bake_detail", "invert", "fit_from_image", "track_video", "live_stop")


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
    """Dispatches requests to the handlers of their names."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, handlers: dict[str, Callable]):
        """Prepares the worker.

        Args:
            source: where requests come from, unbuffered.
            sink: where events go.
            handlers: by request name: (parameters, arrays, progress) -> (parameters, arrays). `progress`
                raises `Cancelled` once the request was given up: the only way in which a job is cancelled.
        """
        self._source = source
        self._sink = sink
        self._handlers = handlers
        self._outgoing: queue.SimpleQueue[list[bytes | memoryview]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._lanes = {"short": queue.Queue(), "long": queue.Queue()}
        self._jobs: dict[int, Job] = {}

    def run(self, describe: Callable[[], dict]) -> None:
        """Serves until the source ends or a `stop` arrives.

        Args:
            describe: loads the heavy libraries and returns device and versions for the `ready` message.
        """
        threading.Thread(target=self._write, daemon=True).start()
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
        """Leaves one message to the writing thread; never waits for the client."""
        self._outgoing.put(encode(message))

    def _write(self) -> None:
        try:
            while True:
                for piece in self._outgoing.get():
                    self._sink.write(piece)
                self._sink.flush()
        except OSError:  # the client has gone
            os._exit(0)

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
            self._finish(other, encode(Message("superseded", other.message.id)))
        lane.put(job)

    def _work(self, lane: queue.Queue) -> None:
        while True:
            job = lane.get()
            self._finish(job, self._answer(job))

    def _finish(self, job: Job, answer: list[bytes | memoryview]) -> None:
        with self._lock:
            self._jobs.pop(job.message.id, None)
        self._outgoing.put(answer)

    def _answer(self, job: Job) -> list[bytes | memoryview]:
        number = job.message.id
        body = job.message.parameters

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
            parameters, arrays = handler(body.get("parameters", {}), job.message.arrays, progress)
            if job.cancelled.is_set():
                raise Cancelled
            return encode(Message("result", number, parameters, arrays))
        except Cancelled:
            return encode(Message("cancelled", number))
        except UserError as error:
            return encode(Message("error", number, {"message": error.message, "remedy": error.remedy}))
        except Exception as error:  # a fault must be reported, and the worker must go on
            traceback.print_exc(file=sys.stderr)
            sys.stderr.flush()
            remedy = "This is a fault of the backend; its log holds the details."
            message = f"{type(error).__name__}: {error}"
            return encode(Message("error", number, {"message": message, "remedy": remedy}))


def private_standard_output() -> BinaryIO:
    """Returns standard output for the protocol alone; text that a library prints goes to the log."""
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return channel
