"""Scene and data: faces in Blender, their mesh, detail, materials and animation."""


def register():
    """Registers preferences and properties, and starts listening to changes of the scene."""
    from . import properties, translations
    from .appearance import skin_follow
    from .characters import transfer_settings
    from .clips import settings as animation_settings
    from .detail import handlers
    from .hair import settings as hair_settings
    from .worker import preferences_panel

    translations.register()
    preferences_panel.register()
    properties.register()
    animation_settings.register()
    transfer_settings.register()
    hair_settings.register()
    handlers.register()
    skin_follow.register()


def unregister():
    """Stops listening, ends the worker, removes the properties."""
    from . import properties, translations
    from .appearance import skin_follow
    from .characters import transfer_settings
    from .clips import settings as animation_settings
    from .detail import handlers
    from .hair import settings as hair_settings
    from .worker import jobs as backend
    from .worker import preferences_panel

    skin_follow.unregister()
    handlers.unregister()
    backend.stop()
    transfer_settings.unregister()
    hair_settings.unregister()
    animation_settings.unregister()
    properties.unregister()
    preferences_panel.unregister()
    translations.unregister()
