"""What must hold after every test, whatever it did: the oracle of the lab.

By the numbers of the invariants that the lab keeps to:

    I1   one way to the Internet: the cable while down, the tunnel while up
    I2   the way to the server is never through the tunnel
    I3   files of others: bytes, modes, owners, attributes
    I4   the password is in no log, command line, environment, error, or file that everybody may read
    I5   no orphan, no zombie
    I6   nothing of ours is left while down, nor of a link that was removed
    I7   the helper answers within a second, is small, and dies by no fault
    I8   no hostile string has been run
    I9   outside, only what is allowed
    I10  an error is one of the named ones, and tells nothing of our inside
    I11  what is stored can be read
    I12  who makes all right twice changes nothing

`check` looks once and judges all of them but I9: what is allowed outside a test has to say, and `outside` hears it.
conftest.py asks after every test, before the test's link is removed and after it; test_oracle.py has each of them fail.
"""

import asyncio
import atexit
import contextlib
import hashlib
import json
import os
import re
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import footprint
import kernel
import lab
from dbus_next import BusType, Message, MessageType
from dbus_next.aio import MessageBus
from lines import Line

Facts = dict[str, tuple[object, ...]]

RIGHT_WITHIN = 5.0  # seconds; what others have changed is put right by then
SETTLES = frozenset(("I1", "I2", "I5", "I6", "I7", "I12"))  # the others hold at every moment
CHANGING = "changing"  # the state while one follows the other
_SETTLED = ("", "down", "failed", "up")
_READ_UNTIL = "/run/lab-oracle.cursor"
_PEER_FILE = Path("/etc/ppp/peers", lab.LINK)
_FOLDERS = ("/etc/cablecar", "/run/cablecar", "/var/lib/cablecar")
_WATCHED = ("/etc/ppp", "/etc/network", "/etc/hosts", "/etc/resolv.conf")
_STORED = ("/etc/cablecar/links/*.toml", "/run/cablecar/*.json", "/var/lib/cablecar/history/*.json")
_READABLE = ("/etc/cablecar", "/etc/ppp", "/run", "/tmp", "/var/lib/cablecar", "/var/log", "/var/tmp")
_PWNED = ("/tmp", "/run", "/run/cablecar")  # where the hostile strings of tests/shared/hostile.py would leave a file
_PROVIDERS = "/run/isp"  # where the password is known anyway
_MOST = 1 << 20  # bytes of a file that is searched
_ANSWERS_WITHIN = 2.0  # seconds on an emulated processor, for one on a real one
_MEMORY = 120 << 10  # KiB
_DESCRIPTORS = 64
# systemd says this of a helper that nobody stopped; tests kill it by SIGKILL.
_DIED = re.compile(r"cablecar-helper\.service: Main process exited, (?!code=killed, status=9/KILL).*")
_INSIDE = re.compile(r'Traceback|File "|(?<!\.toml, )line \d+|dbus_next|dubstepdish')
_NAMED = re.compile(r"^\|(?: `[a-z0-9-]+` \|)? `([A-Z]\w+)` \|", re.MULTILINE)  # in dbus/README.md's tables
_THE_BUS = "org.freedesktop.DBus.Error."
_FOREIGN = ("address add 127.9.9.9/32 dev lo", "address del 127.9.9.9/32 dev lo")  # a change that is none of ours
_QUIET = 0.4  # seconds in which a repair would have come


def foreign_files() -> Facts:
    """Mode, owner, attributes and digest of every file that others own and we live beside."""
    found: Facts = {}
    for root in map(Path, _WATCHED):
        for path in sorted([root, *root.rglob("*")] if root.is_dir() else [root]):
            # pppd itself rewrites resolv.conf in /etc/ppp for `usepeerdns`, and the distribution's hook reads it.
            if path.is_file() and path not in (_PEER_FILE, Path("/etc/ppp/resolv.conf")):
                facts, digest = path.stat(), hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path)] = (facts.st_mode, facts.st_uid, facts.st_gid, *sorted(os.listxattr(path)), digest)
    return found


