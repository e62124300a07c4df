"""A step of the session that uses the panels of skin, hair, video and transfer, each alone in the sidebar.

The parts that use video and transfer are in `footage`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import bpy
import numpy as np
from given import STEPS
from interface import Turns


class Looks:
    """Mixed into the session, whose checks and mouse it uses."""

    def looks(self) -> Turns:
        """Opens each panel alone, as its header does, and uses what is in it."""
        if self.face is None:
            self.new_face()
        with self.ui.override("WINDOW"):
            bpy.ops.view3d.view_all()
        uses = (
            ("skin", (), self.skin_panel),
            ("skin", ("make_up",), self.make_up_panel),
            ("skin", ("more",), self.age_panel),
            ("hair", (), self.hair_panel),
            ("hair", ("scalp",), self.scalp_panel),
            ("video", ("solve",), self.video_panel),
            ("video", ("adjust",), self.adjust_panel),
            ("video", (), self.live_panel),
            ("transfer", (), self.transfer_panel),
            ("transfer", (), self.photo_transfer_panel),
        )
        names = [{panel, *parts, use.__name__} for panel, parts, use in uses]
        named = set().union(*names) & set(STEPS)
        for own, (panel, parts, use) in zip(names, uses, strict=True):
            if named and not named & own:
                continue
            bpy.context.view_layer.objects.active = self.face
            with self.alone(f"D3DMM_PT_{panel}", parts):
                yield from self.open_tab()
                yield from self.ui.turns(10)
                yield from self.ui.picture("_".join((panel, *parts, "panel")))
                yield from use()
            yield from self.ui.turns(4)
        yield from self.open_tab()

    @contextmanager
    def alone(self, name: str, parts: tuple[str, ...] = ()) -> Iterator[None]:
        """Registers a panel, open, with its parts and the menus, and no others, until the block ends.

        Args:
            name: of the panel.
            parts: endings of the names of its parts that are open too.
        """
        panels = self.module("panels")
        chosen = [
            cls for cls in panels._classes() if name in (cls.bl_idname, getattr(cls, "bl_parent_id", ""))
        ]
        panels.unregister()
        opened = [cls for cls in panels._classes() if not issubclass(cls, bpy.types.Panel)]  # menus
        for cls in chosen:
            mark = "_".join(("open", *parts))  # Blender remembers by its name that a panel was open or closed
            own = {"bl_idname": f"{cls.bl_idname}_{mark}", "bl_options": set()}
            if cls.bl_idname != name:
                is_open = cls.bl_idname.removeprefix(f"{name}_") in parts
                own |= {
                    "bl_parent_id": f"{name}_{mark}",
                    "bl_options": set() if is_open else {"DEFAULT_CLOSED"},
                }
            opened.append(type(f"{cls.__name__}_open", (cls,), own))
        for cls in opened:
            bpy.utils.register_class(cls)
        try:
            yield
        finally:
            for cls in reversed(opened):
                bpy.utils.unregister_class(cls)
            panels.register()

    def skin_panel(self) -> Turns:
        """Drags the tone, presses a swatch, random skin and a new seed."""
        skin = self.face.d3dmm.skin
        yield from self.dragged("skin.tone", lambda: skin.tone, self.skin_pixels)
        yield from self.pressed("skin_tone(", lambda: skin.tone)
        yield from self.pressed("random_skin", lambda: (skin.tone, skin.freckles, skin.seed))
        yield from self.pressed("new_skin_seed", lambda: skin.seed)
        yield from self.ui.picture("skin_of_another")

    def make_up_panel(self) -> Turns:
        """Wears a preset of the menu, and lipstick."""
        skin = self.face.d3dmm.skin
        yield from self.chosen_beside("random_skin", 0, "F", "Freckled", lambda: skin.freckles)
        yield from self.dragged("skin.lipstick", lambda: skin.lipstick, self.skin_pixels)
        yield from self.ui.picture("lipstick")

    def age_panel(self) -> Turns:
        """Gets a tan, and shows what ages."""
        skin = self.face.d3dmm.skin
        yield from self.dragged("skin.tan", lambda: skin.tan, self.skin_pixels)
        yield from self.ui.picture("tanned_skin")

    def skin_pixels(self) -> float:
        """Returns the mean colour of the skin's image."""
        colour = self.module("detailed3dmm_addon.appearance.skin_colour")
        image = colour.colour_image(self.face)
        values = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(values)
        return float(values.mean())

    def hair_count(self) -> int:
        """Returns the number of hair objects of the face."""
        return len(self.module("detailed3dmm_addon.hair.groom").hair_objects(self.face))

    def hair_points(self) -> np.ndarray:
        """Returns (N, 3): the points of the scalp's curves, or none."""
        item = self.module("detailed3dmm_addon.hair.groom").hair_objects(self.face).get("scalp")
        points = np.zeros((len(item.data.points) if item else 0, 3), np.float32)
        if item:
            item.data.points.foreach_get("position", points.ravel())
        return points

    def hair_panel(self) -> Turns:
        """Grows random hair, takes all of it off, undoes that, and wears a look of the menu."""
        yield from self.pressed("random_hair", lambda: [item.name for item in self.face.children])
        grown = self.hair_count()
        self.check("hair grows", grown > 0, grown)
        yield from self.ui.picture("random_hair")
        yield from self.pressed("remove_hair", self.hair_count)
        self.check("hair goes", self.hair_count() == 0, self.hair_count())
        yield from self.ui.key("Z", ctrl=True)
        yield from self.settled()
        self.check("undo brings it back", self.hair_count() == grown, self.hair_count())
        scalp = self.face.d3dmm_hair.scalp
        scalp.style = "CROPPED"
        yield from self.settled()
        yield from self.chosen_beside("random_hair", 1, "B", "Bob", lambda: self.face.d3dmm_hair.scalp.style)
        yield from self.ui.picture("hair_look")

    def scalp_panel(self) -> Turns:
        """Lengthens the hair of the head, takes it off alone, and grows it again."""
        if not len(self.hair_points()):
            with self.ui.override("WINDOW"):
                bpy.ops.d3dmm.set_hair_look(look="BOB")
            yield from self.settled()
        self.check("the look has hair on the head", len(self.hair_points()) > 0)
        yield from self.pressed("d3dmm_hair.scalp.seed", lambda: self.face.d3dmm_hair.scalp.seed, 0.94)
        yield from self.dragged(
            "d3dmm_hair.scalp.length",
            lambda: self.face.d3dmm_hair.scalp.length,
            lambda: float(np.ptp(self.hair_points()[:, 2])),
        )
        yield from self.ui.picture("longer_hair")
        count = self.hair_count()
        yield from self.pressed("remove_hair(parts", self.hair_count)
        self.check("only the part goes", self.hair_count() == count - 1, self.hair_count())
        yield from self.ui.picture("bald")
        yield from self.pressed("add_hair", self.hair_count)
        self.check("and comes again", self.hair_count() == count, self.hair_count())

    def pressed(self, part: str, read: Callable[[], object], *columns: float) -> Turns:
        """Presses a button; checks that a value changes."""
        was = read()
        button = yield from self.find(part, columns=columns or (0.3, 0.6, 0.84))
        yield from self.press(button, part, lambda: read() != was)

    def chosen_beside(self, part: str, up: int, letter: str, entry: str, read: Callable[[], object]) -> Turns:
        """Opens a menu, which the mouse cannot name, by its place, and presses the letter of an entry.

        Args:
            part: of the key of a button in the menu's row, or in the one below it.
            up: rows from that button to the menu.
            letter: underlined in the entry.
            entry: for the report.
            read: checked to change.
        """
        button = yield from self.find(part, columns=(0.2,))
        if button is None:
            self.check(f"button {part} is there", False)
            return
        was, region = read(), self.ui.region()
        yield from self.ui.click(region.x + (region.width - 30) // 2, button.y + 22 * up)
        yield from self.ui.turns(6)
        yield from self.ui.picture(f"menu_of_{entry.lower()}", still=True)
        self.ui.press_key(letter)
        yield from self.ui.turns(6)
        yield from self.settled()
        self.check(f"chose {entry} of a menu", read() != was and not self.problem(), f"{was} to {read()}")

    def dragged(self, part: str, read: Callable[[], float], seen: Callable[[], float]) -> Turns:
        """Drags a slider; checks that its value and what is seen change."""
        button = yield from self.find(part, columns=(0.7,))
        if button is None:
            self.check(f"slider {part} is there", False)
            return
        was, before = read(), seen()
        yield from self.ui.drag(button.x, button.y, 60)
        yield from self.settled()
        moved = read() != was and seen() != before
        self.check(f"dragging {part} changes it and the picture", moved, f"{was:.2f} to {read():.2f}")
