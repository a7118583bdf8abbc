"""Our table in the kernel's firewall, `inet cablecar`, made and taken away as a whole; nobody else's is touched.

A note of what the table should be outlives the helper: who comes after a crash makes it so again, and where there is
no note there is no table. Rules for the start of the machine outlive that too: cablecar-strict.service loads them.
Whoever flushes all rules is heard of by netlink (`is_lost`), and only while there is a table. The methods block, and
belong to one thread but for those of the socket.
"""

import asyncio
import logging
import socket
import struct
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cablecar.helper import safefile
from cablecar.helper.errors import Failed, StorageFailed

log = logging.getLogger(__name__)

NFT: Final = "/usr/sbin/nft"
LIMIT: Final = 10.0  # seconds
TABLE: Final = "cablecar"
NOTE: Final = Path("/run/cablecar/table")
AT_BOOT: Final = Path("/var/lib/cablecar/strict.nft")
_NONE: Final = f"table inet {TABLE}\ndelete table inet {TABLE}\n"  # made first: one that is not there cannot be deleted
_HEADER: Final = struct.Struct("=IHHII")  # netlink(7): length, type, flags, sequence number, port
_NETFILTER: Final = 12  # linux/netlink.h, NETLINK_NETFILTER
_EVENTS: Final = 1 << 6  # linux/netfilter/nfnetlink.h, NFNLGRP_NFTABLES
_SUBSYSTEM: Final = 10 << 8  # NFNL_SUBSYS_NFTABLES
_MADE: Final = {_SUBSYSTEM | kind for kind in (0, 3, 6)}  # NFT_MSG_NEWTABLE, -CHAIN, -RULE
_GONE: Final = {_SUBSYSTEM | kind for kind in (2, 5, 8)}  # NFT_MSG_DELTABLE, -CHAIN, -RULE
# The first attribute of each names the table.
_OURS: Final = struct.pack("=HH", 4 + len(TABLE) + 1, 1) + TABLE.encode() + b"\0"


@dataclass(frozen=True, slots=True)
class Change:
    """A table, chain or rule was made or taken away, by whomever.

    Attributes:
        is_loss: It was taken away; true also where more was changed than could be heard.
        is_ours: It is our table, or in it; likewise.
        is_others: It is another table, or in one; likewise.
        sender: The process that did it, where that is an nft of ours.
    """

    is_loss: bool
    is_ours: bool
    is_others: bool
    sender: int


class Ear:
    """Hears by netlink of changes in the firewall, while somebody wants to.

    Args:
        on_change: Called in the event loop with what has changed.
    """

    def __init__(self, on_change: Callable[[list[Change]], None]) -> None:
        self._on_change = on_change
        self._socket: socket.socket | None = None
        self._is_deaf = False  # and the log has been told

    @property
    def hears(self) -> bool:
        """Whether changes are heard."""
        return self._socket is not None

    def listen(self, wanted: bool) -> None:
        """Hear from now on, or no longer; call in the event loop. A kernel without nftables has nothing to tell."""
        if wanted == self.hears:
            return
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            return
        try:
            self._socket = _connected()
        except OSError as error:
            if not self._is_deaf:
                log.warning("changes in the firewall cannot be followed: %s", error.strerror)
            self._is_deaf = True
            return
        loop.add_reader(self._socket, self._heard)

    def _heard(self) -> None:
        if changes := [*self._changes()]:
            self._on_change(changes)

    def _changes(self) -> Iterator[Change]:
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                yield Change(is_loss=True, is_ours=True, is_others=True, sender=0)  # more than the socket could hold
                continue
            while data:
                length, kind, _, _, sender = _HEADER.unpack_from(data)
                if kind in _MADE | _GONE:
                    is_ours = data[20 : 20 + len(_OURS)] == _OURS
                    yield Change(kind in _GONE, is_ours, not is_ours, sender)
                data = data[(length + 3) & ~3 :]


def _connected() -> socket.socket:
    found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, _NETFILTER)
    try:
        found.bind((0, _EVENTS))
    except OSError:
        found.close()
        raise
    return found