def check(line: Line | None, before: Facts | None = None, *servers: str) -> str:
    """Make sure that every invariant holds now; return the state that the link was judged in.

    Args:
        line: How the link dials; None where it was removed.
        before: The files of others as they were; None while a test has some of its own there.
        servers: Where the link's server is, if not where it is at the start.
    """
    end = time.monotonic() + RIGHT_WITHIN
    while True:
        sight = look(line, before, *servers)
        broken, is_over = judge(sight), time.monotonic() > end
        assert broken.keys() <= SETTLES and not (broken and is_over), told(sight, broken)
        if is_over or not (broken or sight.state == CHANGING):
            return sight.state
        time.sleep(0.1)


def told(sight: "Sight", broken: dict[str, list[str]]) -> str:
    """What is broken, for people."""
    rows = [f"{number}: {what}" for number, found in broken.items() for what in found]
    return "\n".join((f"the link is {sight.state or 'gone'}, and this does not hold:", *rows))


@dataclass(frozen=True)
class Sight:
    """What there is to see, looked at once.

    Attributes:
        line: How the link dials; None where it was removed.
        state: Its state, or `CHANGING`; empty where it was removed.
        files: Those of others that are not as they were.
        ways: What the kernel says of the way to the Internet host, and to each of the link's servers.
        routes: All routes and rules.
        interfaces: All of them.
        calls: The processes of calls.
        firewall: All rules of nftables.
        failed: The units that have failed.
        helpers: The helper's processes.
        answered: After how many seconds it has answered.
        said: The journal since the last look.
        errors: What the helper has answered anybody who was refused, since the last look: name and text.
        changes: What the kernel has changed, after somebody else's change that is no business of ours.
    """

    line: Line | None
    state: str
    files: list[str]
    ways: list[str]
    routes: list[str]
    interfaces: list[str]
    calls: list[int]
    firewall: str
    failed: list[str]
    helpers: list[int]
    answered: float
    said: str
    errors: list[tuple[str, str]]
    changes: list[kernel.Change]

    @property
    def is_up(self) -> bool:
        return self.state == "up"

    @property
    def is_down(self) -> bool:
        return self.state in ("", "down")

    @property
    def tunnels(self) -> list[str]:
        return [name for name in self.interfaces if name.startswith("ppp")]


def look(line: Line | None, before: Facts | None = None, *servers: str) -> Sight:
    """Look at everything, with few processes: each takes its time on an emulated processor."""
    asked = (lab.HOST, *(servers or (lab.SERVER,)))
    with kernel.Ear() as ear:
        state = _state(line)
        begin = time.monotonic()
        assert lab.version()
        answered = time.monotonic() - begin
        rows = lab.ip(*_FOREIGN, "route show table all", "rule show", *(f"route get {address}" for address in asked))
        changed = time.monotonic()
        sight = Sight(
            line=line,
            state=state,
            files=[] if before is None else _differences(before, foreign_files()),
            ways=[_way(address, rows) for address in asked],
            routes=rows,
            interfaces=sorted(os.listdir("/sys/class/net")),
            calls=lab.call_processes(),
            firewall=lab.run("nft", "list", "ruleset").output,
            failed=lab.failed_units(),
            helpers=footprint.processes("cablecar-helper.service"),
            answered=answered,
            said=_said(),
            errors=_errors.take(),
            changes=list(ear.changes(max(changed + _QUIET - time.monotonic(), 0.0))),
        )
    return sight if _state(line) == state else replace(sight, state=CHANGING)


def judge(sight: Sight) -> dict[str, list[str]]:
    """Return what is wrong, by the numbers of the invariants; empty when all is right."""
    found = {number: list(wrong(sight)) for number, wrong in _INVARIANTS.items()}
    return {number: what for number, what in found.items() if what}


def _state(line: Line | None) -> str:
    return "" if line is None else str(lab.prop("State"))


def _said() -> str:
    return lab.run("journalctl", "--output=cat", "--no-pager", f"--cursor-file={_READ_UNTIL}").output


def _way(address: str, rows: list[str]) -> str:
    """The row in which ip tells the way to the address; it says who asks, which no route's does."""
    return next((row for row in reversed(rows) if row.startswith(f"{address} ") and " uid " in row), f"{address}: none")


