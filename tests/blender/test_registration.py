"""What is there once the extension is enabled."""

import bpy
import pytest

OPERATORS = (
    "create_face random_face reset_face set_expression_preset mirror_expression reset_expression "
    "random_expression "
    "update_detail "
    "new_wrinkle_seed clear_baked_detail bake_detail import_detail_map clear_detail_map import_audio "
    "clear_animation "
    "start_backend "
    "animate_strip update_animation import_curves add_emotion remove_emotion "
    "stop_backend cancel_job clear_problem install_backend save_face load_face"
).split()


def test_every_operator_is_there_and_says_what_it_does():
    found = {name for name in dir(bpy.ops.d3dmm) if not name.startswith("_")}
    assert set(OPERATORS) <= found
    for name in found:
        kind = getattr(bpy.ops.d3dmm, name).get_rna_type()
        assert kind.name and kind.description


def test_panels_are_in_one_tab():
    panels = [
        cls for cls in bpy.types.Panel.__subclasses__() if getattr(cls, "bl_category", "") == "Detailed3DMM"
    ]
    labels = {cls.bl_label for cls in panels}
    assert {"Face", "Identity", "Expression", "Detail", "Audio", "Backend"} <= labels
    assert {"Brows", "Eyes", "Cheeks and Nose", "Jaw", "Mouth", "Tongue"} <= labels


def test_the_groups_hold_each_expression_once(module):
    groups = module("detailed3dmm_addon.model.expression_groups").EXPRESSION_GROUPS
    names = [name for _, _, members in groups for name in members]
    assert (
        sorted(names) == sorted(module("ml_backend.expression_names").EXPRESSION_NAMES) and len(names) == 52
    )


def test_presets_use_known_names_and_sane_values(module):
    presets = module("detailed3dmm_addon.model.expression_groups").EXPRESSION_PRESETS
    known = module("ml_backend.expression_names").EXPRESSION_NAMES
    assert len(presets) >= 12
    for _, values in presets.values():
        assert set(values) <= set(known) and all(0 < value <= 1 for value in values.values())


@pytest.mark.parametrize(
    "name",
    [
        "random_face",
        "reset_face",
        "set_expression_preset",
        "mirror_expression",
        "update_detail",
        "import_audio",
    ],
)
def test_a_button_without_a_face_is_grey_and_says_why(name):
    assert not getattr(bpy.ops.d3dmm, name).poll()
    with pytest.raises(RuntimeError, match="Select a face first"):
        getattr(bpy.ops.d3dmm, name)()


def test_no_heavy_library_is_loaded_by_the_extension(module):
    import subprocess
    import sys
    from pathlib import Path

    root = Path(module("detailed3dmm_addon.worker.jobs").ROOT)
    code = (
        "import sys, bpy\nbefore = set(sys.modules)\nsys.path.insert(0, sys.argv[1])\n"
        "import ml_backend.process.client, ml_backend.models.bilinear_face\n"
        "import ml_backend.geometry.dense_face, ml_backend.models.skin_vector\n"
        "heavy = {'torch', 'librosa', 'scipy', 'safetensors', 'PIL'} & (set(sys.modules) - before)\n"
        "import os; print('heavy', heavy, flush=True); os._exit(1 if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(root)], timeout=120, check=False).returncode == 0


@pytest.mark.parametrize("with_face", [False, True])
def test_every_operator_does_something_or_says_in_words_why_not(no_worker, module, with_face):
    """As somebody who presses everything, in order, in a new file, without a backend."""
    bpy.ops.wm.read_homefile(use_factory_startup=False)
    if with_face:
        bpy.ops.d3dmm.create_face(update_detail=False)
    reasons = {}
    for name in sorted(set(dir(bpy.ops.d3dmm)) - {"install_backend", "remove_backend", "create_face"}):
        try:
            assert getattr(bpy.ops.d3dmm, name)() == {"FINISHED"}, name
        except RuntimeError as error:
            reasons[name] = str(error)
    module("operators.face_presets").preset_path("CHARACTER", "My Preset").unlink(missing_ok=True)
    assert reasons and not [said for said in reasons.values() if "Traceback" in said or "Python:" in said]
    for name, said in reasons.items():
        words = said.removeprefix("Error: ").removeprefix(f"Operator bpy.ops.d3dmm.{name}.poll()").split()
        assert len(words) > 3 and words[0][0].isupper(), said
    files = {
        "export_gltf",
        "export_fbx",
        "export_usd",
        "export_alembic",
        "export_maps",
        "export_curves",
        "save_face",
        "load_face",
    }
    if with_face:
        assert all("No file was named" in reasons[name] for name in (*files, "import_curves"))
        assert (
            "No Python with PyTorch" in reasons["drop_recording"]
            and "No Python with PyTorch" in reasons["drop_photo"]
        )
    else:
        assert all("Select a face first" in reasons[name] for name in files)
