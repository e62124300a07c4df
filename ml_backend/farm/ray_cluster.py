"""Pieces of work on a Ray cluster: one that is there, or one of local processes that ends with the job."""

import importlib
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import UserError
from .items import Item, Outcome, Work, do_item

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 10.0
"""Seconds in which a cluster must take a connection."""
_TRIES = 4
"""Starts of a local cluster; on a busy machine Ray's own patience of half a minute may end."""
_WAITING = 4
"""Pieces for each processor that are handed to the cluster at a time."""


def local_workers(cluster: str) -> int | None:
    """Returns the workers of "local" (all processors) or "local:N"; None for the address of a cluster.

    Raises:
        UserError: N is no positive number.
    """
    kind, _, count = cluster.partition(":")
    if kind != "local":
        return None
    if count and not (count.isdecimal() and int(count)):
        raise UserError(f"--cluster {cluster}: not a number of workers.", "Give local, or local:4.")
    return int(count) if count else os.cpu_count() or 1


def connect(cluster: str) -> ModuleType:
    """Starts or joins a cluster; returns Ray.

    Workers find this installation at the same path as here.

    Raises:
        UserError: Ray is not installed, or nothing answers at the address.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise UserError("--cluster needs Ray, which is not installed.", "pip install ray") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    workers = local_workers(cluster)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    settings: dict[str, Any] = {
        "runtime_env": {"env_vars": {"PYTHONPATH": os.pathsep.join(paths), **_passed_on()}},
        "log_to_driver": False,
        "logging_level": "ERROR",
    }
    if workers is None:
        _check_address(cluster)
        settings["address"] = cluster
    else:
        settings |= {"address": "local", "num_cpus": workers, "include_dashboard": False}
    for tries_left in reversed(range(_TRIES)):
        try:
            ray.init(**settings)
            break
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise _silent(cluster, error) from error
        except Exception as error:  # Ray has no class of its own for this
            if "timed out during startup" not in str(error):
                raise
            ray.shutdown()
            if not tries_left:
                raise UserError(
                    f"--cluster {cluster}: Ray did not start in time.",
                    "The machine is too busy; wait, or work without --cluster.",
                ) from error
    return ray


def _check_address(cluster: str) -> None:
    """Raises UserError unless something listens at HOST:PORT; Ray itself would try for minutes."""
    host, separator, port = cluster.removeprefix("ray://").rpartition(":")
    if separator:
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
        except (OSError, ValueError, OverflowError) as error:
            raise _silent(cluster, error) from error


def _silent(cluster: str, error: Exception) -> UserError:
    return UserError(
        f"--cluster {cluster}: no Ray cluster answers there ({str(error).splitlines()[0]}).",
        "Start one with: ray start --head; or use --cluster local.",
    )


def _passed_on() -> dict[str, str]:
    names = ("DETAILED3DMM_ASSETS", "PYTORCH_ENABLE_MPS_FALLBACK")
    return {name: os.environ[name] for name in names if name in os.environ}


def on_cluster(cluster: str, work: Work, items: Sequence[Item]) -> Iterator[tuple[Item, Outcome]]:
    """Yields items with their outcomes as they come.

    A piece whose worker died is done again by another, three times at most.

    Args:
        cluster: "local", "local:N", or the address of a Ray cluster ("auto", "HOST:PORT", "ray://HOST:PORT").
        work: cloudpickle carries it to the workers.
        items: in the order in which they begin.

    Raises:
        UserError: see `connect`.
    """
    if not items:
        return
    ray = connect(cluster)
    try:
        resources = ray.cluster_resources()
        processors = max(1, int(resources.get("CPU", 1)))
        graphics = round(min(1.0, resources.get("GPU", 0) / processors), 4)
        task = ray.remote(num_cpus=1, num_gpus=graphics, max_retries=3)(do_item)
        carried = ray.put(work)
        waiting = list(reversed(items))
        running: dict[Any, Item] = {}
        while waiting or running:
            while waiting and len(running) < _WAITING * processors:
                item = waiting.pop()
                running[task.remote(carried, item)] = item
            ended, _ = ray.wait(list(running), num_returns=1)
            for reference in ended:
                yield running.pop(reference), _outcome(ray, reference)
    finally:
        ray.shutdown()


def _outcome(ray: ModuleType, reference: Any) -> Outcome:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return Outcome(error=f"Its worker died: {str(error).strip().splitlines()[0]}")