def _differences(before: Facts, after: Facts) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _one_way(sight: Sight) -> Iterator[str]:
    to_host = sight.ways[0]
    if sight.is_down and " dev eth0 " not in to_host:
        yield to_host
    if sight.is_up and (len(sight.tunnels) != 1 or f" dev {sight.tunnels[0]} " not in to_host):
        yield f"{to_host}, and the tunnels are {sight.tunnels}"


def _no_loop(sight: Sight) -> Iterator[str]:
    if sight.is_down:
        yield from (way for way in sight.ways[1:] if " dev eth0 " not in way)
    if sight.is_up and sight.line is not None and sight.line.pinned:
        yield from (way for way in sight.ways[1:] if " dev ppp" in way)


def _files_of_others(sight: Sight) -> Iterator[str]:
    yield from sight.files


def _secret_kept(sight: Sight) -> Iterator[str]:
    if lab.PASSWORD in sight.said:
        yield "it is in the journal"
    for name, text in sight.errors:
        if lab.PASSWORD in text:
            yield f"it is in an error {name}"
    yield from _on_command_lines(lab.PASSWORD)
    for root in _READABLE:
        for file in _readable(root):
            # A file that goes meanwhile; a handle of the kernel's, such as /run/netns/isp: there is nothing in it.
            with contextlib.suppress(OSError):
                if lab.PASSWORD.encode() in file.read_bytes():
                    yield f"it is in {file}"


def _on_command_lines(secret: str) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                if secret.encode() in (process / name).read_bytes():
                    yield f"it is in {process / name}: {(process / 'comm').read_text().strip()}"


def check_command_lines(secret: str) -> None:
    """Make sure that no secret is on a command line or in an environment; of those of a call above all."""
    assert list(_on_command_lines(secret)) == []


def _readable(folder: str) -> Iterator[Path]:
    """Yield the files that everybody may read."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            facts = entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False) and facts.st_mode & 0o001 and entry.path != _PROVIDERS:
                yield from _readable(entry.path)
            elif entry.is_file(follow_symlinks=False) and facts.st_mode & 0o004 and facts.st_size < _MOST:
                yield Path(entry.path)


def _no_orphan(sight: Sight) -> Iterator[str]:
    if sight.is_down and sight.calls:
        yield f"processes of a call are left: {sight.calls}"
    if sight.is_up and sight.line is not None and len(sight.calls) != sight.line.processes:
        yield f"a call has {sight.line.processes} processes, and these run: {sight.calls}"
    for helper in sight.helpers:
        if zombies := footprint.zombies(helper):
            yield f"children that nobody has waited for: {zombies}"


def _nothing_left(sight: Sight) -> Iterator[str]:
    yield from (f"failed: {unit}" for unit in sight.failed if "cablecar" in unit)
    if not sight.is_down:
        return
    yield from (row for row in sight.routes if "proto 201" in row)
    yield from (name for name in sight.interfaces if name.startswith(("ppp", "cablecar")))
    yield from (row.strip() for row in sight.firewall.splitlines() if "cablecar" in row)
    if sight.line is None:
        # Hooks that still run have a record, which they end themselves.
        left = [path for root in _FOLDERS for path in Path(root).rglob(f"{lab.LINK}*") if path.suffix != ".hooks"]
        yield from (str(path) for path in (*left, _PEER_FILE) if path.exists())


def _helper_well(sight: Sight) -> Iterator[str]:
    yield from _DIED.findall(sight.said)
    if len(sight.helpers) != 1:
        yield f"the helper's processes are {sight.helpers}"
    if sight.answered > _ANSWERS_WITHIN:
        yield f"it has answered after {sight.answered:.1f} s"
    for helper in sight.helpers:
        with contextlib.suppress(OSError):  # one that ends just now
            if (open_files := footprint.descriptors(helper)) > _DESCRIPTORS:
                yield f"it has {open_files} open files"
            if (memory := footprint.resident(helper)) > _MEMORY:
                yield f"it takes {memory} KiB"


def _nothing_run(sight: Sight) -> Iterator[str]:
    yield from (str(path) for root in _PWNED for path in Path(root).glob("pwned*"))


def _errors_named(sight: Sight) -> Iterator[str]:
    if "Traceback" in sight.said:
        yield "a traceback is in the journal"
    for name, text in sight.errors:
        if not name.startswith(_THE_BUS) and name.removeprefix("org.cablecar1.Error.") not in _named():
            yield f"{name} is not in dbus/README.md"
        if _INSIDE.search(text):
            yield f"{name}: {text}"


def _named() -> set[str]:
    return set(_NAMED.findall((Path(__file__).parents[3] / "dbus" / "README.md").read_text()))


def _stored_is_read(sight: Sight) -> Iterator[str]:
    for pattern in _STORED:
        for path in Path("/").glob(pattern[1:]):
            try:
                (tomllib if path.suffix == ".toml" else json).loads(path.read_text())
            except FileNotFoundError:
                pass  # it has gone meanwhile
            except ValueError as error:
                yield f"{path}: {error}"


def _quiet(sight: Sight) -> Iterator[str]:
    if sight.state in _SETTLED:
        yield from (f"message {kind}: {data.hex()}" for kind, data in filter(kernel.is_ours, sight.changes))


_INVARIANTS: dict[str, Callable[[Sight], Iterator[str]]] = {
    "I1": _one_way,
    "I2": _no_loop,
    "I3": _files_of_others,
    "I4": _secret_kept,
    "I5": _no_orphan,
    "I6": _nothing_left,
    "I7": _helper_well,
    "I8": _nothing_run,
    "I10": _errors_named,
    "I11": _stored_is_read,
    "I12": _quiet,
}


@contextmanager
def outside(forbidden: str) -> Iterator[list[str]]:
    """What arrives at the provider's end of the cable meanwhile and, as tcpdump has it, must not; there afterwards."""
    lines: list[str] = []
    command = ["ip", "netns", "exec", "isp", "tcpdump", "-lnn", "-Q", "in", "-i", "cable", forbidden]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tcpdump:
        assert tcpdump.stdout is not None and tcpdump.stderr is not None
        while "listening on" not in (said := tcpdump.stderr.readline()):
            assert said, f"tcpdump has ended with {tcpdump.wait()}"
        try:
            yield lines
            time.sleep(0.5)  # what was sent by now has arrived; without it a leak at the very end is not seen
        finally:
            tcpdump.terminate()
        lines += filter(None, tcpdump.stdout.read().splitlines())  # it ends with an empty one


