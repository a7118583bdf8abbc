"""The checks that `Diagnose` runs for one link: what is looked at, what was seen, what to do.

It only looks: nothing is changed, nothing is dialed. A check that cannot know says `unknown`.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Final

from cablecar.helper import firewall, names, plan, pppd, pppfiles, probe, reasons
from cablecar.helper.calllog import MAX_LINES
from cablecar.helper.carrier import ETHERNET
from cablecar.helper.carriers import BY_PROTOCOL
from cablecar.helper.errors import CablecarError, CallFailed
from cablecar.helper.history import Record
from cablecar.helper.installed import PPPD
from cablecar.helper.links import Links
from cablecar.helper.machinery import Machinery
from cablecar.helper.managed import ManagedLink
from cablecar.helper.plan import Cable

log = logging.getLogger(__name__)

GOOD: Final = "good"
BAD: Final = "bad"
UNKNOWN: Final = "unknown"

PPP: Final = Path("/sys/class/ppp")  # there when the kernel's PPP is loaded
MODULES: Final = Path("/sys/module")
INTERFACES: Final = Path("/sys/class/net")
WRAPPING: Final = 40  # bytes around the tunnel's packets: IPv4, then GRE, or UDP and L2TP, then PPP
RECORDS: Final = 20  # past calls that are looked at
_REPIN: Final = "Call Reconnect."
_OTHER_SERVER: Final = "Look for a second DHCP server on the cable, and call the provider if there is none."
_JOURNAL: Final = "Look into the journal."


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
        self._carrier = BY_PROTOCOL[link.settings.protocol]
        self._links = links
        self._machinery = machinery
        self._servers: list[IPv4Address] = []
        self._cable: Cable | None = None

    async def run(self) -> AsyncIterator[tuple[str, Finding]]:
        """Run every check; yield its id and its finding as soon as it is there."""
        checks: dict[str, Callable[[], Awaitable[Finding]]] = {
            "programs": self._programs,
            "kernel": self._kernel,
            "settings": self._settings,
            "password": self._password,
            "peer-file": self._peer_file,
            "cable": self._cable_is_live,
            **(self._checks_over_ip() if self._carrier.over_ip else {}),
            "default-route": self._default_route,
            "last-call": self._last_call,
            "double-dialers": self._double_dialers,
        }
        for name, check in checks.items():
            yield name, await check()

    def _checks_over_ip(self) -> dict[str, Callable[[], Awaitable[Finding]]]:
        """Return the checks of what a call to an address needs."""
        return {
            "lease": self._lease,
            "dhcp-server": self._dhcp_server,
            "dns": self._dns,
            "server-name": self._server_name,
            "server": self._server,
            "firewall": self._firewall,
            **({"gre": self._gre} if self._carrier.silence is reasons.GRE_BLOCKED else {}),
            "mtu": self._mtu,
            "pins": self._pins,
        }

    async def _programs(self) -> Finding:
        needed = (str(PPPD), *self._carrier.programs)
        missing = [path for path in needed if not os.access(path, os.X_OK)]
        if missing:
            return Finding(BAD, f"Not installed: {', '.join(missing)}.", reasons.PROGRAM_MISSING.sentence)
        return Finding(GOOD, f"Installed: {', '.join(path.rpartition('/')[2] for path in needed)}.")

    async def _kernel(self) -> Finding:
        if PPP.exists() and (not self._carrier.kernel or (MODULES / self._carrier.kernel).exists()):
            return Finding(GOOD, "The kernel's PPP is loaded.")
        if any(record.reason == reasons.NO_KERNEL_SUPPORT.id for record in self._records()[-1:]):
            return Finding(BAD, "The kernel's PPP could not be loaded.", reasons.NO_KERNEL_SUPPORT.sentence)
        return Finding(UNKNOWN, "The kernel's PPP is not loaded; the first call loads it.")

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
        if path.stat().st_mode & 0o077:
            return Finding(
                BAD, f"{path} has the password in it and is open to others than root.", f"Try: chmod 600 {path}"
            )
        return Finding(GOOD, f"{path} is Cablecar's, and only root reads it.")

    async def _cable_is_live(self) -> Finding:
        named = self._link.settings.interface
        self._cable = await self._machinery.routes.cable(named, _address(self._link.settings.server))
        if self._cable is None:
            if named:
                return Finding(
                    BAD, f"There is no interface {named}.", "Plug it in, or change the link's setting `interface`."
                )
            return Finding(BAD, "No interface with a carrier has a route to the server.", reasons.NO_CABLE.sentence)
        interface = self._cable.interface
        if not interface.has_carrier:
            return Finding(BAD, f"{interface.name} has no carrier.", reasons.NO_CABLE.sentence)
        return Finding(GOOD, f"The cable is {interface.name}, and it has a carrier.")

    async def _lease(self) -> Finding:
        if self._cable is None:
            return Finding(UNKNOWN, "Without a cable there is no lease.")
        interface, lease = self._cable.interface, self._cable.lease
        if not interface.addresses:
            return Finding(BAD, f"{interface.name} has no address.", reasons.NO_CABLE.sentence)
        if lease is None:
            return Finding(
                UNKNOWN,
                f"{interface.name} has the address {_list(interface.addresses)}, but no DHCP client was found to hold "
                "it: it may be a fixed one, or udhcpc's, which keeps no file.",
            )
        if not lease.routers:
            return Finding(
                GOOD, f"{interface.name} has the address {lease.address} from {lease.holder}, and no router."
            )
        return Finding(
            GOOD,
            f"{interface.name} has the address {lease.address} from {lease.holder}; the router is {lease.routers[0]}.",
        )

    async def _dhcp_server(self) -> Finding:
        if self._cable is None or self._cable.lease is None or (server := self._cable.lease.server) is None:
            return Finding(UNKNOWN, "The DHCP server is not known.")
        if not self._has_carrier:
            return Finding(UNKNOWN, "Without a cable it cannot be tried.")
        if await self._is_doubtful(server):
            return Finding(BAD, f"The DHCP server calls itself {server}, which cannot be.", _OTHER_SERVER)
        way = await self._machinery.routes.way(server, self._cable.interface.name)
        if not way.interface:
            return Finding(BAD, f"The cable has no route to the DHCP server {server}.", _OTHER_SERVER)
        if way.is_local:
            return Finding(GOOD, f"The DHCP server {server} is in the cable's own network.")
        if self._is_up and not way.is_pinned:
            return Finding(BAD, f"The DHCP server {server} is not pinned to the cable.", _REPIN)
        if self._is_up:
            return Finding(GOOD, f"The DHCP server {server} is behind the cable's router, and pinned to the cable.")
        return Finding(GOOD, f"The DHCP server {server} is behind the cable's router.")

    async def _dns(self) -> Finding:
        if self._cable is None or self._cable.lease is None:
            return Finding(UNKNOWN, "The cable's DNS servers are not known.")
        servers = self._cable.lease.dns
        if not servers:
            return Finding(UNKNOWN, "The lease names no DNS server; names are looked up as the machine itself does.")
        if doubtful := [address for address in servers if await self._is_doubtful(address)]:
            return Finding(BAD, f"The lease names a DNS server that cannot be: {_list(doubtful)}.", _OTHER_SERVER)
        if self._is_up and not self._is_strict and (loose := [one for one in servers if await self._is_loose(one)]):
            return Finding(BAD, f"The cable's DNS is not pinned to the cable: {_list(loose)}.", _REPIN)
        return Finding(GOOD, f"The cable's DNS is {_list(servers)}.")

    async def _server_name(self) -> Finding:
        try:
            self._servers = await self._machinery.lookup.addresses(
                self._link.name, self._link.settings.server, self._link.settings.interface
            )
        except CallFailed as error:
            if error.reason is reasons.SERVER_IMPLAUSIBLE:
                return Finding(
                    BAD, f"{self._link.settings.server} leads to an address that cannot be.", error.reason.sentence
                )
            return Finding(BAD, f"{self._link.settings.server} was not found.", error.reason.sentence)
        return Finding(GOOD, f"The server is {_list(self._servers)}.")

    async def _server(self) -> Finding:
        if self._is_up:
            return Finding(GOOD, "The link is up, so the server answers.")
        if not self._servers:
            return Finding(UNKNOWN, "Without the server's address it cannot be tried.")
        if not self._has_carrier:
            return Finding(UNKNOWN, "Without a cable it cannot be tried.")
        server = self._servers[0]
        way = await self._machinery.routes.way(server, self._link.settings.interface)
        if not way.interface:
            return Finding(BAD, f"No interface with a carrier has a route to {server}.", reasons.NO_CABLE.sentence)
        if (port := self._carrier.control_port) == 0:
            return Finding(UNKNOWN, f"Only a call shows whether {server} answers over {self._carrier.title}.")
        match await self._machinery.lookup.probe(self._link.name, server, port):
            case "open":
                return Finding(GOOD, f"{server} takes connections to TCP port {port}.")
            case "refused":
                return Finding(
                    BAD, f"{server} refuses connections to TCP port {port}.", reasons.SERVER_REFUSED.sentence
                )
            case "silent":
                return Finding(
                    BAD, f"{server} does not answer on TCP port {port}.", reasons.SERVER_UNREACHABLE.sentence
                )
            case "unreachable":
                return Finding(BAD, f"The network says that {server} cannot be reached.", reasons.HANGUP.sentence)
            case _:
                return Finding(UNKNOWN, f"TCP port {port} of {server} could not be tried.", _JOURNAL)

    async def _firewall(self) -> Finding:
        cable = self._cable.interface.name if self._cable is not None else ""
        try:
            rules = await firewall.ruleset()
            wanted = firewall.packets(cable, str(next(iter(self._servers), "")), self._carrier.passages)
            found = await asyncio.to_thread(firewall.outcomes, rules, wanted)
        except FileNotFoundError:
            return Finding(
                UNKNOWN,
                "The firewall's rules were not looked at: nft is not installed.",
                "Install the package nftables.",
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("the firewall's rules could not be read: %r", error)
            return Finding(UNKNOWN, "The firewall's rules could not be read.", _JOURNAL)
        for verdict in (firewall.STOPPED, firewall.OPEN):
            for one in found:
                if one.verdict == verdict:
                    return _hindrance(one, self._link.settings.firewall == "open")
        passages = " and ".join(passage.what for passage in self._carrier.passages)
        if tables := _list(firewall.legacy()):
            return Finding(
                UNKNOWN,
                f"nftables lets {passages} through, but there are rules of old iptables too, which are not read: "
                f"{tables}.",
                f"If calls fail, let {passages} through there, to the server and from it; iptables-legacy-save shows "
                "them.",
            )
        return Finding(GOOD, f"The firewall lets {passages} through.")

    async def _gre(self) -> Finding:
        if self._is_up:
            return Finding(GOOD, "The link is up, so GRE gets through.")
        for record in reversed(self._records()):
            if record.reason == reasons.GRE_BLOCKED.id:
                return Finding(BAD, "Nothing came back through GRE in a call of late.", reasons.GRE_BLOCKED.sentence)
            if record.connected:
                return Finding(GOOD, "GRE got through in the last call that was up.")
        return Finding(UNKNOWN, "Only a call shows whether GRE gets through, and none has been up yet.", "")

    async def _mtu(self) -> Finding:
        """Look whether the tunnel's packets fit the cable; one that does not is lost, often without a word."""
        if any(pppd.tells_of_size(line) for line in self._link.calls.log_lines(MAX_LINES)):
            return Finding(
                BAD, "Packets of the tunnel were too large for the way to the server.", reasons.MTU_TOO_LARGE.sentence
            )
        cable = _size(self._cable.interface.name if self._cable is not None else "")
        if not cable:
            return Finding(UNKNOWN, "How large the cable's packets may be is not known.")
        chosen, room = self._link.settings.mtu, self._carrier.room(cable)
        # The cable may have changed since the call was dialed.
        size = chosen or (_size(self._link.status.interface) if self._is_up else 0) or room
        if cable < ETHERNET and room < size:
            advice = f"Set the link's `mtu` to {room}." if chosen else _REPIN
            return Finding(BAD, f"The cable takes packets of {cable} bytes; the tunnel's have {size} and more.", advice)
        if not self._servers or not self._has_carrier:
            return Finding(GOOD, f"The tunnel's packets of {size} bytes fit into the cable's of {cable}.")
        return await self._black_hole(self._servers[0], size, min(size + WRAPPING, cable))

    async def _black_hole(self, server: IPv4Address, size: int, outside: int) -> Finding:
        """Look whether packets as large as the tunnel's get lost on the way to the server without a word."""
        match await self._machinery.lookup.largest_echo(self._link.name, server, outside):
            case None:
                return Finding(UNKNOWN, f"How large packets to {server} may be could not be tried.", _JOURNAL)
            case 0:
                return Finding(UNKNOWN, f"{server} echoes nothing, so how large packets to it may be is not known.")
            case found if found >= outside:
                return Finding(GOOD, f"The tunnel's packets of {size} bytes get through to {server}.")
            case found if found < probe.LEAST:
                return Finding(UNKNOWN, f"{server} echoes small packets only, so how large others may be is not known.")
            case found:
                return Finding(
                    BAD,
                    f"Packets of {outside} bytes, as the tunnel's are, do not get through to {server}; those of "
                    f"{found} do.",
                    f"Set the link's `mtu` to {self._carrier.room(found)}, then call Reconnect.",
                )

    async def _pins(self) -> Finding:
        if not self._is_up:
            return Finding(UNKNOWN, "The link is not up; the server is pinned to the cable when it is dialed.")
        pins = self._link.calls.call.pins if self._link.calls.call is not None else ()
        missing = [
            str(server)
            for server in pins
            if not (await self._machinery.routes.way(server, self._link.settings.interface)).is_pinned
        ]
        if missing:
            return Finding(BAD, f"Not pinned to the cable: {', '.join(missing)}.", _REPIN)
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
        if (
            self._link.settings.route == "all"
            and not self._is_strict
            and (past := await self._machinery.routes.past_the_tunnels())
        ):
            return Finding(
                BAD,
                f"Somebody else's routes keep a part of the Internet out of the tunnel: {_list(past)}.",
                "Look for the program that sets them; it may be the cable's DHCP server.",
            )
        return Finding(GOOD, "Nothing else takes all traffic.")

    async def _last_call(self) -> Finding:
        if self._is_up:
            return Finding(GOOD, "The link is up.")
        reason = self._link.status.reason
        if reason in (reasons.NONE, reasons.REQUESTED):
            return Finding(UNKNOWN, "Nothing has been dialed since, or nothing went wrong.")
        return Finding(BAD, f"The last call ended with the reason {reason.id}.", reason.sentence)

    async def _double_dialers(self) -> Finding:
        settings = self._link.settings
        if found := await asyncio.to_thread(self._machinery.foreign().dialers, self._link.name, settings):
            return Finding(BAD, " ".join(found), "Take those out, so that only one program dials the line.")
        return Finding(GOOD, "Nothing else was found that dials this line.")

    @property
    def _is_up(self) -> bool:
        return self._link.status.state == names.UP

    @property
    def _is_strict(self) -> bool:
        """Whether others' routes count for nothing, and name servers beyond the cable's network are asked inside."""
        return self._link.settings.strict is not False

    @property
    def _has_carrier(self) -> bool:
        return self._cable is not None and self._cable.interface.has_carrier

    def _records(self) -> list[Record]:
        return self._machinery.history.read(self._link.name, RECORDS)

    async def _is_doubtful(self, address: IPv4Address) -> bool:
        return bool(plan.doubt(address, await self._machinery.routes.own_addresses()))

    async def _is_loose(self, address: IPv4Address) -> bool:
        """Return whether a DNS server is reached through the tunnel, though it is not the peer's as well."""
        assert self._cable is not None
        way = await self._machinery.routes.way(address, self._cable.interface.name)
        return not (way.is_local or way.is_pinned or str(address) in self._link.calls.facts.dns)


def _hindrance(one: firewall.Outcome, may_open: bool) -> Finding:
    what, place = one.packet.passage.what, one.place
    if may_open:
        advice = f"Let {what} through there, to the server and from it."
    else:
        advice = f"Set the link's `firewall` to `open`, or let {what} through there, to the server and from it."
    match one.verdict, one.packet.hook:
        case firewall.STOPPED, "output":
            return Finding(BAD, f"The firewall stops {what} to the server: {place}.", advice)
        case firewall.STOPPED, _:
            return Finding(BAD, f"The firewall stops {what} from the server: {place}.", advice)
        case _, "output":
            return Finding(UNKNOWN, f"The firewall may stop {what} to the server: {place}.", advice)
        case _:
            return Finding(UNKNOWN, f"The firewall may stop {what} from the server: {place}.", advice)


def _size(interface: str) -> int:
    """Return how large the packets of an interface may be, in bytes; 0 when that is not known."""
    try:
        return int(Path(INTERFACES, interface, "mtu").read_text())
    except (OSError, ValueError):
        return 0


def _address(server: str) -> IPv4Address | None:
    try:
        return IPv4Address(server)
    except AddressValueError:
        return None


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
