"""What an installation has left in the system: every file, folder and link below the folders where one could leave any,
with owner, mode, and the digest of what it holds.
"""

import functools
import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

Facts = dict[str, tuple[object, ...]]

_TOPS = ("/etc", "/run", "/usr", "/var")
# Where everything comes and goes; what has our name counts there.
_PASSING = ("/run", "/var/tmp")
# What changes whatever is done: the records of dpkg and apt themselves, of the journal, a lease, alice's own.
_RECORDS = (
    "/run/user",
    "/var/cache/apt",
    "/var/cache/debconf",
    "/var/cache/ldconfig",
    "/var/lib/apt",
    "/var/lib/dhcp",
    "/var/lib/dpkg",
    "/var/lib/lab-apt",
    "/var/log",
)
# An icon cache, made anew whenever an icon comes or goes; pppd's record of the last name servers that any call was
# given; root has a password while a test is at the desktop.
_OTHERS = {"/usr/share/icons/hicolor/icon-theme.cache", "/etc/ppp/resolv.conf", "/etc/shadow", "/etc/shadow-"}


def note() -> Facts:
    """Return what is there now."""
    found: Facts = {}
    for top in _TOPS:
        for folder, below, files in os.walk(top):
            below[:] = [name for name in below if f"{folder}/{name}" not in _RECORDS]
            for name in below + files:
                if not folder.startswith(_PASSING) or "cablecar" in name:
                    with suppress(FileNotFoundError):  # it has gone meanwhile
                        _add(found, Path(folder, name))
    return found


def changed(before: Facts) -> list[str]:
    """Return the paths that are new, gone or changed since."""
    now = note()
    return sorted(path for path in {*before, *now} - _OTHERS if before.get(path) != now.get(path))


def _add(found: Facts, path: Path) -> None:
    facts = path.lstat()
    held = ""
    if stat.S_ISLNK(facts.st_mode):
        held = os.readlink(path)
    elif stat.S_ISREG(facts.st_mode):
        held = _digest(path, facts.st_ino, facts.st_ctime_ns)
    found[str(path)] = facts.st_uid, facts.st_gid, facts.st_mode, held


@functools.cache
def _digest(path: Path, inode: int, touched: int) -> str:
    """Return the digest of what is in a file. It is the same as long as the kernel has noted no change to its inode."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
