"""The arrows of the module map, read off the syntax trees: what no machine checks decays."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("ml_backend", "detailed3dmm_addon", "operators", "panels", "benchmarks", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")) + [
    ROOT / "__init__.py"
]
BLENDER_SIDE = ("detailed3dmm_addon", "operators", "panels")
# What the Blender process may load of the backend, and what those modules may load themselves.
LIGHT_MODULES = {
    "asset_files",
    "errors",
    "tensor_file",
    "client",
    "protocol",
    "curves",
    "curve_editing",
    "expression_names",
    "expression_presets",
    "face_file",
    "plain_images",
}
HEAVY = {
    "torch",
    "scipy",
    "librosa",
    "soundfile",
    "safetensors",
    "PIL",
    "tqdm",
    "skimage",
    "pocketsphinx",
    "OpenEXR",
}
TRAINING_MAY_IMPORT = {"torch", "numpy", "scipy", "safetensors", "PIL", "tqdm"}


def dotted(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(path: Path, only_top_level: bool = False):
    """Yields absolute dotted names of everything a file imports."""
    tree = ast.parse(path.read_text("utf-8"))
    package = path.relative_to(ROOT).parent.parts
    for node in tree.body if only_top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - (node.level - 1)] if node.level else ()
            name = ".".join((*base, *filter(None, [node.module])))
            yield name
            if node.level:
                yield from (f"{name}.{alias.name}" if name else alias.name for alias in node.names)


def is_light(path: Path) -> bool:
    parts = dotted(path)
    return parts[:1] == ("ml_backend",) and (
        (len(parts) == 2 and parts[1] in LIGHT_MODULES)
        or parts[1:2] == ("geometry",)
        or parts[1:]
        in {("models", name) for name in ("bilinear_face", "skin_vector", "distilled_detail", "detail_basis")}
    )


def standard_or_own(name: str) -> str:
    return name.split(".")[0]


def test_there_is_something_to_check():
    assert len(SOURCES) > 40 and sum(is_light(path) for path in SOURCES) >= 10


def test_the_backend_never_sees_blender_and_never_climbs_above_itself():
    for path in (ROOT / "ml_backend").rglob("*.py"):
        for name in imports(path):
            assert standard_or_own(name) not in {
                "bpy",
                "mathutils",
                "bmesh",
                "gpu",
                "addon_utils",
                *BLENDER_SIDE,
            }, (path, name)
        depth = len(path.relative_to(ROOT).parts) - 1
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= depth, (path, "climbs above ml_backend")
                assert node.level or (node.module or "").split(".")[0] != "ml_backend", (
                    path,
                    "absolute import of its own package",
                )


def test_what_blender_loads_needs_numpy_alone():
    for path in filter(is_light, SOURCES):
        for name in imports(path, only_top_level=True):
            assert standard_or_own(name) not in HEAVY, (path, name)
            target = ROOT.joinpath(*name.split(".")).with_suffix(".py")
            assert not target.is_file() or is_light(target), (path, name)


def test_blender_side_reaches_only_the_light_modules():
    for path in SOURCES:
        if dotted(path)[:1] and dotted(path)[0] in BLENDER_SIDE:
            for name in imports(path):
                assert standard_or_own(name) not in HEAVY, (path, name)
                target = ROOT.joinpath(*name.split(".")).with_suffix(".py")
                if name.startswith("ml_backend.") and target.is_file():
                    assert is_light(target), (path, name)


def test_data_flows_one_way_in_blender():
    forbidden = {"detailed3dmm_addon": ("operators", "panels"), "operators": ("panels",)}
    for path in SOURCES:
        for folder, above in forbidden.items():
            if dotted(path)[:1] == (folder,):
                for name in imports(path):
                    assert standard_or_own(name) not in above, (path, name)


@pytest.mark.parametrize("folder", ["training", "simulation", "losses", "layers"])
def test_training_runs_on_any_machine_with_torch(folder):
    import sys

    for path in (ROOT / "ml_backend" / folder).rglob("*.py"):
        for name in imports(path):
            top = standard_or_own(name)
            assert top in TRAINING_MAY_IMPORT or top in sys.stdlib_module_names or top == "ml_backend", (
                path,
                name,
            )


def test_lower_layers_do_not_import_upper_ones():
    order = {
        "geometry": 0,
        "losses": 0,
        "layers": 0,
        "audio": 0,
        "models": 1,
        "simulation": 2,
        "face_building": 2,
        "fitting": 2,
        "speech": 1,
        "training": 3,
        "pipelines": 3,
        "commands": 4,
    }
    for path in (ROOT / "ml_backend").rglob("*.py"):
        here = order.get(dotted(path)[1]) if len(dotted(path)) > 1 else None
        for name in imports(path):
            parts = name.split(".")
            if here is not None and len(parts) > 1 and parts[0] == "ml_backend":
                assert order.get(parts[1], -1) <= here, (path, name)


def test_root_init_imports_nothing_when_loaded():
    assert not list(imports(ROOT / "__init__.py", only_top_level=True))


def test_habits():
    for path in SOURCES:
        text = path.read_text("utf-8")
        assert path.stem not in {"utils", "misc", "helpers", "common"}, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                assert all(alias.name != "*" for alias in node.names), (path, "star import")
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, (path, node.lineno, "bare except")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, (path, node.lineno)
        if path.parent.name != "pure":
            assert "import pickle" not in text, path
    assert not (ROOT / "tests" / "__init__.py").exists()
