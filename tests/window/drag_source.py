"""Drops files on Blender's window by the XDND protocol: python3 drag_source.py X Y FILE...

X and Y are pixels of the screen from the top left. Leaves with 0 once Blender has taken the files.

Source: "Drag-and-Drop Protocol for the X Window System", version 5 (freedesktop.org).
"""

import sys
import time
from pathlib import Path

from Xlib import X, Xatom, display
from Xlib.protocol import event

WAIT_SECONDS, VERSION = 20.0, 5


class DragSource:
    """An invisible window that offers files."""

    def __init__(self, files: list[str]):
        self.display = display.Display()
        self.root = self.display.screen().root
        self.window = self.root.create_window(0, 0, 1, 1, 0, X.CopyFromParent)
        self.offer = "".join(f"{Path(file).resolve().as_uri()}\r\n" for file in files).encode()
        self.window.set_selection_owner(self.atom("XdndSelection"), X.CurrentTime)

    def atom(self, name: str) -> int:
        """A name as the server knows it."""
        return self.display.intern_atom(name)

    def aware(self, window):
        """The first window at or below one that takes drops, or None."""
        if window.get_full_property(self.atom("XdndAware"), X.AnyPropertyType) is not None:
            return window
        return next(
            (found for child in window.query_tree().children if (found := self.aware(child)) is not None),
            None,
        )

    def tell(self, target, kind: str, *numbers: int) -> None:
        """Sends the target one message of the protocol."""
        data = (self.window.id, *numbers, *([0] * (4 - len(numbers))))
        target.send_event(event.ClientMessage(window=target, client_type=self.atom(kind), data=(32, data)))
        self.display.flush()

    def until(self, kind: str) -> None:
        """Answers requests for the files until a message arrives.

        Raises:
            SystemExit: it does not arrive in time.
        """
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            if not self.display.pending_events():
                time.sleep(0.005)
                continue
            heard = self.display.next_event()
            if heard.type == X.SelectionRequest:
                self.give(heard)
            elif heard.type == X.ClientMessage and heard.client_type == self.atom(kind):
                return
        sys.exit(f"error: no {kind} within {WAIT_SECONDS:g} s")

    def give(self, request) -> None:
        """Hands over the list of files, or which kinds of lists there are."""
        kinds = {self.atom("text/uri-list"): (Xatom.STRING, 8, self.offer)}
        kinds[self.atom("TARGETS")] = (Xatom.ATOM, 32, [self.atom("text/uri-list")])
        place = request.property or request.target
        if request.target in kinds:
            kind, width, values = kinds[request.target]
            request.requestor.change_property(place, request.target if width == 8 else kind, width, values)
        else:
            place = X.NONE
        request.requestor.send_event(
            event.SelectionNotify(
                time=request.time,
                requestor=request.requestor,
                selection=request.selection,
                target=request.target,
                property=place,
            )
        )
        self.display.flush()

    def drop(self, x: int, y: int) -> None:
        """Enters, moves, lets go."""
        target = self.aware(self.root)
        if target is None:
            sys.exit("error: no window takes drops")
        self.root.warp_pointer(x, y)
        self.tell(target, "XdndEnter", VERSION << 24, self.atom("text/uri-list"))
        for _ in range(3):
            self.tell(target, "XdndPosition", 0, x << 16 | y, X.CurrentTime, self.atom("XdndActionCopy"))
            self.until("XdndStatus")
        self.tell(target, "XdndDrop", 0, X.CurrentTime)
        self.until("XdndFinished")


if __name__ == "__main__":
    DragSource(sys.argv[3:]).drop(int(sys.argv[1]), int(sys.argv[2]))
