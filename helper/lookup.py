"""What the helper cannot ask of the network itself: where a provider's server is, if it answers, and who else does.

The helper's cage has no Internet sockets, so each question goes to a small unit of its own, by files in /run/cablecar:

    cablecar-lookup@NAME.service    NAME.lookup, NAME.resolv -> NAME.addresses
    cablecar-probe@NAME.service     NAME.probe -> NAME.probed
    cablecar-discover.service       discover.question -> discover.answers

A name is looked up with the cable's own name servers, because the machine's may be those of a tunnel, which may be
dead; only when they know nothing it is asked as the machine itself would. Whoever answers is a stranger: what no
server can have is refused.

While a call that was lost is still ending, the name that the next one needs is looked up already. That answer is taken
or left: nobody waits for long where a look at the call's end may find more.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Any, Final, NamedTuple

from cablecar.helper import reasons, safefile
from cablecar.helper.bus import CallError
from cablecar.helper.errors import CablecarError, CallFailed, InvalidSetting, LimitExceeded
from cablecar.helper.plan import doubt
from cablecar.helper.routes import Routes
from cablecar.helper.settings import check
from cablecar.helper.sleep import clock
from cablecar.helper.units import Units

log = logging.getLogger(__name__)

LIMIT: Final = 12.0  # seconds; the unit's own limit is 10
GIVE_UP_LIMIT: Final = 3.0  # seconds
MOST: Final = 16  # addresses of one name
FRESH: Final = 5.0  # seconds since an early look, whose answer holds no longer than a call takes to end
PATIENCE: Final = 1.5  # seconds that the next call waits for an early look
_RESOLVER: Final = "options timeout:1 attempts:3\n"  # 7 s, because the machine's own servers may have to be asked then
# getent(1): neither systemd-resolved nor anything else that has its own idea of the name servers.
_BY_FILE: Final = """ASK='--service="hosts:files dns"'\n"""


class _Early(NamedTuple):
    server: str
    interface: str
    begun: float
    looking: asyncio.Task[list[IPv4Address]]


@dataclass(slots=True)
class Lookup:
    """The questions, each put to a unit of its own.

    Attributes:
        units: systemd.
        folder: `/run/cablecar`.
        routes: Knows the cable.
        machine: The machine's own name servers; without that file there is no place for the cable's.
    """

    units: Units
    folder: Path
    routes: Routes
    machine: Path = Path("/etc/resolv.conf")
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    _early: dict[str, _Early] = field(default_factory=dict)
    _discovering: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def addresses(self, link: str, server: str, interface: str) -> list[IPv4Address]:
        """Return the addresses of `server`, the one to dial first; `interface` is the cable if one is chosen.

        Raises:
            CallFailed: The name leads nowhere, or it is or leads to addresses that no server can have.
        """
        with contextlib.suppress(AddressValueError):
            return await self._plausible(link, IPv4Address(server))
        if found := await self._found_early(link, server, interface):
            return found
        async with self._locks.setdefault(link, asyncio.Lock()):
            return await self._found(link, server, interface)

    def look_ahead(self, link: str, server: str, interface: str) -> None:
        """Begin to look up what `addresses` will soon be asked for."""

        async def look() -> list[IPv4Address]:
            with contextlib.suppress(CablecarError, CallError, OSError):  # the next call meets it again, and tells
                async with self._locks.setdefault(link, asyncio.Lock()):
                    return await self._found(link, server, interface)
            return []

        with contextlib.suppress(AddressValueError):
            IPv4Address(server)
            return
        self._early[link] = _Early(server, interface, clock(), asyncio.create_task(look()))

    async def forget(self, link: str) -> None:
        """Give up an early look; nothing of it is left afterwards, nor of one that was given up before."""
        if (early := self._early.pop(link, None)) is not None:
            early.looking.cancel()
            await asyncio.wait({early.looking})
        async with self._locks.setdefault(link, asyncio.Lock()):
            self._locks.pop(link)

    async def _found_early(self, link: str, server: str, interface: str) -> list[IPv4Address]:
        early = self._early.pop(link, None)
        if early is None:
            return []
        if early[:2] == (server, interface) and clock() - early.begun < FRESH:
            await asyncio.wait({early.looking}, timeout=PATIENCE)
            if early.looking.done():
                return early.looking.result()
        early.looking.cancel()
        return []

    async def _found(self, link: str, server: str, interface: str) -> list[IPv4Address]:
        own = await self.routes.own_addresses()
        refused = False
        for resolver in await self._resolvers(interface, own):
            answer = list(dict.fromkeys(_parsed(await self._ask(link, server, resolver))))
            found = [address for address in answer if not self._is_refused(link, address, own)]
            if found:
                return found[:MOST]
            refused = refused or bool(answer)
        raise CallFailed(reasons.SERVER_IMPLAUSIBLE if refused else reasons.SERVER_NOT_FOUND)

    async def _plausible(self, link: str, address: IPv4Address) -> list[IPv4Address]:
        # The settings know what no server can have, but not what this machine has.
        if self._is_refused(link, address, await self.routes.own_addresses()):
            raise CallFailed(reasons.SERVER_IMPLAUSIBLE)
        return [address]

    async def _resolvers(self, interface: str, own: Iterable[IPv4Address]) -> list[str]:
        """Return the contents of resolv.conf(5) to ask with, in turn; an empty one stands for the machine's own."""
        cable = await self.routes.cable(interface)
        lease = cable.lease if cable is not None and self.machine.exists() else None
        servers = [address for address in lease.dns if not doubt(address, own)] if lease is not None else []
        if lease is None or not servers:
            return [""]
        search = f"search {lease.domain}\n" if lease.domain else ""
        return ["".join(f"nameserver {address}\n" for address in servers) + search + _RESOLVER, ""]

    def _is_refused(self, link: str, address: IPv4Address, own: Iterable[IPv4Address]) -> bool:
        if why := doubt(address, own):
            log.warning("link %s: its server is said to be %s, %s; it is not dialed", link, address, why)
        return bool(why)

    async def _ask(self, link: str, server: str, resolver: str) -> str:
        question = {f"{link}.lookup": f"SERVER={server}\n{_BY_FILE if resolver else ''}"}
        if resolver:
            question[f"{link}.resolv"] = resolver
        return await self._errand(f"cablecar-lookup@{link}.service", question, f"{link}.addresses")

    async def probe(self, link: str, server: IPv4Address, port: int) -> str:
        """Return what became of a TCP connection to the server (`probe.py`); nothing when it could not be tried."""
        return await self._probed(link, f"SERVER={server}\nPORT={port}\nSIZE=\n")

    async def largest_echo(self, link: str, server: IPv4Address, size: int) -> int | None:
        """Return the size of the largest packet up to `size` that the server echoes, None when it was not tried."""
        answer = await self._probed(link, f"SERVER={server}\nPORT=0\nSIZE={size}\n")
        return int(answer) if answer.isdecimal() else None

    async def _probed(self, link: str, question: str) -> str:
        answer = await self._errand(f"cablecar-probe@{link}.service", {f"{link}.probe": question}, f"{link}.probed")
        return answer.strip()

    async def concentrators(self) -> list[dict[str, Any]]:
        """Return who answers by PPPoE on which Ethernet with a carrier (`discovery.py`), by names that links can have.

        Raises:
            LimitExceeded: Somebody asks already.
        """
        if self._discovering.locked():
            raise LimitExceeded("Somebody looks for access concentrators already. Wait for that to end.")
        async with self._discovering:
            names = [name for name in await self.routes.ethernets() if _is_setting("interface", name)]
            if not names:
                return []
            question = {"discover.question": f"INTERFACES={' '.join(names[:MOST])}\n"}
            answer = await self._errand("cablecar-discover.service", question, "discover.answers")
        return list(_concentrators(answer))

    async def _errand(self, unit: str, question: Mapping[str, str], answer: str) -> str:
        """Have a unit run with these files, and return what it wrote; nothing when it did not."""
        try:
            safefile.remove(self.folder / answer)
            for name, text in question.items():
                # Readable to the unit's user, where the file is put into its sight; nobody else gets into the folder.
                safefile.replace(self.folder / name, text.encode(), 0o644)
            try:
                async with asyncio.timeout(LIMIT):
                    await self.units.run_once(unit)
            except (asyncio.CancelledError, TimeoutError):
                await self._give_up(unit)
                raise
            return safefile.read(self.folder / answer).decode("ascii", "replace")  # json.dumps writes no other
        except (CallError, TimeoutError, FileNotFoundError):
            return ""
        finally:
            for name in (*question, answer):
                safefile.remove(self.folder / name)

    async def _give_up(self, unit: str) -> None:
        # One that still starts would make its answer's file after that was removed.
        with contextlib.suppress(CallError, TimeoutError):
            async with asyncio.timeout(GIVE_UP_LIMIT):
                await self.units.give_up(unit)


def _parsed(answer: str) -> Iterator[IPv4Address]:
    for line in answer.splitlines():  # getent repeats each address for every kind of socket
        with contextlib.suppress(AddressValueError):
            yield IPv4Address(line.partition(" ")[0])


def _concentrators(answer: str) -> Iterator[dict[str, Any]]:
    for line in answer.splitlines():
        found = json.loads(line)
        services = [service for service in found["services"] if _is_setting("service", service)]
        if _is_setting("server", found["concentrator"]):
            yield {**found, "services": services}


def _is_setting(key: str, value: str) -> bool:
    try:
        return bool(check(key, value))
    except InvalidSetting:
        return False
