"""Checks the map of the code (docs/architecture.md): folders, arrows, circles, imports, habits."""

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_FOLDERS = ("ml_backend", "detailed3dmm_addon", "operators", "panels", "tools", "benchmarks", "tests")
BLENDER_SIDE = ("detailed3dmm_addon", "operators", "panels")
BACKEND_LINES = (
    ("errors", "expression_names", "asset_files"),
    ("expression_presets", "expression_matching", "process"),
    ("layers", "geometry", "files", "farm"),
    ("phonetics", "audio", "losses", "hair"),
    ("models",),
    ("simulation", "fitting", "face_building", "speech_data", "animation"),
    ("video",),
    ("datasets",),
    ("training",),
    ("pipelines",),
    ("evaluation",),
    ("process.handlers",),
    ("commands",),
    ("__main__",),
)
"""Rooms and top-level modules of ml_backend, lowest first: each imports its own line and lower ones."""
ADDON_ROOMS = (
    "model",
    "worker",
    "nodes",
    "face",
    "appearance",
    "actions",
    "detail",
    "hair",
    "characters",
    "clips",
    "export",
    "other_heads",
    "translations",
    "properties",
)
"""Rooms of detailed3dmm_addon: each imports itself and those before it; nobody imports the package."""
TOP_LINES = (
    ("ml_backend",),
    ("detailed3dmm_addon",),
    ("operators",),
    ("panels",),
    ("tools",),
    ("benchmarks",),
)
SUBROOMS = {
    "models": {"head_field", "head_steps", "mouth", "residual", "speech", "skin"},
    "phonetics": {"spelling"},
    "simulation": {"relief", "pigment", "portraits"},
    "training": {"albedo", "attributes", "prior", "reenactment", "residual"},
    "fitting": {"attributes", "skin", "hair"},
    "evaluation": {"attributes", "skin", "video"},
}
LARGEST_ROOM = 24
"""Python files in a folder at most; operators have one file for each button."""
LIGHT_MODULES = {
    ("asset_files",),
    ("errors",),
    ("expression_names",),
    ("expression_matching",),
    ("expression_presets",),
    ("audio", "formats"),
    ("video", "formats"),
    ("files", "atomic_write"),
    ("files", "tensor_file"),
    ("files", "curve_file"),
    ("files", "live_link"),
    ("files", "foreign_curves"),
    ("files", "metahuman_curves"),
    ("files", "text_file"),
    ("files", "transcript_file"),
    ("files", "timecodes"),
    ("files", "face_file"),
    ("files", "image_writers"),
    ("files", "take_file"),
    ("process", "client"),
    ("process", "memory"),
    ("process", "pipes"),
    ("process", "protocol"),
    ("animation", "curve_editing"),
    ("animation", "curve_filters"),
    ("animation", "take_curves"),
    ("models", "skin", "albedo_model"),
    ("models", "bilinear_face"),
    ("models", "mouth", "mouth_lining"),
    ("models", "skin", "live_skin"),
    ("models", "skin", "seeded_tone"),
    ("simulation", "pigment", "pigment_traits"),
    ("models", "earlier_face"),
    ("models", "face_attributes"),
    ("models", "skin", "skin_sliders"),
    ("models", "skin_vector"),
    ("models", "distilled_detail"),
    ("models", "detail_basis"),
}
"""Modules of the backend that the Blender process may load, beside the rooms `geometry` and `hair`."""
HEAVY = {
    "torch",
    "scipy",
    "librosa",
    "soundfile",
    "av",
    "safetensors",
    "PIL",
    "tqdm",
    "skimage",
    "pocketsphinx",
    "OpenEXR",
    "matplotlib",
}
TRAINING_MAY_IMPORT = {"torch", "numpy", "scipy", "safetensors", "PIL", "tqdm"}
TRAINING_ROOMS = ("training", "simulation", "datasets", "losses", "layers", "files")
OUTSIDE_TRAINING = {
    ("files", "displacement_file"): {"OpenEXR"},
    ("training", "training_curve"): {"matplotlib"},
}
"""Libraries beyond those that single files may import: an EXR reader, the drawing of curves."""


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


