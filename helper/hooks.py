"""`python3 -I -m cablecar.helper.hooks up|down`: runs the scripts that follow a link's coming up and going down.

First /etc/resolv.conf gets its servers (`resolver.py`), then the distribution's /etc/ppp/ip-up (ip-down), then
/etc/ppp/ip-up.d/NAME/* (ip-down.d/NAME/*) in order, all with pppd's variables. /usr/lib/cablecar/ip-up has systemd
start it, outside of the cage of the call; it knows neither the helper nor a bus, and it must not run what anybody but
root could have written. What goes wrong with one script is told, in the journal and in the call's log, and hinders no
other script and no call.

/run/cablecar/NAME.hooks says what has come up and has not gone down; its lock is held as long as scripts run, so that
those of one link never overlap. Whoever finds the record of a call that has died takes that down first. A script is
noted there before it goes down, so that whoever goes on after a kill runs none twice.

A call's end waits for it: it imports little.
"""

import fcntl
import json
import os
import re
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from cablecar.helper.names import LINK_NAME
from cablecar.helper.resolver import SERVERS, STATE, Resolver

CONFIGURATION: Final = "/etc/ppp"
LIMIT: Final = 30.0  # seconds for each script
PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
MAX_RECORD: Final = 65536  # bytes
MAX_SYMLINKS: Final = 40  # as the kernel's

_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_ADDRESS: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
# The variables of pppd that are handed on, and what each may hold. What the peer says of itself (PEERNAME and the
# like) is not among them.
VARIABLES: Final = {
    "LINKNAME": LINK_NAME,
    "CALL_FILE": LINK_NAME,
    "IFNAME": re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}"),
    "DEVICE": re.compile(r"/dev/[A-Za-z0-9_/-]{1,64}"),
    "PPPLOGNAME": re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,31}"),
    **dict.fromkeys(("SPEED", "UNIT", "PPPD_PID", "ORIG_UID", "USEPEERDNS", "USEPEERWINS"), _NUMBER),
    **dict.fromkeys(("CONNECT_TIME", "BYTES_SENT", "BYTES_RCVD"), _NUMBER),
    **dict.fromkeys(("IPLOCAL", "IPREMOTE", "OLDIPLOCAL", "OLDIPREMOTE"), _ADDRESS),
    **dict.fromkeys(("DNS1", "DNS2", "WINS1", "WINS2"), _ADDRESS),
}
# What pppd gives its scripts as arguments, and Debian's ip-up by these names.
_ARGUMENTS: Final = {
    "PPP_IFACE": "IFNAME",
    "PPP_TTY": "DEVICE",
    "PPP_SPEED": "SPEED",
    "PPP_LOCAL": "IPLOCAL",
    "PPP_REMOTE": "IPREMOTE",
    "PPP_IPPARAM": "LINKNAME",
}
_LEFTOVER: Final = re.compile(r"\..*|.*~|#.*#|.*\.dpkg-.*", re.DOTALL)
_WARNING: Final = 4  # sd-daemon(3)
_INFO: Final = 6


class Record(NamedTuple):
    """What has come up.

    Attributes:
        variables: pppd's variables of then.
        begun: The scripts that have been run to take it down.
    """

    variables: dict[str, str]
    begun: list[str]


