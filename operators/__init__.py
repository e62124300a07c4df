"""Buttons: each checks, calls the scene side, reports and leaves one undo step."""

import bpy


def _classes():
    from . import (
        add_detail_to_mesh,
        animate_from_audio,
        animate_from_video,
        bake_detail,
        carry_over_face,
        change_face,
        control_backend,
        create_face,
        drop_files,
        export_copy,
        face_assets,
        face_presets,
        fit_from_image,
        import_curves,
        import_detail_map,
        install_backend,
        live_video,
        set_expression,
        transfer_attributes,
        update_detail,
    )

    return (
        *create_face.CLASSES,
        *change_face.CLASSES,
        *carry_over_face.CLASSES,
        *face_presets.CLASSES,
        *fit_from_image.CLASSES,
        *face_assets.CLASSES,
        *set_expression.CLASSES,
        *transfer_attributes.CLASSES,
        *update_detail.CLASSES,
        *bake_detail.CLASSES,
        *import_detail_map.CLASSES,
        *animate_from_audio.CLASSES,
        *animate_from_video.CLASSES,
        *live_video.CLASSES,
        *import_curves.CLASSES,
        *export_copy.CLASSES,
        *add_detail_to_mesh.CLASSES,
        *control_backend.CLASSES,
        *install_backend.CLASSES,
        *drop_files.CLASSES,
    )


def register():
    """Adds every operator, and the handlers of dropped files."""
    for cls in _classes():
        bpy.utils.register_class(cls)


def unregister():
    """Removes every operator."""
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