class Nft:
    """The table.

    Args:
        note: The file with what the table should be.
        program: `nft`.
        at_boot: The file with what the table is from the start of the machine on.
    """

    def __init__(self, note: Path = NOTE, program: str = NFT, at_boot: Path = AT_BOOT) -> None:
        self._note = note
        self._program = program
        self._at_boot = at_boot
        self._kept: str | None = None  # what is in that file; None while that is not known
        self._made: str | None = None  # what the table is; None while that is not known
        self._child = 0  # the last nft of ours: its messages' sender
        self._is_lost = False  # as far as was heard since it was made
        self._ear = Ear(self._heard)
        self._on_lost: Callable[[], None] = lambda: None

    def follow(self, on_lost: Callable[[], None]) -> None:
        """Call `on_lost` in the event loop when somebody else has taken something of the table away."""
        self._on_lost = on_lost

    def listen(self, wanted: bool = False) -> None:
        """Hear what others do to the table, as long as there is one or is about to be; call in the event loop."""
        self._ear.listen(wanted or bool(self._made))

    def make(self, chains: str) -> bool:
        """Have the table be these chains, or none; return whether it had been lost.

        Raises:
            Failed: nft refuses; the table is as it was.
        """
        lost = self._is_lost and bool(chains)
        if chains == self._made or (not chains and self._made is None and not self._note.exists()):
            return False
        if chains:
            safefile.replace(self._note, chains.encode())
        text = _script(chains) if chains else _NONE
        self._is_lost = False
        run(text, program=self._program, on_start=self._note_child)
        if not chains:
            safefile.remove(self._note)
        # Somebody may have taken it away again before we were back: we run beside the event loop.
        self._made = None if self._is_lost else chains
        return lost

    def keep(self, chains: str) -> None:
        """Have the table be these chains when the machine starts, or none, until the helper has made its own.

        Raises:
            StorageFailed: It cannot be written down.
        """
        if chains == self._kept:
            return
        if not chains:
            safefile.remove(self._at_boot)
        elif self._at_boot_text() != _script(chains):  # a helper before us may have written it
            safefile.replace(self._at_boot, _script(chains).encode())
        self._kept = chains

    def _at_boot_text(self) -> str | None:
        try:
            return safefile.read(self._at_boot).decode()
        except (FileNotFoundError, StorageFailed, UnicodeDecodeError):
            return None

    def _note_child(self, pid: int) -> None:
        self._child = pid

    def _heard(self, changes: list[Change]) -> None:
        if any(one.is_loss and one.is_ours and one.sender != self._child for one in changes):
            log.warning("somebody has taken away rules of Cablecar's in the firewall")
            self._is_lost = True
            self._made = None
            self._on_lost()


def chain(name: str, kind: str, rules: Iterable[str]) -> str:
    """Return the text of a chain of our table, where a packet passes that no rule stops."""
    lines = [f"type {kind}; policy accept;", *rules]
    return f"  chain {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"


def quoted(interfaces: Iterable[str]) -> str:
    """Return interface names as rules have them; the settings and the kernel let none have a quote."""
    return ", ".join(f'"{name}"' for name in interfaces)


def _script(chains: str) -> str:
    return f"{_NONE}table inet {TABLE} {{\n{chains}}}\n"


def run(text: str, *options: str, program: str = NFT, on_start: Callable[[int], None] = lambda pid: None) -> None:
    """Have nft do what the text says, all of it or nothing; `on_start` is told the process id.

    Raises:
        Failed: It refuses, or cannot be run.
    """
    pipe = subprocess.PIPE
    try:
        with subprocess.Popen([program, *options, "-f", "-"], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as nft:
            on_start(nft.pid)
            try:
                _, said = nft.communicate(text, timeout=LIMIT)
            except subprocess.TimeoutExpired:
                nft.kill()
                raise
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"The firewall could not be changed: {error}.") from None
    if nft.returncode:
        log.error("nft refuses: %s\n%s", said, text)
        raise Failed("The firewall could not be changed; the journal has nft's words.")
