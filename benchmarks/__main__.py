"""Measures all benchmark rows and writes them as JSON and as a table.

python -m benchmarks --out build/bench.json
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from . import backend_rows


def main() -> int:
    """Runs every row; the Blender ones in a process of their own."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench.json"), help="the JSON file (default: build/bench.json)"
    )
    args = parser.parse_args()
    rows = backend_rows.rows()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        log = Path(folder) / "log"
        with log.open("wb") as output:
            status = subprocess.run(
                [sys.executable, "-m", "benchmarks.blender_rows", str(path)], stdout=output, stderr=output
            ).returncode
        if not path.is_file():
            print(log.read_text("utf-8", "replace")[-3000:], file=sys.stderr)
            print(
                f"error: the Blender rows ended with status {status}; the lines above say why",
                file=sys.stderr,
            )
            return 1
        rows |= json.loads(path.read_text())
    result = {"machine": {"cores": os.cpu_count(), "system": platform.platform()}, "rows": rows}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    width = max(map(len, rows))
    for name, row in rows.items():
        print(f"{name:{width}}  " + ", ".join(f"{key} {value}" for key, value in row.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
