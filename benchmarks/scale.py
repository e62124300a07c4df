"""Measures folders on many processes: the same clips on one process and on local Ray clusters.

python -m benchmarks.scale                                     # 200 clips; one process, 2 and 4 workers
python -m benchmarks.scale --count 40 --seconds 10 --workers 2 --out build/scale.json

For each cluster: whether every output is there once and equal to the one-process output, whether anything was
left half-written, and the seconds over the ideal (one process's by the workers that the processors can feed),
whole and from the first result on: a cluster takes some seconds to start. The last cluster runs once more,
with one of its workers killed. Linux and macOS.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "ml_backend" / "assets" / "demo_speech.wav"
_WORKER = "ray::do_item"


def make_clips(folder: Path, count: int, seconds: float) -> None:
    """Writes clips, each another part of the demo's speech, which is repeated where it ends."""
    import soundfile

    sound, rate = soundfile.read(DEMO)
    folder.mkdir(parents=True)
    for number in range(count):
        start = number * len(sound) // count
        parts = np.arange(start, start + int(seconds * rate)) % len(sound)
        soundfile.write(folder / f"{number:04}.wav", sound[parts], rate)


@dataclass(frozen=True)
class Run:
    """A folder that was animated.

    Attributes:
        seconds: it took.
        start: seconds until the first result was there.
        killed: number of workers that were killed.
    """

    seconds: float
    start: float
    killed: int


def animate(clips: Path, out: Path, cluster: str = "", kill_one: bool = False) -> Run:
    """Animates a folder, on a cluster or in one process."""
    command = [sys.executable, "-m", "ml_backend", "animate", str(clips), "--out", str(out)]
    began = time.monotonic()
    process = subprocess.Popen(
        command + (["--cluster", cluster] if cluster else []),
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed, start = 0, 0.0
    while process.poll() is None:
        done = len(list(out.glob("*.csv"))) if out.is_dir() else 0
        start = start or (time.monotonic() - began if done else 0.0)
        if kill_one and not killed and done >= 3:
            working = busy_workers(process.pid)
            if working:
                os.kill(working[0], signal.SIGKILL)
                killed = 1
        time.sleep(0.05)
    assert process.stderr is not None
    said = process.stderr.read()
    if process.returncode:
        sys.exit(f"error: {' '.join(command)}: {said[-2000:]}")
    return Run(time.monotonic() - began, start, killed)


def busy_workers(ancestor: int) -> list[int]:
    """Returns the process ids of Ray's workers below a process that work on a clip now."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    parents = {int(row[0]): int(row[1]) for row in rows}

    def below(pid: int) -> bool:
        while pid in parents and pid != ancestor:
            pid = parents[pid]
        return pid == ancestor

    return [int(row[0]) for row in rows if row[2].startswith(_WORKER) and below(int(row[0]))]


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the bytes of each file by its place in the folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def main() -> None:
    """Measures and prints JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200, help="clips (default: 200)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a clip (default: 2)")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "scale")
    parser.add_argument("--out", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    clips = args.folder / "clips"
    make_clips(clips, args.count, args.seconds)
    alone = animate(clips, args.folder / "one")
    wanted = contents(args.folder / "one")
    runs = [(workers, False) for workers in args.workers] + [(args.workers[-1], True)]
    processors = os.cpu_count() or 1
    figures: dict = {"clips": args.count, "clip_seconds": args.seconds, "processors": processors}
    figures["one_process"] = {"seconds": round(alone.seconds, 1), "start": round(alone.start, 1)}
    for workers, kill_one in runs:
        out = args.folder / f"workers-{workers}{'-killed' if kill_one else ''}"
        run = animate(clips, out, f"local:{workers}", kill_one)
        able = min(workers, processors)
        made = contents(out)
        name = f"{workers}_workers" + ("_one_killed" if kill_one else "")
        figures[name] = {
            "seconds": round(run.seconds, 1),
            "start": round(run.start, 1),
            "over_ideal": round(run.seconds * able / alone.seconds, 2),
            "over_ideal_after_start": round(
                (run.seconds - run.start) * able / (alone.seconds - alone.start), 2
            ),
            "equal": sum(made.get(path) == content for path, content in wanted.items()),
            "of": len(wanted),
            "others": sorted(set(made) - set(wanted)),
            "workers_killed": run.killed,
        }
    text = json.dumps(figures, indent=1)
    if args.out:
        args.out.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