class Errors:
    """Every error that the helper answers, to whomever: heard on the bus, without a process that would listen."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._bus: MessageBus | None = None
        self._heard: list[Message] = []

    def begin(self) -> None:
        """Hear them from now on, if not yet."""
        if self._bus is None:
            self._bus = self._loop.run_until_complete(self._listen())

    def take(self) -> list[tuple[str, str]]:
        """Return name and text of each since the last time."""
        self.begin()
        mark = lab.ask(
            lab.MANAGER[2], "Mark", "", [], lab.MANAGER[1]
        )  # there is no such method: an error, the last one
        self._loop.run_until_complete(self._hear(mark))
        heard, self._heard = self._heard, []
        others = [error for error in heard if _answers(error) != _answers(mark)]
        return [(str(error.error_name), " ".join(map(str, error.body))) for error in others]

    def close(self) -> None:
        """Hear no more; it is over."""
        if self._bus is not None:
            self._loop.run_until_complete(lab.leave(self._bus))
        self._loop.close()

    async def _listen(self) -> MessageBus:
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        rules = ["type='error',sender='org.cablecar1'"]
        question = Message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.Monitoring",
                           "BecomeMonitor", signature="asu", body=[rules, 0])  # fmt: skip
        reply = await bus.call(question)
        assert reply is not None and reply.message_type is MessageType.METHOD_RETURN, reply
        bus.add_message_handler(self._on_message)
        return bus

    def _on_message(self, message: Message) -> None:
        if message.message_type is MessageType.ERROR:
            self._heard.append(message)

    async def _hear(self, mark: Message) -> None:
        async with asyncio.timeout(30):
            while _answers(mark) not in map(_answers, self._heard):
                await asyncio.sleep(0.005)


def _answers(reply: Message) -> tuple[str, int]:
    """Whose question, and which one."""
    return str(reply.destination), int(reply.reply_serial)


_errors = Errors()
atexit.register(_errors.close)


def begin() -> None:
    """Call it before what is to be judged."""
    _errors.begin()
