"""Our table in the kernel's firewall, `inet cablecar`, made and taken away as a whole; nobody else's is touched.

A note of what the table should be outlives the helper: who comes after a crash makes it so again, and where there is
no note there is no table. Whoever flushes all rules is heard of by netlink (`is_lost`), and only while there is a table.
The methods block, and belong to one thread but for those of the socket.
"""

import asyncio
import logging
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cablecar.helper import safefile
from cablecar.helper.errors import Failed

log = logging.getLogger(__name__)

NFT: Final = "/usr/sbin/nft"
LIMIT: Final = 10.0  # seconds
TABLE: Final = "cablecar"
NOTE: Final = Path("/run/cablecar/table")
_NONE: Final = f"table inet {TABLE}\ndelete table inet {TABLE}\n"  # made first: one that is not there cannot be deleted
_HEADER: Final = struct.Struct("=IHHII")  # netlink(7): length, type, flags, sequence number, port
_NETFILTER: Final = 12  # linux/netlink.h, NETLINK_NETFILTER
_EVENTS: Final = 1 << 6  # linux/netfilter/nfnetlink.h, NFNLGRP_NFTABLES
_GONE: Final = {10 << 8 | kind for kind in (2, 5, 8)}  # NFT_MSG_DELTABLE, -CHAIN, -RULE of NFNL_SUBSYS_NFTABLES
# The first attribute of each names the table.
_OURS: Final = struct.pack("=HH", 4 + len(TABLE) + 1, 1) + TABLE.encode() + b"\0"


class Nft:
    """The table.

    Args:
        note: The file with what the table should be.
        program: `nft`.
    """

    def __init__(self, note: Path = NOTE, program: str = NFT) -> None:
        self._note = note
        self._program = program
        self._made: str | None = None  # what the table is; None while that is not known
        self._child = 0  # the last nft of ours: its messages' sender
        self._socket: socket.socket | None = None
        self._on_lost: Callable[[], None] = lambda: None

    def follow(self, on_lost: Callable[[], None]) -> None:
        """Call `on_lost` in the event loop when somebody else has taken something of the table away."""
        self._on_lost = on_lost

    def listen(self) -> None:
        """Hear what others do to the table, as long as there is one; call in the event loop."""
        if bool(self._made) == (self._socket is not None):
            return
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            return
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, _NETFILTER)
        self._socket.bind((0, _EVENTS))
        loop.add_reader(self._socket, self._heard)

    def make(self, chains: str) -> bool:
        """Have the table be these chains, or none; return whether it had been lost.

        Raises:
            Failed: nft refuses; the table is as it was.
        """
        lost = self._made is None and bool(chains) and self._socket is not None
        if chains == self._made or (not chains and self._made is None and not self._note.exists()):
            return False
        if chains:
            safefile.replace(self._note, chains.encode())
        text = f"{_NONE}table inet {TABLE} {{\n{chains}}}\n" if chains else _NONE
        run(text, program=self._program, on_start=self._note_child)
        if not chains:
            safefile.remove(self._note)
        self._made = chains
        return lost

    def _note_child(self, pid: int) -> None:
        self._child = pid

    def _heard(self) -> None:
        if any([*self._losses()]):
            log.warning("somebody has taken away rules of Cablecar's in the firewall")
            self._made = None
            self._on_lost()

    def _losses(self) -> Iterator[bool]:
        """Yield of each message that has come whether it tells of a loss by somebody else."""
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                yield True  # more than the socket could hold: who knows
                continue
            while data:
                length, kind, _, _, sender = _HEADER.unpack_from(data)
                yield kind in _GONE and sender != self._child and data[20 : 20 + len(_OURS)] == _OURS
                data = data[(length + 3) & ~3 :]


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
