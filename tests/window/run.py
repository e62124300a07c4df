"""Runs `session.py` in a full Blender with a window of its own, and leaves with its status.

    .venv/bin/python tests/window/run.py [steps]        # as root: it makes and enters a folder with Debian 13

The folder is made once (two minutes, 1.8 GB) in the user's cache, or where D3DMM_WINDOW_ROOT says. Blender
runs there under a virtual screen, inside a mount namespace that ends with it; the extension is installed from
its zip into a user folder whose path has spaces and non-Latin letters; the worker runs on this interpreter.
Screenshots and report.json go to build/window.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "window"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
DEBIAN = Path(os.environ.get("D3DMM_WINDOW_ROOT") or CACHE / "detailed3dmm" / "trixie")
DRAWING = "xvfb libgl1-mesa-dri libegl1 libegl-mesa0 libglx-mesa0 imagemagick openbox"
PACKAGES = f"blender python3-numpy python3-requests python3-xlib {DRAWING}".split()
TIME_LIMIT = 3000
SCREEN = (1600, 1200)

INSTALL = """
set -e
mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mount -t sysfs sys "$1/sys"
chroot "$1" apt-get update -qq
DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get install -y -qq --no-install-recommends $2 >/dev/null
echo "$2" > "$1/.complete"
"""

# $1 the Debian folder, $2 places of this machine that it needs, one a line, $3 and $4 the screen's size, the
# rest: Blender's arguments.
SESSION = """
set -e
debian=$1; places=$2; width=$3; height=$4; shift 4
mount -t proc proc "$debian/proc"; mount --rbind /dev "$debian/dev"; mount -t sysfs sys "$debian/sys"
mount -t tmpfs tmpfs "$debian/tmp"
while IFS= read -r place; do
  if test -d "$place"; then mkdir -p "$debian$place"
  else mkdir -p "$debian$(dirname "$place")"; touch "$debian$place"; fi
  mount --rbind "$place" "$debian$place"
done <<< "$places"
user="/tmp/用户 résumé/Blender"
mkdir -p "$debian$user"
export DISPLAY=:77 LIBGL_ALWAYS_SOFTWARE=1 BLENDER_USER_RESOURCES="$user"
export HOME=/root LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
chroot "$debian" Xvfb :77 -screen 0 "${width}x${height}x24" +extension GLX -nolisten tcp >/dev/null 2>&1 &
screen=$!
for attempt in $(seq 50); do test -S "$debian/tmp/.X11-unix/X77" && break; sleep 0.1; done
chroot "$debian" openbox >/dev/null 2>&1 &
manager=$!
status=0
set -- --factory-startup --enable-event-simulate -p 0 0 "$width" "$height" "$@"
chroot "$debian" timeout -k 10 "$D3DMM_SECONDS" blender "$@" || status=$?
kill $manager $screen 2>/dev/null || true
exit $status
"""


def make_debian() -> None:
    """Unpacks Debian 13 with Blender, unless it is there."""
    stamp, packages = DEBIAN / ".complete", " ".join(PACKAGES)
    if stamp.exists() and stamp.read_text().strip() == packages:
        return
    if not stamp.exists():
        unpack_debian()
    if in_namespace(INSTALL, [str(DEBIAN), packages]):
        sys.exit(f"error: Blender cannot be installed in {DEBIAN}; the lines above say why")


def unpack_debian() -> None:
    """Makes the folder with the bare system."""
    if shutil.which("debootstrap") is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"], check=True
        )
    print(f"making Debian 13 with Blender in {DEBIAN} (some minutes, 1.8 GB)", flush=True)
    DEBIAN.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", "trixie", str(DEBIAN), mirror()],
        check=True,
    )
    for name in ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt"):
        if Path("/", name).exists():
            shutil.copyfile(f"/{name}", DEBIAN / name)
    for path in Path("/etc/apt/apt.conf.d").iterdir():
        shutil.copyfile(path, DEBIAN / "etc/apt/apt.conf.d" / path.name)


def mirror() -> str:
    """Returns the Debian archive that D3DMM_DEBIAN_MIRROR names, or the one of this machine's packages."""
    if os.environ.get("D3DMM_DEBIAN_MIRROR"):
        return os.environ["D3DMM_DEBIAN_MIRROR"]
    places = [Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")]
    for path in places:
        for line in path.read_text().splitlines() if path.exists() else []:
            word = line.split()
            if len(word) > 1 and word[0] in ("URIs:", "deb") and "ubuntu" not in line:
                return next(part for part in word[1:] if "://" in part)
    sys.exit("error: the apt sources of this machine name no Debian archive; set D3DMM_DEBIAN_MIRROR to one")


def in_namespace(script: str, arguments: list[str], log: IO[str] | None = None) -> int:
    """Runs a shell script whose mounts end with it; its exit status."""
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", script, "x", *arguments]
    return subprocess.run(command, stdout=log, stderr=log, check=False).returncode


def needed_places() -> list[str]:
    """Returns the folders that Blender must see: the repository, the environment, and its Python."""
    base, environment = os.path.realpath(sys.base_prefix), os.path.realpath(sys.prefix)
    places = [str(ROOT)]
    if not Path(environment).is_relative_to(ROOT):  # `.venv` may be a link to that of another checkout
        places.append(environment)
    if base != "/usr":
        return [*places, base]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"  # the rest of /usr is Debian 13's
    return [*places, f"/usr/bin/{version}", f"/usr/lib/{version}"]


def main() -> int:
    """Prepares, runs, reports."""
    if os.geteuid() != 0:
        print(
            "A folder with Debian is entered as root; run this line instead:  sudo make test-window",
            file=sys.stderr,
        )
        return 1
    make_debian()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    sys.path.insert(0, str(ROOT))
    from tools.package import build

    archive = build(OUT / "zip")
    os.environ["D3DMM_SECONDS"] = str(TIME_LIMIT)
    script = Path(__file__).with_name("session.py")
    arguments = ["--python", str(script), "--", str(archive), sys.executable, str(OUT), *sys.argv[1:]]
    with (OUT / "blender.log").open("w") as log:
        status = in_namespace(
            SESSION, [str(DEBIAN), "\n".join(needed_places()), *map(str, SCREEN), *arguments], log
        )
    archive.unlink()  # ninety megabytes that `make package` makes as well
    return report(status)


def report(status: int) -> int:
    """Prints what the session found; the true status."""
    path = OUT / "report.json"
    if not path.exists():
        print(
            f"error: Blender ended with {status} before it reported; see {OUT / 'blender.log'}",
            file=sys.stderr,
        )
        return status or 1
    found = json.loads(path.read_text())
    for row in found["checks"]:
        print(
            f"{'ok    ' if row['ok'] else 'FAILED'} {row['name']}"
            + (f": {row['note']}" if row["note"] else "")
        )
    print(json.dumps(found["measured"], indent=1))
    failed = sum(not row["ok"] for row in found["checks"])
    log = (OUT / "blender.log").read_text("utf-8", "replace")
    if "Traceback" in log:
        failed += 1
        print("FAILED no traceback in Blender's log:\n" + log[log.index("Traceback") :][:2000])
    if not found["finished"]:
        print(
            f"error: the session did not end within {TIME_LIMIT} s, or ended early; "
            f"see {OUT / 'blender.log'}",
            file=sys.stderr,
        )
    print(
        f"{len(found['checks'])} checks, {failed} failed, {len(list(OUT.glob('*.png')))} screenshots in {OUT}"
    )
    return 1 if failed or not found["finished"] else status


if __name__ == "__main__":
    sys.exit(main())