class Hooks:
    """The scripts of one link.

    Args:
        link: The link's name.
        configuration: `/etc/ppp`.
        state: `/run/cablecar`.
        trusted: The folder whose own safety is not looked at.
        limit: Seconds for each script.
        resolver: Owns /etc/resolv.conf.
    """

    def __init__(
        self,
        link: str,
        configuration: str = CONFIGURATION,
        state: str = str(STATE),
        trusted: str = "/",
        limit: float = LIMIT,
        resolver: Resolver | None = None,
    ) -> None:
        self._link = link
        self._configuration = configuration
        self._state = state
        self._trusted = trusted
        self._limit = limit
        self._resolver = resolver or Resolver(lambda text: self._tell(_WARNING, text), state=Path(state))

    def up(self, variables: dict[str, str]) -> None:
        """Run what follows the link's coming up, unless the call has ended meanwhile."""
        with self._record() as file:
            last = self._read(file)
            if last is not None and _is_running(last.variables):
                if last.variables.get("PPPD_PID") != variables.get("PPPD_PID"):
                    self._tell(_WARNING, "another call of the link is up; nothing is run for this one")
                    return
            elif last is not None:
                self._take_down(file, last)
            # Written first: when pppd dies after the look at it, the helper finds the record.
            _write(file, Record(variables, []))
            if not _is_running(variables):
                os.ftruncate(file, 0)
                return
            variables = self._resolver.up(self._link, variables)
            _write(file, Record(variables, []))
            for path in self._scripts("up"):
                self._run(path, variables)

    def down(self, variables: dict[str, str]) -> None:
        """Run what follows the going down of the call that is up: pppd's word for its own, or that it has died."""
        with self._record() as file:
            last = self._read(file)
            if last is None:
                return
            if variables.get("PPPD_PID") == last.variables.get("PPPD_PID"):
                # A pppd that is past the end of its interface has forgotten some of them.
                told = {name: value for name, value in variables.items() if name not in SERVERS}
                self._take_down(file, Record({**last.variables, **told}, last.begun))
            elif not _is_running(last.variables):
                self._take_down(file, last)

    def _take_down(self, file: int, record: Record) -> None:
        self._resolver.down(self._link)
        for path in self._scripts("down"):
            if path not in record.begun:
                record.begun.append(path)
                _write(file, record)
                self._run(path, record.variables)
        os.ftruncate(file, 0)

    @contextmanager
    def _record(self) -> Iterator[int]:
        """Hold the link's record, which is removed afterwards when it is empty."""
        os.makedirs(self._state, mode=0o700, exist_ok=True)
        path = f"{self._state}/{self._link}.hooks"
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(path)):
                    break
            os.close(file)  # whoever held it has removed it
        try:
            yield file
        finally:
            if os.fstat(file).st_size == 0:
                os.unlink(path)
            os.close(file)

    def _read(self, file: int) -> Record | None:
        data = os.pread(file, MAX_RECORD, 0)
        if not data:
            return None
        try:
            variables, begun = json.loads(data)
            return Record(accepted(variables), [str(path) for path in begun])
        except (ValueError, TypeError, AttributeError):
            self._tell(_WARNING, "it is not known what is up: the record is damaged")
            os.ftruncate(file, 0)
            return None

    def _scripts(self, way: str) -> Iterator[str]:
        """Yield what there is to run, and tell of what is not."""
        distribution = f"{self._configuration}/ip-{way}"
        if os.path.lexists(distribution) and self._may_run(distribution):
            yield distribution
        folder = f"{self._configuration}/ip-{way}.d/{self._link}"
        if not os.path.lexists(folder):
            return
        if why := unsafe(folder, self._trusted):
            self._tell(_WARNING, f"nothing in {_shown(folder)} is run: {why}")
            return
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            self._tell(_WARNING, f"nothing in {_shown(folder)} is run: {error.strerror}")
            return
        for name in names:
            path = f"{folder}/{name}"
            if _LEFTOVER.fullmatch(name):
                self._tell(_WARNING, f"{_shown(path)} is not run: by its name an editor or dpkg has left it")
            elif self._may_run(path):
                yield path

    def _may_run(self, path: str) -> bool:
        why = unsafe(path, self._trusted) or _unusable(path)
        if why:
            self._tell(_WARNING, f"{_shown(path)} is not run: {why}")
        return not why

    def _run(self, path: str, variables: Mapping[str, str]) -> None:
        """Run one script to its end or to the limit, and tell how it ended."""
        arguments = {name: variables.get(source, "") for name, source in _ARGUMENTS.items()}
        before = _processes()
        try:
            child = subprocess.Popen(
                [path, *arguments.values()],
                env={"PATH": PATH, **variables, **arguments},
                stdin=subprocess.DEVNULL,
                cwd="/",
                umask=0o077,  # pppd's
                start_new_session=True,
            )
        except OSError as error:
            self._tell(_WARNING, f"{_shown(path)} cannot be run: {error.strerror}. Is its first line like #!/bin/sh?")
            return
        ended = os.pidfd_open(child.pid)
        in_time = bool(select.select([ended], [], [], self._limit)[0])
        os.close(ended)
        if not in_time:
            os.killpg(child.pid, signal.SIGKILL)
        self._tell_end(path, child.wait(), in_time)
        if left := _processes() - before:
            pids = " ".join(map(str, sorted(left)))
            self._tell(_WARNING, f"{_shown(path)} has ended and left running: {pids}")

    def _tell_end(self, path: str, status: int, in_time: bool) -> None:
        if not in_time:
            self._tell(_WARNING, f"{_shown(path)} was killed: it took longer than {self._limit:.0f} s")
        elif status < 0:
            self._tell(_WARNING, f"{_shown(path)} failed: signal {-status} ended it")
        elif status > 0:
            self._tell(_WARNING, f"{_shown(path)} failed: exit status {status}")
        else:
            self._tell(_INFO, f"{_shown(path)} ran")

    def _tell(self, priority: int, text: str) -> None:
        sys.stderr.write(f"<{priority}>link {self._link}: {text}\n")
        sys.stderr.flush()
        with suppress(OSError):  # there is none when `pon` called, and then nobody reads it
            # O_NONBLOCK: a FIFO put in its place must not hold us.
            flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(f"{self._state}/{self._link}.log", flags), "wb") as log:
                log.write(f"hook: {text}\n".encode())


