"""Prints the installed models with their checksums, the device, the expressions and the directions.

examples:
  python -m ml_backend info
  python -m ml_backend info --json
"""

import argparse
import hashlib
import json
import platform


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> None:
    """Prints the state of the backend."""
    from ..asset_files import ASSETS
    from ..expression_names import EXPRESSION_NAMES
    from ..models.bilinear_face import BilinearFace
    from ..process.handlers import describe_backend

    models = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(ASSETS.glob("*.safetensors"))
    }
    face = BilinearFace.default()
    state = describe_backend() | {
        "system": f"{platform.system()} {platform.machine()}",
        "models": models,
        "face_model": face.fingerprint(),
        "identity_size": face.identity_size,
        "identity_directions": list(face.direction_names),
        "expressions": list(EXPRESSION_NAMES),
    }
    if args.json:
        print(json.dumps(state, indent=1))
        return
    for key in ("system", "python", "torch", "device", "threads", "face_model", "identity_size"):
        print(f"{key:16} {state[key]}")
    for name, digest in models.items():
        print(f"model            {name} sha256 {digest}")
    print(f"directions       {', '.join(state['identity_directions'])}")
    print(f"expressions      {' '.join(EXPRESSION_NAMES)}")
