"""Calls of our links that somebody dialed by hand (`pon NAME`): found, followed and hung up without a unit.

pppd writes the pid file of its `linkname`; a pidfd made from it names that very process until the end, so nothing else
is ever waited for or signalled.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

# pppd 2.4.9 and Debian's later ones; upstream's default since 2.5.0.
PID_FOLDERS: Final = (Path("/run"), Path("/run/pppd"))
PROC: Final = Path("/proc")
PATIENCE: Final = 10.0  # seconds, as the unit's TimeoutStopSec


@dataclass(slots=True)
class HandMade:
    """A pppd that somebody else started.

    Attributes:
        pid: Its process id.
        interface: Its interface, empty when it has none yet.
    """

    pid: int
    interface: str
    _descriptor: int = field(repr=False)

    def follow(self, on_end: Callable[[], None]) -> None:
        """Call `on_end` once when it has ended."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            on_end()

        loop.add_reader(self._descriptor, ended)

    def close(self) -> None:
        """Let go of it; before `follow` only."""
        os.close(self._descriptor)
        self._descriptor = -1

    def hang_up(self) -> None:
        """Tell it to end, as `poff` does; kill it when it does not."""
        self._send(signal.SIGTERM)
        asyncio.get_running_loop().call_later(PATIENCE, self._send, signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)


def find(link: str, folders: Sequence[Path]) -> HandMade | None:
    """Return the pppd that holds the call of `link`, None when there is none.

    Whether it is one of our unit's is for the caller to know.
    """
    for pid, interface in _said(link, folders):
        with contextlib.suppress(OSError):
            if (descriptor := _open(pid, link)) is not None:
                return HandMade(pid, interface, descriptor)
    return None


def is_there(link: str, folders: Sequence[Path]) -> bool:
    """Return whether a pppd holds the call of `link`."""
    if (there := find(link, folders)) is not None:
        there.close()
    return there is not None


def interface_of(link: str, pid: int, folders: Sequence[Path]) -> str:
    """Return the interface that the pppd with this process id has by now, empty when it has none."""
    return next((interface for writer, interface in _said(link, folders) if writer == pid), "")


def _said(link: str, folders: Sequence[Path]) -> Iterator[tuple[int, str]]:
    """Yield what the pid files of a link say: a process, and its interface once it has one."""
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):
            pid, *interface = (folder / f"ppp-{link}.pid").read_text("ascii").split()
            yield int(pid), "".join(interface[:1])


def _open(pid: int, link: str) -> int | None:
    descriptor = os.pidfd_open(pid)
    # The file may be stale and the number somebody else's by now; what the pidfd names cannot change any more.
    with contextlib.suppress(OSError):
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        # xl2tpd, started by hand in the link's unit, names the whole path.
        called = bool({(b"call", link.encode()), (b"file", f"/etc/ppp/peers/{link}".encode())} & {*pairwise(words)})
        if called and (PROC / str(pid) / "comm").read_text() == "pppd\n":
            return descriptor
    os.close(descriptor)
    return None
