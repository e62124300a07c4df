"""Mouse, keys, pictures and what lies under the mouse, in the first window of a Blender that runs.

Everything that needs Blender's own loop to go on is a generator: it yields once a turn of the loop, `drive`
runs it from a timer.
"""

import subprocess
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import bpy

Turns = Generator[None, None, object]
_STEP = 13
"""Pixels between two looks downwards; a button is 20 high."""


@dataclass(frozen=True)
class Button:
    """A property or operator that the mouse found.

    Attributes:
        key: data path of the property, or the operator's call as Python.
        x, y: its middle, pixels of the window from the bottom left.
        hits: every place where the mouse found it.
    """

    key: str
    x: int
    y: int
    hits: tuple[tuple[int, int], ...] = ()


class Interface:
    """The window that a user sees.

    Args:
        out: folder of the screenshots.

    Attributes:
        missed: what the mouse found where it looked for the last button.
    """

    def __init__(self, out: Path):
        self.out = out
        self.pictures = 0
        self.at = (0, 0)
        self.missed = ""

    @property
    def window(self) -> bpy.types.Window:
        """Blender's first window."""
        return bpy.context.window_manager.windows[0]

    def area(self, kind: str = "VIEW_3D") -> bpy.types.Area:
        """The largest area of a kind."""
        found = [area for area in self.window.screen.areas if area.type == kind]
        return max(found, key=lambda area: area.width * area.height)

    def region(self, kind: str = "UI", area: str = "VIEW_3D") -> bpy.types.Region:
        """A region of an area."""
        return next(region for region in self.area(area).regions if region.type == kind)

    def override(self, kind: str = "UI", area: str = "VIEW_3D"):
        """The context of a region, for calls that need one."""
        return bpy.context.temp_override(
            window=self.window, area=self.area(area), region=self.region(kind, area)
        )

    def turns(self, count: int = 2) -> Turns:
        """Lets Blender handle events and draw."""
        for _ in range(count):
            yield

    def until(self, condition: Callable[[], object], seconds: float = 60.0) -> Turns:
        """Goes on until a condition holds; whether it did within the time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            yield
        return False

    def move(self, x: int, y: int) -> Turns:
        """Moves the mouse twice: Blender takes the first event over another region as leaving the last."""
        self.at = (x, y)
        for step in (1, 0):
            self.window.event_simulate("MOUSEMOVE", "NOTHING", x=x + step, y=y)
        yield

    def click(self, x: int, y: int) -> Turns:
        """Presses and releases the left button."""
        yield from self.move(x, y)
        for value in ("PRESS", "RELEASE"):
            self.window.event_simulate("LEFTMOUSE", value, x=x, y=y)
            yield
        yield from self.turns(3)

    def drag(
        self, x: int, y: int, across: int, steps: int = 12, each: Callable[[], Turns] | None = None
    ) -> Turns:
        """Drags from a point by some pixels to the right.

        Args:
            x, y: where it starts.
            across: how far, negative to the left.
            steps: mouse movements.
            each: run after every movement.
        """
        yield from self.move(x, y)
        self.window.event_simulate("LEFTMOUSE", "PRESS", x=x, y=y)
        yield
        for step in range(1, steps + 1):
            self.window.event_simulate("MOUSEMOVE", "NOTHING", x=x + across * step // steps, y=y)
            yield from each() if each else self.turns(1)
        self.window.event_simulate("LEFTMOUSE", "RELEASE", x=x + across, y=y)
        yield from self.turns(3)

    def key(self, kind: str, over: str = "WINDOW", area: str = "VIEW_3D", **modifiers: bool) -> Turns:
        """Presses a key with the mouse over the middle of a region."""
        region = self.region(over, area)
        x, y = region.x + region.width // 3, region.y + region.height // 3
        yield from self.move(x, y)
        for value in ("PRESS", "RELEASE"):
            self.window.event_simulate(kind, value, x=x, y=y, **modifiers)
            yield
        yield from self.turns(3)

    def press_key(self, kind: str) -> None:
        """Presses a key where the mouse is."""
        for value in ("PRESS", "RELEASE"):
            self.window.event_simulate(kind, value, x=self.at[0], y=self.at[1])

    def picture(self, name: str, still: bool = False) -> Turns:
        """Writes a numbered screenshot with the mouse out of the way; `still` leaves the mouse in place."""
        region = self.region("WINDOW") if any(a.type == "VIEW_3D" for a in self.window.screen.areas) else None
        if region is not None and not still:
            yield from self.leave_buttons()
            yield from self.move(region.x + 5, region.y + 5)
        yield from self.turns(6)
        self.pictures += 1
        subprocess.run(
            ["import", "-window", "root", str(self.out / f"{self.pictures:02d}_{name}.png")], check=True
        )

    def leave_buttons(self) -> Turns:
        """Moves the mouse in the sidebar: a button that was pressed stays lit, or grey, until then."""
        region = self.region()
        for _ in range(2):
            yield from self.move(region.x + 5, region.y + 5)
            yield from self.turns(2)

    def press(self, button: Button) -> Turns:
        """Clicks a button where the mouse, at rest, finds it again; whether it did."""
        above = [(x, y + _STEP) for x, y in button.hits]  # on a busy machine the mouse lags behind a scan
        for x, y in ((button.x, button.y), *button.hits, *above):
            yield from self.move(x, y)
            yield from self.turns(2)
            self.missed = self.under_mouse()
            if self.missed == button.key:
                yield from self.click(x, y)
                return True
        return False

    def under_mouse(self) -> str:
        """Data path or operator call of the button that the mouse is over in the sidebar; empty over none."""
        manager = bpy.context.window_manager
        with self.override():
            if bpy.ops.ui.copy_python_command_button.poll():
                bpy.ops.ui.copy_python_command_button()
                return manager.clipboard
            if bpy.ops.ui.copy_data_path_button.poll():
                bpy.ops.ui.copy_data_path_button(full_path=True)
                return manager.clipboard
        return ""

    def scan(
        self,
        columns: tuple[float, ...] = (0.2, 0.5, 0.8, 0.93),
        step: int = _STEP,
        top: float = 1.0,
        bottom: float = 0.0,
        until: str = "",
    ) -> Turns:
        """Moves the mouse over the sidebar and finds its buttons; a list of Button from the top down.

        Args:
            columns: where to look, shares of the width without the tabs.
            step: pixels between two looks downwards.
            top, bottom: shares of the region's height.
            until: where a button whose key holds this was found, the mouse finds its lower edge and goes no
                further.
        """
        region = self.region()
        found: dict[str, list[tuple[int, int]]] = {}
        width = region.width - 30  # the tabs
        wanted: str = ""
        yield from self.leave_buttons()
        for y in range(
            region.y + int(region.height * top) - 6, region.y + int(region.height * bottom) + 6, -step
        ):
            for share in columns:
                x = region.x + int(width * share)
                yield from self.move(x, y)
                key = self.under_mouse()
                if key:
                    found.setdefault(key, []).append((x, y))
                    wanted = wanted or (key if until and until in key else "")
            if wanted and found[wanted][-1][1] != y:
                break
        return [
            Button(
                key, sorted(x for x, _ in hits)[len(hits) // 2], (hits[0][1] + hits[-1][1]) // 2, tuple(hits)
            )
            for key, hits in found.items()
        ]

    def scroll(self, pages: float) -> Turns:
        """Scrolls the sidebar down by some heights; negative up."""
        with self.override():
            kind = bpy.ops.view2d.scroll_down if pages > 0 else bpy.ops.view2d.scroll_up
            for _ in range(max(1, round(abs(pages) * 12))):
                kind(deltay=0)
        yield from self.turns(4)


def drive(turns: Turns, done: Callable[[BaseException | None], None]) -> None:
    """Runs a generator from a timer that survives the loading of files.

    Args:
        turns: what to run.
        done: told the error that ended it, or None.
    """

    def step() -> float | None:
        try:
            next(turns)
        except StopIteration:
            done(None)
            return None
        except BaseException as error:  # told to the one who asked, who ends Blender with it
            done(error)
            return None
        return 0.004  # the worker and the timer of the extension need the processor too

    bpy.app.timers.register(step, first_interval=1.0, persistent=True)
