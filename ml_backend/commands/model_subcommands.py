"""Commands whose second word names a model: `train dnpm`, `evaluate speech`."""

import argparse
import importlib


def add_second_word(parser: argparse.ArgumentParser, title: str, modules: dict[str, tuple[str, str]]) -> None:
    """Declares subcommands; only the chosen one's module is imported.

    Args:
        parser: the command's parser.
        title: what the second word names.
        modules: by word: (module relative to this package, with `add_arguments` and `run`; one line of help).
    """
    words = parser.add_subparsers(dest=title, required=True, metavar=title.upper())
    for word, (module_name, summary) in modules.items():
        command = words.add_parser(word, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if word in (parser.get_default("argv") or ()):
            module = importlib.import_module(module_name, __package__)
            command.description = module.__doc__
            module.add_arguments(command)
            command.set_defaults(run_second=module.run)
