"""The guests' trees: what they are built from, where they are kept, and that a half one is never taken for whole."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.host.say import LabError, Ticker, say
from tests.lab.host.system import as_root, mirror

LAB = Path(__file__).resolve().parent.parent
SUITES = {"debian12": "bookworm", "debian13": "trixie"}

_MMDEBSTRAP = [
    "mmdebstrap",
    "--mode=root",
    "--variant=minbase",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
]
# No journal and no checksums: the file system is written once and only read then.
_MKE2FS = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum,^64bit", "-m", "0", "-b", "4096"]
_SPARE_MIB = 128
_KEPT_DAYS = 14


@dataclass(frozen=True)
class Tree:
    """A finished tree in the cache."""

    folder: Path

    @property
    def image(self) -> Path:
        """The root file system."""
        return self.folder / "root.ext4"

    @property
    def kernel(self) -> Path:
        """Debian's kernel."""
        return self.folder / "boot" / "vmlinuz"

    @property
    def busybox(self) -> Path:
        """The static busybox of the RAM disk."""
        return self.folder / "boot" / "busybox"

    @property
    def modules(self) -> list[Path]:
        """The kernel modules of the RAM disk, in the order in which they can be loaded."""
        return sorted((self.folder / "boot" / "modules").iterdir())


def cache_folder() -> Path:
    """Return where trees are kept."""
    chosen = os.environ.get("CABLECAR_LAB_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cablecar-lab"


def packages(guest: str) -> list[str]:
    """Return the Debian packages that GUEST is made of."""
    return sorted({*_listed("common"), *_listed(guest)})


def _listed(name: str) -> list[str]:
    lines = (LAB / "packages" / f"{name}.list").read_text().splitlines()
    return [package for line in lines for package in line.partition("#")[0].split()]


def key(guest: str) -> str:
    """Return the hash of everything that GUEST's tree is made of."""
    recipe = [SUITES[guest], *packages(guest), *_MMDEBSTRAP, *_MKE2FS, (LAB / "host" / "customize").read_text()]
    recipe += _listed("fresh")
    return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:12]


def ensure_tree(guest: str) -> Tree:
    """Return GUEST's tree, built now unless it is in the cache."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    final = cache / f"{guest}-{key(guest)}"
    if not final.is_dir():
        with _locked(cache / f"{guest}.lock", f"another run is building {guest}: waiting for it"):
            if not final.is_dir():
                _build(guest, cache, final)
                _forget_old(guest, cache)
    os.utime(final)
    return Tree(final)


def _forget_old(guest: str, cache: Path) -> None:
    """Remove the trees of GUEST that no run has used for a long time."""
    for folder in cache.glob(f"{guest}-*"):
        if time.time() - folder.stat().st_mtime > _KEPT_DAYS * 86400:
            say(f"removing {folder}, unused for {_KEPT_DAYS} days")
            _remove(folder)


@contextmanager
def _locked(path: Path, waiting: str) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(guest: str, cache: Path, final: Path) -> None:
    """Build GUEST's tree under a temporary name and give it its own when it is whole."""
    for left_over in cache.glob(f"tmp-{guest}-*"):
        _remove(left_over)
    folder = Path(tempfile.mkdtemp(prefix=f"tmp-{guest}-", dir=cache))
    try:
        (folder / "boot").mkdir()
        source = mirror()
        say(
            f"building the tree of {guest}, {len(packages(guest))} packages and what they need, from "
            f"{source or 'Debian'}"
        )
        _mmdebstrap(guest, source, folder)
        say("writing the tree's file system image")
        _image(folder)
        folder.rename(final)
    finally:
        if folder.exists():
            _remove(folder)
    size = sum(path.stat().st_blocks * 512 for path in final.rglob("*") if path.is_file())
    say(f"the tree of {guest} is built: {final} ({size >> 20} MiB)")


def _mmdebstrap(guest: str, source: str | None, folder: Path) -> None:
    command = [
        *as_root(["env", f"LAB_BOOT={folder / 'boot'}", f"LAB_FRESH={' '.join(_listed('fresh'))}"]),
        "SOURCE_DATE_EPOCH=1700000000",
        *_MMDEBSTRAP,
        f"--include={','.join(packages(guest))}",
        f'--customize-hook={LAB / "host" / "customize"} "$1"',
        SUITES[guest],
        str(folder / "tree"),
        *([source] if source else []),
    ]
    ticker = Ticker(guest)
    lines: list[str] = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            line = line.strip()
            lines.append(line)
            if line.startswith("lab: "):
                say(line.removeprefix("lab: "))
            elif re.match(r"(I: |Get:|Unpacking |Setting up |Selecting |Processing )", line):
                ticker.tick(line)
    if process.returncode:
        raise LabError("building the tree failed:\n" + "\n".join(lines[-30:]))


def _image(folder: Path) -> None:
    """Make the file system image from the tree, and the tree go."""
    used = subprocess.run(as_root(["du", "-sk", str(folder / "tree")]), check=True, capture_output=True, text=True)
    mebibytes = int(used.stdout.split()[0]) // 1024 + _SPARE_MIB
    image = folder / "root.ext4"
    image.touch()
    done = subprocess.run(
        as_root([*_MKE2FS, "-d", str(folder / "tree"), str(image), f"{mebibytes}M"]),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise LabError(f"mke2fs failed:\n{done.stdout}{done.stderr}")
    _remove(folder / "tree")
    owner = f"{os.getuid()}:{os.getgid()}"
    subprocess.run(as_root(["chown", "-R", owner, str(folder)]), check=True)
    subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=True)


def _remove(folder: Path) -> None:
    if os.geteuid() == 0:
        shutil.rmtree(folder)
    else:
        subprocess.run(as_root(["rm", "-rf", "--one-file-system", str(folder)]), check=True)
