"""The checks that `Diagnose` runs for one link: what is looked at, what was seen, what to do.

It only looks: nothing is changed, nothing is dialed. A check that cannot know says `unknown`.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cablecar.helper import names, pppfiles, reasons
from cablecar.helper.call import Machinery
from cablecar.helper.errors import CablecarError, CallFailed
from cablecar.helper.installed import PPPD
from cablecar.helper.links import Links, ManagedLink

GOOD: Final = "good"
BAD: Final = "bad"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        verdict: `good`, `bad` or `unknown`.
        seen: What was seen, as a sentence.
        advice: What to do, as a sentence; empty when nothing is to be done.
    """

    verdict: str
    seen: str
    advice: str = ""


class Diagnosis:
    """The checks of one link, in the order in which a call needs what they look at."""

    def __init__(self, link: ManagedLink, links: Links, machinery: Machinery) -> None:
        self._link = link
        self._links = links
        self._machinery = machinery
        self._servers: list[IPv4Address] = []

    async def run(self) -> dict[str, Finding]:
        """Run every check; return the findings by the checks' ids."""
        checks: dict[str, Callable[[], Awaitable[Finding]]] = {
            "programs": self._programs,
            "settings": self._settings,
            "password": self._password,
            "peer-file": self._peer_file,
            "server-name": self._server_name,
            "cable": self._cable,
            "pins": self._pins,
            "default-route": self._default_route,
            "last-call": self._last_call,
            "double-dialers": self._double_dialers,
        }
        return {name: await check() for name, check in checks.items()}

    async def _programs(self) -> Finding:
        missing = [path for path in (str(PPPD), pppfiles.PPTP) if not os.access(path, os.X_OK)]
        if missing:
            return Finding(BAD, f"Not installed: {', '.join(missing)}.", reasons.PROGRAM_MISSING.sentence)
        return Finding(GOOD, "pppd and pptp are installed.")

    async def _settings(self) -> Finding:
        try:
            stored = self._machinery.store.load_link(self._link.name, self._links.providers)
        except (CablecarError, OSError) as error:
            return Finding(BAD, str(error), "Mend the file, then call Reload.")
        if stored != self._link.settings:
            return Finding(BAD, "The file has been edited since it was read.", "Call Reload.")
        return Finding(GOOD, "The settings file is in order.")

    async def _password(self) -> Finding:
        try:
            stored = self._machinery.store.password(self._link.name)
        except CablecarError as error:
            return Finding(BAD, str(error), "Set the password again with SetPassword.")
        if stored is None:
            return Finding(BAD, "No password is stored.", reasons.NO_PASSWORD.sentence)
        return Finding(GOOD, "A password is stored.")

    async def _peer_file(self) -> Finding:
        path = Path(self._machinery.peers, self._link.name)
        if not path.exists():
            return Finding(GOOD, f"{path} is not there yet; the first call makes it.")
        try:
            pppfiles.check_free(self._link.name, self._machinery.peers)
        except CablecarError as error:
            return Finding(BAD, str(error), "Move that file away.")
        return Finding(GOOD, f"{path} is Cablecar's.")

    async def _server_name(self) -> Finding:
        try:
            self._servers = await self._machinery.lookup.addresses(self._link.name, self._link.settings.server)
        except CallFailed as error:
            return Finding(BAD, f"{self._link.settings.server} was not found.", error.reason.sentence)
        return Finding(GOOD, f"The server is {', '.join(map(str, self._servers))}.")

    async def _cable(self) -> Finding:
        if not self._servers:
            return Finding(UNKNOWN, "Without the server's address it is not known which cable leads to it.")
        way = await self._machinery.routes.way(self._servers[0], self._link.settings.interface)
        if not way.interface:
            return Finding(BAD, "No interface with a carrier has a route to the server.", reasons.NO_CABLE.sentence)
        return Finding(GOOD, f"The server is reached by {way.interface}.")

    async def _pins(self) -> Finding:
        if self._link.status.state != names.UP:
            return Finding(UNKNOWN, "The link is not up; the server is pinned to the cable when it is dialed.")
        pins = self._link.dialer.call.pins if self._link.dialer.call is not None else ()
        missing = [
            str(server)
            for server in pins
            if not (await self._machinery.routes.way(server, self._link.settings.interface)).is_pinned
        ]
        if missing:
            return Finding(BAD, f"Not pinned to the cable: {', '.join(missing)}.", "Call Reconnect.")
        return Finding(GOOD, "The server is pinned to the cable.")

    async def _default_route(self) -> Finding:
        others = [
            other.name
            for other in self._links.by_name.values()
            if other is not self._link and other.settings.route == "all" and other.status.state == names.UP
        ]
        if self._link.settings.route == "all" and others:
            return Finding(
                BAD,
                f"Other links take all traffic as well: {', '.join(others)}.",
                "Disconnect one of them, or change its setting `route`.",
            )
        return Finding(GOOD, "No other link takes all traffic.")

    async def _last_call(self) -> Finding:
        if self._link.status.state == names.UP:
            return Finding(GOOD, "The link is up.")
        reason = self._link.status.reason
        if reason in (reasons.NONE, reasons.REQUESTED):
            return Finding(UNKNOWN, "Nothing has been dialed since, or nothing went wrong.")
        return Finding(BAD, f"The last call ended with the reason {reason.id}.", reason.sentence)

    async def _double_dialers(self) -> Finding:
        settings = self._link.settings
        if found := await asyncio.to_thread(self._machinery.foreign.dialers, self._link.name, settings):
            return Finding(BAD, " ".join(found), "Take those out, so that only one program dials the line.")
        return Finding(GOOD, "Nothing else was found that dials this line.")
