"""One call: from the cable to the end of the unit's last process.

Prepares (name, way, pin, peer file), starts the unit, reads what pppd says, routes through the interface once it is
up, and takes everything back when the unit has ended. It reports to a `Listener` and decides nothing: when to dial and
when not is the state machine's business (`link.py`).
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, Protocol

from cablecar.helper import names, pppd, pppfiles, reasons
from cablecar.helper.bus import CallError
from cablecar.helper.calllog import FOLDER, CallLog
from cablecar.helper.errors import CablecarError, CallFailed
from cablecar.helper.pppd import Exit, Progress
from cablecar.helper.reasons import Reason
from cablecar.helper.routes import Routes, Wanted
from cablecar.helper.settings import Settings, check_server_address
from cablecar.helper.store import Store
from cablecar.helper.units import Units

log = logging.getLogger(__name__)

RESOLVE_LIMIT: Final = 10.0  # seconds for the server's name
STOP_LIMIT: Final = 2.0  # seconds for systemd's word on a unit that has ended already


class Listener(Protocol):
    """Who wants to know what becomes of the call; `link.Link` has these methods."""

    def progress(self, phase: str) -> None:
        """The call has come as far as `phase`."""

    def answered(self, interface: str) -> None:
        """The call is up on `interface`."""

    def lost(self) -> None:
        """The call's interface is gone."""

    def ended(self, reason: Reason) -> None:
        """The call is over."""


@dataclass(frozen=True, slots=True)
class Machinery:
    """What a call works with."""

    store: Store
    units: Units
    routes: Routes
    spawn: Callable[..., asyncio.Task[None]]
    peers: Path = pppfiles.PEERS
    logs: Path = FOLDER