SOURCES = [*sources(*SOURCE_FOLDERS), ROOT / "__init__.py"]
PROGRAM = sources(*SOURCE_FOLDERS[:-1])


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def dotted(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(path: Path, only_top_level: bool = False):
    """Yields (module, name) for everything that a file imports; the name is empty for a plain import."""
    package = path.relative_to(ROOT).parent.parts
    for node in tree_of(path).body if only_top_level else ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - (node.level - 1)] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            yield from ((module, alias.name) for alias in node.names)


def file_of(module: str, name: str) -> Path | None:
    """The file of this project that an import loads, or None."""
    base = ROOT.joinpath(*module.split(".")) if module else ROOT
    choices = [base / f"{name}.py", base / name / "__init__.py"] if name else []
    choices += [base.with_suffix(".py"), base / "__init__.py"] if module else []
    return next((path for path in choices if path.is_file()), None)


@cache
def arrows(path: Path) -> tuple[Path, ...]:
    """The project's own files that a file imports."""
    found = {file_of(module, name) for module, name in imports(path)}
    return tuple(sorted(target for target in found if target is not None and target != path))


def is_light(path: Path) -> bool:
    parts = dotted(path)
    return parts[:1] == ("ml_backend",) and (
        parts[1:2] in (("geometry",), ("hair",)) or parts[1:] in LIGHT_MODULES or path.name == "__init__.py"
    )


def backend_line(path: Path) -> int | None:
    """The line of a backend file, or None where the map does not know its room."""
    parts = dotted(path)[1:]
    room = "process.handlers" if parts == ("process", "handlers") else parts[0] if parts else "errors"
    return next((number for number, line in enumerate(BACKEND_LINES) if room in line), None)


def addon_room(path: Path) -> int | None:
    """The place of an add-on file in the order of rooms, or None where the map does not know its room."""
    parts = dotted(path)[1:]
    return ADDON_ROOMS.index(parts[0]) if parts and parts[0] in ADDON_ROOMS else None


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_check():
    assert len(SOURCES) > 200 and sum(is_light(path) for path in SOURCES) >= 20
    assert sum(len(arrows(path)) for path in PROGRAM) > 500


def test_every_folder_is_on_the_map():
    unknown = [shown(path) for path in sources("ml_backend") if backend_line(path) is None]
    unknown += [
        shown(path)
        for path in sources("detailed3dmm_addon")
        if addon_room(path) is None and path != ROOT / "detailed3dmm_addon" / "__init__.py"
    ]
    for path in sources("ml_backend", "detailed3dmm_addon"):
        inner = path.relative_to(ROOT).parent.parts[1:]
        if len(inner) > 2 or (len(inner) == 2 and inner[1] not in SUBROOMS.get(inner[0], ())):
            unknown.append(shown(path))
    for folder in ("operators", "panels", "tools", "benchmarks"):
        unknown += [shown(path) for path in sources(folder) if path.parent != ROOT / folder]
    known = {*SOURCE_FOLDERS, "docs", "LICENSES", "build", "dist"}
    unknown += [
        folder.name
        for folder in ROOT.iterdir()
        if folder.is_dir() and folder.name not in known and not folder.name.startswith((".", "__"))
    ]
    assert unknown == []


def test_no_room_is_too_large():
    sizes = {folder: len(list(folder.glob("*.py"))) for folder in {path.parent for path in PROGRAM}}
    assert {
        shown(folder): size
        for folder, size in sizes.items()
        if size > LARGEST_ROOM and folder.name != "operators"
    } == {}


def test_no_arrow_to_a_higher_room_of_the_backend():
    up = [
        f"{shown(path)} -> {shown(target)}"
        for path in sources("ml_backend")
        for target in arrows(path)
        if (backend_line(target) or 0) > (backend_line(path) or 0)
    ]
    assert up == []


def test_no_arrow_to_a_higher_room_of_the_addon():
    up = []
    for path in sources("detailed3dmm_addon"):
        here = addon_room(path)
        for target in arrows(path) if here is not None else ():
            if dotted(target)[0] == "detailed3dmm_addon":
                there = addon_room(target)
                if there is None or there > here:
                    up.append(f"{shown(path)} -> {shown(target)}")
    assert up == []


def test_no_arrow_to_a_higher_folder():
    order = {folder: number for number, line in enumerate(TOP_LINES) for folder in line}
    up = [
        f"{shown(path)} -> {shown(target)}"
        for path in PROGRAM
        for target in arrows(path)
        if order.get(dotted(target)[0], len(order)) > order[dotted(path)[0]]
    ]
    assert up == []


