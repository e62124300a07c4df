"""A line on the terminal that says how far a command is; it goes nowhere where nobody watches."""

import sys


def print_progress(share: float, text: str) -> None:
    """Writes the share done, 0 to 1, and what is being done, over the line before."""
    if sys.stderr.isatty():
        print(
            f"\r{100 * share:3.0f} % {text:60.60s}",
            end="\n" if share >= 1 else "",
            file=sys.stderr,
            flush=True,
        )
