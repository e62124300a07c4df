"""A step of the session that shows what is hidden at first: closed panels."""

import bpy
from interface import Turns

PAGES = 4
CLOSED = "DEFAULT_CLOSED"
LONG = "D3DMM_PT_identity_coefficients"


class Showing:
    """Mixed into the session, whose checks and mouse it uses."""

    def panels(self) -> Turns:
        """Opens every panel, in English and in German, in a workspace where the tab was never drawn."""
        view, window = bpy.context.preferences.view, self.ui.window
        before = window.workspace
        closed = [
            cls
            for cls in self.module("panels")._classes()
            if CLOSED in getattr(cls, "bl_options", ()) and cls.bl_idname != LONG
        ]
        options = {cls: cls.bl_options for cls in closed}
        self.registered_with({cls: set(cls.bl_options) - {CLOSED} for cls in closed})
        try:
            for workspace, language in (("Animation", "en_US"), ("Scripting", "de_DE")):
                window.workspace = bpy.data.workspaces[workspace]
                yield from self.ui.turns(10)
                with self.ui.override("WINDOW"):
                    bpy.ops.screen.screen_full_area()
                yield from self.ui.turns(10)
                view.language = language
                yield from self.open_tab()
                yield from self.ui.turns(10)
                for page in range(PAGES):
                    yield from self.ui.picture(f"open_{language}_{page + 1}")
                    yield from self.ui.scroll(1.9)
                with self.ui.override("WINDOW"):
                    bpy.ops.screen.back_to_previous()
                yield from self.ui.turns(10)
        finally:
            self.registered_with(options)
            view.language = "en_US"
            window.workspace = before
            yield from self.ui.turns(10)

    def registered_with(self, options: dict) -> None:
        """Registers all panels anew, in their order, some with other options."""
        self.module("panels").unregister()
        for cls, chosen in options.items():
            cls.bl_options = chosen
        self.module("panels").register()
