"""A step of the session that uses the panels of skin, hair, video and transfer, each alone in the sidebar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import bpy
import numpy as np
from interface import Turns


class Looks:
    """Mixed into the session, whose checks and mouse it uses."""

    def looks(self) -> Turns:
        """Opens each panel alone, as its header does, and uses what is in it."""
        if self.face is None:
            self.new_face()
        for panel, use in (
            ("skin", self.skin_panel),
            ("hair", self.hair_panel),
            ("video", self.video_panel),
            ("transfer", self.transfer_panel),
        ):
            bpy.context.view_layer.objects.active = self.face
            with self.alone(f"D3DMM_PT_{panel}"):
                yield from self.open_tab()
                yield from self.ui.turns(10)
                yield from self.ui.picture(f"{panel}_panel")
                yield from use()
            yield from self.ui.turns(4)
        yield from self.open_tab()

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Registers a panel, open, with its parts and the menus, and no others, until the block ends."""
        panels = self.module("panels")
        chosen = [
            cls for cls in panels._classes() if name in (cls.bl_idname, getattr(cls, "bl_parent_id", ""))
        ]
        panels.unregister()
        opened = [cls for cls in panels._classes() if not issubclass(cls, bpy.types.Panel)]  # menus
        for cls in chosen:
            own = {"bl_idname": f"{cls.bl_idname}_open", "bl_options": set()}
            if cls.bl_idname != name:
                own |= {"bl_parent_id": f"{name}_open", "bl_options": {"DEFAULT_CLOSED"}}
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

    def hair_panel(self) -> Turns:
        """Grows random hair, takes all of it off, and undoes that."""
        yield from self.pressed("random_hair", lambda: [item.name for item in self.face.children])
        grown = self.hair_count()
        self.check("hair grows", grown > 0, grown)
        yield from self.ui.picture("random_hair")
        yield from self.pressed("remove_hair", self.hair_count)
        self.check("hair goes", self.hair_count() == 0, self.hair_count())
        yield from self.ui.key("Z", ctrl=True)
        yield from self.settled()
        self.check("undo brings it back", self.hair_count() == grown, self.hair_count())

    def video_panel(self) -> Turns:
        """Opens and leaves the file browser of Import Video."""
        button = yield from self.find("import_video", columns=(0.5,))
        if button is None:
            self.check("Import Video is there", False)
            return
        yield from self.ui.press(button)

        def browsing() -> bool:
            return any(area.type == "FILE_BROWSER" for area in self.ui.window.screen.areas)

        opened = yield from self.ui.until(browsing, 20)
        self.check("Import Video opens the file browser", opened)
        yield from self.ui.turns(8)
        if not opened:
            return
        yield from self.ui.picture("video_file_browser")
        yield from self.ui.key("ESC", "WINDOW", "FILE_BROWSER")
        yield from self.ui.turns(8)
        self.check("Esc leaves it", not browsing() and not self.problem(), self.problem())

    def transfer_panel(self) -> Turns:
        """Gives the face the shape of another one, and swaps before and after."""
        face = self.face
        with self.ui.override("WINDOW"):
            bpy.ops.d3dmm.create_face(identity_seed=11, update_detail=False)
        other = bpy.context.view_layer.objects.active
        other.location.x += 0.4
        bpy.context.view_layer.objects.active = face
        face.d3dmm_transfer.source_face = other
        yield from self.settled()
        yield from self.pressed("d3dmm_transfer.use_shape", lambda: face.d3dmm_transfer.use_shape)
        before = self.shape(face)
        yield from self.pressed("transfer_attributes", lambda: self.shape(face).tobytes())
        moved = float(np.abs(self.shape(face) - before).max())
        self.check("the face takes the other's shape", moved > 1e-3, f"{1000 * moved:.1f} mm")
        yield from self.ui.picture("transferred")
        yield from self.pressed("swap_transfer", lambda: self.shape(face).tobytes())
        left = float(np.abs(self.shape(face) - before).max())
        self.check("and its own again", left < 1e-5, f"{1000 * left:.3f} mm")
        bpy.data.objects.remove(other)

    @staticmethod
    def shape(item: bpy.types.Object) -> np.ndarray:
        """Returns (V, 3): the face at rest."""
        key = item.data.shape_keys.key_blocks[0]
        points = np.empty((len(key.points), 3), np.float32)
        key.points.foreach_get("co", points.ravel())
        return points

    def pressed(self, part: str, read: Callable[[], object]) -> Turns:
        """Presses a button; checks that a value changes."""
        was = read()
        button = yield from self.find(part, columns=(0.3, 0.6, 0.84))
        yield from self.press(button, part, lambda: read() != was)

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
