"""Commands whose second word names a model: `train dnpm`, `evaluate speech`."""

import argparse
import importlib
from collections.abc import Mapping

Modules = Mapping[str, tuple[str, str]]
"""By word: a module relative to this package, with `add_arguments` and `run`; one line of help."""


def summary(verb: str, modules: Modules) -> str:
    """Returns one line of help for the command, with the names of all its models."""
    return f"{verb}: {', '.join(modules)}"


def add_model_subcommands(parser: argparse.ArgumentParser, command: str, modules: Modules) -> None:
    """Declares one subcommand for each model; only the chosen one's module is imported.

    Args:
        parser: the command's parser; its description gets an example for each model.
        command: the command's name.
        modules: by word.
    """
    examples = "\n".join(f"  python -m ml_backend {command} {word} --help" for word in modules)
    parser.description = f"{(parser.description or '').rstrip()}\n\nexamples:\n{examples}"
    words = parser.add_subparsers(dest="model", required=True, metavar="MODEL")
    for word, (module_name, line) in modules.items():
        chosen = words.add_parser(word, help=line, formatter_class=argparse.RawDescriptionHelpFormatter)
        if word in (parser.get_default("argv") or ()):
            module = importlib.import_module(module_name, __package__)
            chosen.description = module.__doc__
            module.add_arguments(chosen)
            chosen.set_defaults(run_model=module.run)