class Call:
    """The calls of one link, one after the other."""

    def __init__(self, link: str, settings: Settings, machinery: Machinery, listener: Listener) -> None:
        self.settings = settings
        self.progress = Progress()
        self._link = link
        self._machinery = machinery
        self._listener = listener
        self._log = CallLog(link, self._on_line, machinery.logs)
        self._task: asyncio.Task[None] | None = None
        self._pins: tuple[IPv4Address, ...] = ()
        self._live = False  # from the beginning of a call until its end has been seen
        self._in_unit = False  # the unit has processes, or is about to
        self._stopping = False  # by our own wish
        self._answered = False  # addresses are there
        self._end: asyncio.Future[Exit] | None = None
        self._routing: asyncio.Task[None] | None = None

    async def follow(self) -> None:
        """Follow the link's unit from now on, whoever starts it; call once, before anything else."""
        await self._machinery.units.follow(self._link, self._on_end)

    async def unfollow(self) -> None:
        """Undo `follow`."""
        await self._machinery.units.unfollow(self._link)

    def dial(self) -> None:
        """Begin a call."""
        self._begin()
        self._task = self._machinery.spawn(self._run(self._dial))

    def adopt(self) -> None:
        """Take over a call whose unit is running already.

        What it needs of the network is noted at once, so that the first `reconcile` after a start sweeps nothing of it.
        """
        log.info("link %s: its call is running already, taken over", self._link)
        self._begin()
        self._in_unit = True
        server = pppfiles.dialled_server(self._link, self._machinery.peers)
        self._pins = (server,) if server is not None else ()
        self._log.begin(fresh=False)
        self._machinery.routes.expect(self._link, self._wanted())
        self._task = self._machinery.spawn(self._run(self._adopt))

    async def adopted(self) -> None:
        """Return when an adopted call that is up has been told so."""
        if self._routing is not None:
            await self._routing

    def hang_up(self) -> None:
        """End the call, however far it is."""
        if self._stopping or self._task is None:
            return
        self._stopping = True
        # Later, so that the task has begun: one that is cancelled before its first step never reports its end.
        asyncio.get_running_loop().call_soon(self._end_task_or_unit)

    def interface_gone(self, name: str) -> None:
        """An interface was removed; tell if it was ours."""
        if self._answered and name == self.progress.interface:
            self._listener.lost()

    def log_lines(self, count: int) -> list[str]:
        """Return the last `count` lines of the present or last call."""
        return list(self._log.lines)[-count:]

    def _end_task_or_unit(self) -> None:
        if self._in_unit:
            self._machinery.spawn(self._stop_unit())
        elif self._task is not None:
            self._task.cancel()

    def _wanted(self) -> Wanted:
        tunnel = self.progress.interface if self.progress.is_up else ""
        return Wanted(self._pins, self.settings.interface, tunnel, self.settings.route == "all")

    def _begin(self) -> None:
        self.progress = Progress()
        self._live = True
        self._in_unit = self._stopping = self._answered = False
        self._end = asyncio.get_running_loop().create_future()

    async def _run(self, work: Callable[[], Coroutine[None, None, Reason]]) -> None:
        try:
            reason = await work()
        except asyncio.CancelledError:
            reason = reasons.REQUESTED
        except CallFailed as error:
            reason = error.reason
        except (CablecarError, CallError, OSError) as error:
            log.error("link %s: %s", self._link, error)
            reason = reasons.FAILED
        except Exception:
            log.exception("link %s: unforeseen", self._link)
            reason = reasons.FAILED
        self._live = False
        self._log.close()
        try:
            await self._machinery.routes.release(self._link)
        except Exception:
            log.exception("link %s: its routes could not be released", self._link)
        self._task = None
        self._listener.ended(reason)

    async def _dial(self) -> Reason:
        server = await self._prepare()
        log.info("link %s: dialing", self._link)
        self._log.begin(fresh=True)
        self._in_unit = True
        self._listener.progress(names.CONNECTING)
        log.debug("link %s: the server's address is %s", self._link, server)
        await self._machinery.units.start(self._link)
        return await self._outcome()

    async def _adopt(self) -> Reason:
        if not await self._machinery.units.is_running(self._link):
            self._on_end(Exit())  # it ended before its end could be followed
        return await self._outcome()

    async def _prepare(self) -> IPv4Address:
        """Make everything ready and return the address to dial.

        Raises:
            CallFailed: Something is missing; the reason says what.
            CablecarError: A file could not be written.
        """
        if not os.access(pppfiles.PPTP, os.X_OK):
            raise CallFailed(reasons.PROGRAM_MISSING)
        password = self._machinery.store.password(self._link)
        if password is None:
            raise CallFailed(reasons.NO_PASSWORD)
        self._pins = tuple(await resolve(self.settings.server))
        pinned = await self._machinery.routes.want(self._link, self._wanted())
        if not pinned:
            raise CallFailed(reasons.NO_CABLE)
        pppfiles.write(self._link, self.settings, pinned[0], password, self._machinery.peers)
        return pinned[0]

    async def _outcome(self) -> Reason:
        assert self._end is not None
        ended = await self._end
        with contextlib.suppress(OSError):
            self._log.read()
        reason = pppd.classify(list(self._log.lines), ended, self._stopping)
        log.info("link %s: the call has ended (%s)", self._link, "hung up" if self._stopping else reason.id)
        return reason

    async def _stop_unit(self) -> None:
        assert self._end is not None
        try:
            await self._machinery.units.stop(self._link)
            if not await self._machinery.units.is_running(self._link):
                # It ended before we asked; the signal that says so is on its way, or was sent before we listened.
                await asyncio.wait({self._end}, timeout=STOP_LIMIT)
                self._on_end(Exit())
        except CallError as error:
            log.error("link %s: its unit could not be stopped: %s", self._link, error)
            self._on_end(Exit())

    def _on_end(self, ended: Exit) -> None:
        if self._in_unit and self._end is not None and not self._end.done():
            self._end.set_result(ended)

    def _on_line(self, line: str) -> None:
        self.progress.read(line)
        if self._stopping or self._answered:
            return
        if self.progress.is_up:
            self._answered = True
            self._routing = self._machinery.spawn(self._route())
        else:
            self._listener.progress(self.progress.phase)

    async def _route(self) -> None:
        facts = self.progress
        if not self._live:
            return
        await self._machinery.routes.want(self._link, self._wanted())
        if self._live and not self._stopping and self.progress is facts:
            log.info("link %s: up on %s", self._link, facts.interface)
            self._listener.answered(facts.interface)


async def resolve(server: str) -> list[IPv4Address]:
    """Return the addresses of a server, the one to dial first.

    Raises:
        CallFailed: The name leads nowhere, or to an address that no server can have.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_LIMIT):
            found = await loop.getaddrinfo(server, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        raise CallFailed(reasons.SERVER_NOT_FOUND) from None
    addresses = []
    for *_, place in found:
        address = IPv4Address(place[0])
        with contextlib.suppress(ValueError):
            check_server_address(address)
            addresses.append(address)
    if not addresses:
        raise CallFailed(reasons.SERVER_NOT_FOUND)
    return list(dict.fromkeys(addresses))