def accepted(variables: Mapping[str, str]) -> dict[str, str]:
    """Return those variables of pppd that hold what they may hold."""
    return {name: variables[name] for name in VARIABLES if VARIABLES[name].fullmatch(variables.get(name, ""))}


def unsafe(path: str, trusted: str) -> str:
    """Return why `path` may be somebody else's than root's, empty when it cannot be."""
    try:
        for place in _places(path):
            if os.path.commonpath([place, trusted]) == place:
                continue
            if why := others_may_write(place):
                return why
    except OSError as error:
        return f"{_shown(error.filename or path)}: {error.strerror}"
    return ""


def others_may_write(place: str) -> str:
    """Return why one file or folder, which is no symbolic link, may be somebody else's; empty when it cannot be."""
    facts = os.lstat(place)
    if facts.st_uid not in (0, os.geteuid()):
        return f"{_shown(place)} does not belong to root"
    if facts.st_mode & 0o022:
        return f"others than root may write to {_shown(place)} (chmod go-w cures that)"
    return ""


def _places(path: str) -> Iterator[str]:
    """Yield each folder on the way to `path` through all symbolic links, and at last the file itself."""
    place, rest, links = "/", path.split("/")[::-1], 0
    while rest:
        name = rest.pop()
        if name == "..":
            place = os.path.dirname(place)
        elif name not in ("", "."):
            step = os.path.join(place, name)
            if os.path.islink(step):
                links += 1
                if links > MAX_SYMLINKS:
                    raise OSError(0, "too many symbolic links", path)
                target = os.readlink(step)
                place = "/" if target.startswith("/") else place
                rest += target.split("/")[::-1]
            else:
                place = step
                yield place


def _unusable(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return str(error.strerror)
    if not stat.S_ISREG(mode):
        return "it is no file"
    return "" if mode & 0o111 else "it is not executable (chmod +x cures that)"


def _write(file: int, record: Record) -> None:
    data = json.dumps(record).encode()
    os.pwrite(file, data, 0)
    os.ftruncate(file, len(data))


def _is_running(variables: Mapping[str, str]) -> bool:
    """Return whether the pppd that set these variables lives."""
    try:
        with open(f"/proc/{variables.get('PPPD_PID', '')}/comm") as file:
            return file.read() == "pppd\n"
    except OSError:
        return False


def _processes() -> set[int]:
    """Return the processes of the unit that this one runs in."""
    try:
        with open("/proc/self/cgroup") as file:
            group = file.read().rpartition("::")[2].strip()
        with open(f"/sys/fs/cgroup{group}/cgroup.procs") as file:
            return set(map(int, file.read().split()))
    except OSError:
        return set()


def _shown(path: str) -> str:
    return path if path.isprintable() else ascii(path)


def main(arguments: list[str]) -> int:
    """Run a link's scripts; return the exit status."""
    variables = accepted(os.environ)
    if arguments not in (["up"], ["down"]) or "LINKNAME" not in variables:
        sys.stderr.write("usage: LINKNAME=NAME python3 -I -m cablecar.helper.hooks up|down\n")
        return 2
    hooks = Hooks(variables["LINKNAME"])
    if arguments == ["up"]:
        hooks.up(variables)
    else:
        hooks.down(variables)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
