"""All pieces of a folder: chosen, resumed, done in one process or on a cluster, repeated, and counted."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .items import Item, Outcome, Work, do_item, is_done, parse_shard, record_settings, share_of
from .ray_cluster import local_workers, on_cluster


@dataclass
class JobReport:
    """The ends of all pieces of a job.

    Attributes:
        outcomes: by source, in the order of the items; those that were there already are left out.
        kept: sources whose results were there already.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    @property
    def failed(self) -> dict[str, str]:
        """Errors by source."""
        return {source: outcome.error for source, outcome in self.outcomes.items() if outcome.error}


def add_farm_arguments(parser: argparse.ArgumentParser, again: bool = True) -> None:
    """Declares --shard, --cluster and --again."""
    group = parser.add_argument_group("many machines", "For folders; see docs/farm.md.")
    group.add_argument(
        "--shard",
        default="",
        metavar="I/N",
        help="do every N-th file alone, beginning with the I-th: one piece for each job of a scheduler",
    )
    group.add_argument(
        "--cluster",
        default="",
        metavar="WHERE",
        help="work on Ray: local (all processors), local:4 (workers), or the address of a cluster",
    )
    if again:
        group.add_argument("--again", action="store_true", help="make results anew that are there already")


def check_farm_arguments(args: argparse.Namespace) -> None:
    """Raises UserError where --shard or --cluster cannot be read."""
    if args.shard:
        parse_shard(args.shard)
    if args.cluster:
        local_workers(args.cluster)


def run_folder_job(
    items: Sequence[Item],
    work: Work,
    settings: dict[str, Any],
    out: Path,
    args: argparse.Namespace,
    quiet: bool = False,
) -> JobReport:
    """Does every piece of a job once, and those that failed once more; prints a line for each and a list.

    A result that is there and was made with the same settings is left as it is, so a job that was cut off
    goes on where it stopped.

    Args:
        items: all pieces of the folder.
        work: makes one.
        settings: the options that shape the results, for the record beside them.
        out: folder of the results.
        args: --shard, --cluster, --again.
        quiet: print no lines of pieces that went well, for --json.

    Raises:
        UserError: an option cannot be read, Ray is missing, or `out` cannot be written.
    """
    chosen = share_of(items, args.shard)
    record = record_settings(out, settings)
    report = JobReport()
    todo = []
    for item in chosen:
        if not getattr(args, "again", False) and is_done(item, record):
            report.kept.append(item.source)
        else:
            todo.append(item)
    if report.kept:
        _say(f"{len(report.kept)} of {len(chosen)} were there already")
    _work_through(todo, work, args.cluster, report, quiet)
    broken = [item for item in todo if item.source in report.failed]
    if broken:
        _say(f"once more: {len(broken)} that failed")
        _work_through(broken, work, args.cluster, report, quiet)
    report.outcomes = {
        item.source: report.outcomes[item.source] for item in todo if item.source in report.outcomes
    }
    for source, error in report.failed.items():
        _say(f"failed: {source}: {error}")
    return report


def _work_through(items: Sequence[Item], work: Work, cluster: str, report: JobReport, quiet: bool) -> None:
    began = time.monotonic()
    ends: Iterable[tuple[Item, Outcome]]
    ends = on_cluster(cluster, work, items) if cluster else _one_after_another(work, items)
    for number, (item, outcome) in enumerate(ends, 1):
        report.outcomes[item.source] = outcome
        counted = f"{number} of {len(items)}{_time_left(time.monotonic() - began, number, len(items))}"
        for note in outcome.notes:
            _say(f"note: {note}")
        if outcome.error:
            _say(f"{counted}  error: {outcome.error}")
        elif outcome.line and not quiet:
            print(f"{counted}  {outcome.line}", flush=True)


def _one_after_another(work: Work, items: Sequence[Item]) -> Iterator[tuple[Item, Outcome]]:
    for item in items:
        yield item, do_item(work, item)


def _time_left(spent: float, done: int, total: int) -> str:
    left = spent / done * (total - done)
    return f", {left / 60:.0f} min left" if left > 90 and done > 4 else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
