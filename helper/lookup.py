"""The addresses of a provider's server, looked up by `cablecar-lookup@NAME.service`.

The helper's cage has no Internet sockets, so the question goes to a small unit of its own: the name travels in
`/run/cablecar/NAME.lookup`, the answer comes back in `/run/cablecar/NAME.addresses`.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Final

from cablecar.helper import reasons, safefile
from cablecar.helper.bus import CallError
from cablecar.helper.errors import CallFailed
from cablecar.helper.settings import check_server_address
from cablecar.helper.units import Units

LIMIT: Final = 12.0  # seconds; the unit's own limit is 10


@dataclass(slots=True)
class Lookup:
    """Who asks.

    Attributes:
        units: systemd.
        folder: `/run/cablecar`.
    """

    units: Units
    folder: Path
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def addresses(self, link: str, server: str) -> list[IPv4Address]:
        """Return the addresses of `server`, the one to dial first.

        Raises:
            CallFailed: The name leads nowhere, or to addresses that no server can have.
        """
        with contextlib.suppress(AddressValueError):
            return [IPv4Address(server)]  # the settings hold no address that a server cannot have
        async with self._locks.setdefault(link, asyncio.Lock()):
            answer = await self._ask(link, server)
        found = []
        for line in answer.splitlines():
            with contextlib.suppress(ValueError):  # among them an address that check_server_address refuses
                address = IPv4Address(line.partition(" ")[0])
                check_server_address(address)
                found.append(address)
        if not found:
            raise CallFailed(reasons.SERVER_NOT_FOUND)
        return list(dict.fromkeys(found))  # getent repeats each for every kind of socket

    async def _ask(self, link: str, server: str) -> str:
        question, answer = self.folder / f"{link}.lookup", self.folder / f"{link}.addresses"
        try:
            safefile.remove(answer)
            safefile.replace(question, f"SERVER={server}\n".encode())
            async with asyncio.timeout(LIMIT):
                await self.units.finish(f"cablecar-lookup@{link}.service")
            return safefile.read(answer).decode("ascii", "replace")
        except (CallError, TimeoutError, FileNotFoundError):
            raise CallFailed(reasons.SERVER_NOT_FOUND) from None
        finally:
            safefile.remove(question)
            safefile.remove(answer)