def test_no_circle_between_files():
    finished: set[Path] = set()
    circles: list[str] = []

    def follow(path: Path, trail: tuple[Path, ...]) -> None:
        if path in trail:
            circles.append(" -> ".join(shown(step) for step in (*trail[trail.index(path) :], path)))
        elif path not in finished:
            for target in arrows(path):
                follow(target, (*trail, path))
            finished.add(path)

    for path in PROGRAM:
        follow(path, ())
    assert circles == []


def test_no_circle_between_rooms():
    rooms: dict[str, set[str]] = {}
    for path in sources("ml_backend", "detailed3dmm_addon"):
        here = ".".join(dotted(path)[:2])
        for target in arrows(path):
            there = ".".join(dotted(target)[:2])
            if there != here and "handlers" not in (path.stem, target.stem):
                rooms.setdefault(here, set()).add(there)
    both = [f"{here} <-> {there}" for here in rooms for there in rooms[here] if here in rooms.get(there, ())]
    assert both == []


def test_pipelines_never_import_training():
    assert [
        f"{shown(path)} -> {shown(target)}"
        for path in sources("ml_backend/pipelines")
        for target in arrows(path)
        if dotted(target)[1] in ("training", "evaluation")
    ] == []


def test_the_backend_never_sees_blender_and_never_climbs_above_itself():
    for path in sources("ml_backend"):
        for module, name in imports(path):
            outside = {"bpy", "mathutils", "bmesh", "gpu", "addon_utils", *BLENDER_SIDE}
            assert module.split(".")[0] not in outside, (path, module, name)
        depth = len(path.relative_to(ROOT).parts) - 1
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= depth, (path, "climbs above ml_backend")
                assert node.level or (node.module or "").split(".")[0] != "ml_backend", (
                    path,
                    "absolute import of its own package",
                )


def test_what_blender_loads_needs_numpy_alone():
    for path in filter(is_light, SOURCES):
        for module, name in imports(path, only_top_level=True):
            assert module.split(".")[0] not in HEAVY, (path, module)
            target = file_of(module, name)
            assert target is None or is_light(target), (path, module, name)


def test_blender_side_reaches_only_the_light_modules():
    for path in sources(*BLENDER_SIDE):
        assert not {module.split(".")[0] for module, _ in imports(path)} & HEAVY, path
        for target in arrows(path):
            assert dotted(target)[0] != "ml_backend" or is_light(target), (path, target)


@pytest.mark.parametrize("folder", TRAINING_ROOMS)
def test_training_runs_on_any_machine_with_torch(folder):
    for path in sources(f"ml_backend/{folder}"):
        extra = OUTSIDE_TRAINING.get(dotted(path)[1:], set())
        for module, _ in imports(path):
            top = module.split(".")[0]
            known = top in TRAINING_MAY_IMPORT or top in sys.stdlib_module_names or top == "ml_backend"
            assert known or top in extra, (path, module)


def test_root_init_imports_nothing_when_loaded():
    assert not list(imports(ROOT / "__init__.py", only_top_level=True))


def test_no_test_file_imports_another():
    """Fixtures live in conftest.py, shared functions in files of their own (tests/blender/scene_state.py)."""
    between = [
        f"{shown(path)} -> {module}"
        for path in sources("tests")
        for module, _ in imports(path)
        if module.startswith("test_")
    ]
    assert between == []


def test_habits():
    for path in SOURCES:
        assert path.stem not in {"utils", "misc", "helpers", "common"}, path
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom):
                assert all(alias.name != "*" for alias in node.names), (path, "star import")
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, (path, node.lineno, "bare except")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, (path, node.lineno)
        if path.parent.name != "pure":
            assert "import pickle" not in path.read_text("utf-8"), path
    assert not (ROOT / "tests" / "__init__.py").exists()


def test_docstrings_say_what_a_thing_does():
    """No docstring opens with a question word (docs/architecture.md, the language of the code)."""
    openings = ("What ", "Who ", "Where ", "Whether ", "Which ", "How ")
    found = []
    for path in PROGRAM:
        for node in ast.walk(tree_of(path)):
            documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            if documented and (ast.get_docstring(node) or "").startswith(openings):
                found.append(f"{shown(path)}:{getattr(node, 'name', 'module')}")
    assert found == []
