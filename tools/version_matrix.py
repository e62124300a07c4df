"""Writes the matrix of Blender versions and tests into the README, from the last complete test runs.

make test-blender test-versions        # and, with Python 3.13, make test-blender-5.2
python -m tools.version_matrix    # --check only says whether the README agrees
"""

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "results"
README = ROOT / "README.md"
WORKER_NAME = "worker Python "
BEGIN, END = "<!-- version matrix: begin -->", "<!-- version matrix: end -->"


@dataclass
class Count:
    """Tests of one file in one version of Blender."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        said = [f"{self.passed} passed"] if self.passed else []
        said += [f"**{self.failed} failed**"] if self.failed else []
        return ", ".join(said + ([f"{self.skipped} skipped"] if self.skipped else [])) or "-"


def read_results(path: Path) -> dict[str, Count]:
    """By test file, what a run counted.

    Args:
        path: JUnit XML that pytest wrote.

    Raises:
        SystemExit: the file is not such a file; it is named.
    """
    counts: dict[str, Count] = defaultdict(Count)
    for case in _parsed(path).iter("testcase"):
        count = counts[(case.get("classname") or "").rpartition(".")[2].removeprefix("test_")]
        if case.find("failure") is not None or case.find("error") is not None:
            count.failed += 1
        elif case.find("skipped") is not None:
            count.skipped += 1
        else:
            count.passed += 1
    return counts


def worker_python(path: Path) -> str:
    """The Python that the worker of a run was, such as 3.13; "-" where the run does not say.

    Args:
        path: JUnit XML that `tests/blender/run.py` wrote: the name of its suite says so.

    Raises:
        SystemExit: the file is not such a file; it is named.
    """
    suite = next(_parsed(path).iter("testsuite"), None)
    name = suite.get("name", "") if suite is not None else ""
    return name.removeprefix(WORKER_NAME) if name.startswith(WORKER_NAME) else "-"


def _parsed(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"error: {path}: not a run's results ({error}); run the tests of that version again")


def matrix(results: dict[str, dict[str, Count]], workers: dict[str, str]) -> str:
    """The Markdown table.

    Args:
        results: by version, then by test file.
        workers: by version the Python of the worker.
    """
    versions = sorted(results, key=lambda version: tuple(map(int, version.split("."))))
    lines = [
        f"| tests | {' | '.join(f'Blender {version}' for version in versions)} |",
        f"|---|{'---|' * len(versions)}",
        f"| Python of the worker | {' | '.join(workers.get(version, '-') for version in versions)} |",
    ]
    for name in sorted({name for counts in results.values() for name in counts}):
        counts = " | ".join(str(results[version].get(name, Count())) for version in versions)
        lines.append(f"| {name.replace('_', ' ')} | {counts} |")
    totals = [sum((counts.passed for counts in results[version].values()), 0) for version in versions]
    lines.append(f"| **all** | {' | '.join(f'**{total}**' for total in totals)} |")
    return "\n".join(lines)


def with_table(text: str, table: str) -> str:
    """The README with the table between its marks.

    Raises:
        SystemExit: the marks are missing.
    """
    if BEGIN not in text or END not in text:
        sys.exit(f"error: README.md lacks {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


def main() -> int:
    """Reads, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; the status says whether the README agrees"
    )
    args = parser.parse_args()
    files = {path.stem.removeprefix("blender-"): path for path in sorted(RESULTS.glob("blender-*.xml"))}
    if not files:
        sys.exit(f"error: {RESULTS} holds no results; run `make test-blender test-versions` first")
    text = README.read_text("utf-8")
    table = matrix(
        {version: read_results(path) for version, path in files.items()},
        {version: worker_python(path) for version, path in files.items()},
    )
    updated = with_table(text, table)
    if args.check:
        return int(text != updated)
    README.write_text(updated, "utf-8")
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
