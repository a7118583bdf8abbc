"""Our routes and rules in the kernel, and nobody else's.

What every link needs is kept as a wish (`Wanted`); `reconcile` dumps what the kernel has under our protocol number,
adds what is missing and deletes what is too much. So adding, removing, repairing after others and sweeping after a
crash are one thing, and doing it twice changes nothing.

    main table      metric-0 host routes to each link's server, through the cable: the pins
    table 5200+n    the routes through the link in slot n: the default, or the chosen prefixes; they die with the ppp
                    device, by the kernel's hand
    rule 31800      everything but default routes from `main`, so that pins and the local network keep working
    rule 31801+n    then the tables of links that take chosen prefixes, before those that take everything
    rule 31865+n    then the tables of links that take everything; when all are empty, the lookup goes on to `main` as
                    before

The cable's own default route is never touched. The kernel is asked from one worker thread, because a socket blocks.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final, TypeVar

from cablecar.helper.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_NEWROUTE,
    RTM_NEWRULE,
    Netlink,
    NetlinkError,
    fibmsg,
    rtmsg,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

PROTOCOL: Final = 201  # in no list of rt_protos(5) that distributions ship
MAIN: Final = 254
FIRST_TABLE: Final = 5200
MAIN_RULE: Final = 31800
FIRST_PREFIX_RULE: Final = 31801
FIRST_DEFAULT_RULE: Final = 31865
SLOTS: Final = 64  # links that can be up at once
_UNICAST: Final = 1  # rtnetlink(7), RTN_UNICAST
_SCOPE_LINK: Final = 253
_SCOPE_UNIVERSE: Final = 0
_TO_TABLE: Final = 1  # FR_ACT_TO_TBL
ANYWHERE: Final = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Route:
    """A route as the kernel has it."""

    destination: IPv4Network
    table: int
    output: int
    gateway: IPv4Address | None = None
    metric: int = 0
    source: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy rule without a selector: at `priority`, look in `table`."""

    priority: int
    table: int
    suppress_defaults: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one link needs of the network.

    Attributes:
        pins: The servers that stay on the cable.
        cable: The interface that they stay on; empty means the one that the best route takes.
        tunnel: The ppp interface while up, otherwise empty.
        through: The destinations that the tunnel leads to; `ANYWHERE` alone is the default route.
    """

    pins: tuple[IPv4Address, ...] = ()
    cable: str = ""
    tunnel: str = ""
    through: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface, as far as routes care."""

    index: int
    name: str
    has_carrier: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the kernel had at one moment."""

    interfaces: Mapping[str, Interface]
    foreign: tuple[Route, ...]  # of the main table, not ours
    ours: frozenset[Route]
    our_rules: frozenset[Rule]


@dataclass(frozen=True, slots=True)
class Way:
    """How an address is reached.

    Attributes:
        interface: The interface that packets leave by; empty when there is none.
        is_pinned: Whether our host route holds them there.
    """

    interface: str = ""
    is_pinned: bool = False


@dataclass(frozen=True, slots=True)
class Goal:
    """What the kernel should have of ours, and the pins that there is a way to."""

    routes: frozenset[Route]
    rules: frozenset[Rule]
    reached: frozenset[IPv4Address]


def underlay(snapshot: Snapshot, address: IPv4Address, cable: str, tunnels: Iterable[str]) -> Route | None:
    """Return the pin for `address`: the way that a packet to it takes when no tunnel of ours exists.

    None when no route leads there by an interface with a carrier. Only routes that others made are looked at, so that
    the answer is the same while a link is up.
    """
    barred = {snapshot.interfaces[name].index for name in tunnels if name in snapshot.interfaces}
    usable = {interface.index for interface in snapshot.interfaces.values() if interface.has_carrier} - barred
    if cable:
        usable &= {snapshot.interfaces[cable].index} if cable in snapshot.interfaces else set()
    routes = [route for route in snapshot.foreign if route.output in usable and address in route.destination]
    if not routes:
        return None
    best = max(routes, key=lambda route: (route.destination.prefixlen, -route.metric))
    return Route(IPv4Network(address), MAIN, best.output, best.gateway, 0, best.source)


def goal(snapshot: Snapshot, wanted: Mapping[str, Wanted], slots: Mapping[str, int]) -> Goal:
    """Return what the kernel should have of ours."""
    routes: set[Route] = set()
    rules: set[Rule] = set()
    reached: set[IPv4Address] = set()
    tunnels = [one.tunnel for one in wanted.values() if one.tunnel]
    for link, one in wanted.items():
        for address in one.pins:
            if (pin := underlay(snapshot, address, one.cable, tunnels)) is not None:
                routes.add(pin)
                reached.add(address)
            else:
                # Without a way there is nothing to pin to; what still stands is left until there is one.
                routes |= {route for route in snapshot.ours if route.destination == IPv4Network(address)}
        if one.through and one.tunnel in snapshot.interfaces:
            table = FIRST_TABLE + slots[link]
            first = FIRST_DEFAULT_RULE if ANYWHERE in one.through else FIRST_PREFIX_RULE
            routes |= {Route(network, table, snapshot.interfaces[one.tunnel].index) for network in one.through}
            rules |= {Rule(MAIN_RULE, MAIN, True), Rule(first + slots[link], table)}
    return Goal(frozenset(routes), frozenset(rules), frozenset(reached))


class Routes:
    """The kernel's routing, as far as it is ours."""

    def __init__(self) -> None:
        self._wanted: dict[str, Wanted] = {}
        self._slots: dict[str, int] = {}  # which link has which table
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="routes")
        self._lock = asyncio.Lock()
        self._socket: Netlink | None = None
        self._standing: frozenset[Route | Rule] = frozenset()  # what we last made the kernel have
        self._reached: frozenset[IPv4Address] = frozenset()  # the pins that there was a way to then

    async def begin(self) -> None:
        """Open the socket; call once."""
        self._socket = await asyncio.get_running_loop().run_in_executor(self._thread, Netlink)

    async def close(self) -> None:
        """Close the socket; the kernel keeps what it has."""
        if self._socket is not None:
            await self._in_thread(self._socket.close)
        self._thread.shutdown()

    def expect(self, link: str, wanted: Wanted) -> None:
        """Note what a link needs whose call runs already; the next `reconcile` sees to it."""
        self._wanted[link] = wanted

    async def want(self, link: str, wanted: Wanted) -> list[IPv4Address]:
        """Make the network what the link needs from now on; return the pins that the cable has a way to."""
        self.expect(link, wanted)
        await self.reconcile()
        return [address for address in wanted.pins if address in self._reached]

    async def release(self, link: str) -> None:
        """Take back everything that the link needed."""
        self._wanted.pop(link, None)
        self._slots.pop(link, None)
        await self.reconcile()

    async def reconcile(self) -> bool:
        """Make the kernel's state the wanted one; return whether something of it had been lost."""
        async with self._lock:
            # Copies: the worker thread must not see a change in the middle.
            wanted = dict(self._wanted)
            slots = {link: self._slot(link) for link in wanted if wanted[link].through}
            return await self._in_thread(lambda: self._reconcile(wanted, slots))

    def _slot(self, link: str) -> int:
        if link not in self._slots:
            self._slots[link] = min(set(range(SLOTS)) - set(self._slots.values()))
        return self._slots[link]

    async def way(self, address: IPv4Address, cable: str) -> Way:
        """Return how packets to `address` go when no tunnel of ours exists, by `cable` if one is named."""
        async with self._lock:
            tunnels = [one.tunnel for one in self._wanted.values() if one.tunnel]
            return await self._in_thread(lambda: self._way(address, cable, tunnels))

    async def counters(self, interface: str) -> tuple[int, int]:
        """Return the bytes that the interface has received and sent; zeros when it is gone."""
        async with self._lock:
            return await self._in_thread(lambda: self._counters(interface))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # From here on everything runs in the worker thread.

    @property
    def _netlink(self) -> Netlink:
        if self._socket is None:
            raise RuntimeError("begin() has not been called")
        return self._socket

    def _reconcile(self, wanted: Mapping[str, Wanted], slots: Mapping[str, int]) -> bool:
        snapshot = self._snapshot()
        wished = goal(snapshot, wanted, slots)
        missing_routes, missing_rules = wished.routes - snapshot.ours, wished.rules - snapshot.our_rules
        lost = self._standing & (missing_routes | missing_rules)
        # First what leads somewhere, then the rules that send packets there; the other way round when removing.
        for route in missing_routes:
            self._add_route(route)
        # The rule for `main` comes first and goes last: without it the tunnel's own packets would go into the tunnel.
        for rule in sorted(missing_rules, key=_priority):
            self._add_rule(rule)
        for rule in sorted(snapshot.our_rules - wished.rules, key=_priority, reverse=True):
            self._delete_rule(rule)
        for route in snapshot.ours - wished.routes:
            self._delete_route(route)
        self._standing = wished.routes | wished.rules
        self._reached = wished.reached
        return bool(lost)

    def _snapshot(self) -> Snapshot:
        interfaces = [_interface(message) for message in self._netlink.links()]
        routes = [
            (message["proto"], _route(message))
            for message in self._netlink.routes()
            if message["type"] == _UNICAST and message.get_attr("RTA_OIF") is not None
        ]
        rules = self._netlink.rules()
        return Snapshot(
            {interface.name: interface for interface in interfaces},
            tuple(route for protocol, route in routes if protocol != PROTOCOL and route.table == MAIN),
            frozenset(route for protocol, route in routes if protocol == PROTOCOL),
            frozenset(_rule(rule) for rule in rules if rule.get_attr("FRA_PROTOCOL") == PROTOCOL),
        )

    def _add_route(self, route: Route) -> None:
        # "Prepend": with NLM_F_EXCL it would fail beside the kernel's own route to a peer that is the server, with
        # NLM_F_REPLACE it would destroy that one, with NLM_F_APPEND it would lose against it.
        # ENETDOWN: the interface is on its way up or down, and tells us when it has arrived.
        harmless = (errno.EEXIST, errno.ENETDOWN)
        _attempt(lambda: self._netlink.change(_message(route), RTM_NEWROUTE, NLM_F_CREATE), *harmless)

    def _delete_route(self, route: Route) -> None:
        _attempt(lambda: self._netlink.change(_message(route), RTM_DELROUTE), errno.ESRCH, errno.ENODEV)

    def _way(self, address: IPv4Address, cable: str, tunnels: Iterable[str]) -> Way:
        snapshot = self._snapshot()
        route = underlay(snapshot, address, cable, tunnels)
        if route is None:
            return Way()
        (name,) = (one.name for one in snapshot.interfaces.values() if one.index == route.output)
        return Way(name, route in snapshot.ours)

    def _add_rule(self, rule: Rule) -> None:
        flags = NLM_F_CREATE | NLM_F_EXCL
        _attempt(lambda: self._netlink.change(_rule_message(rule), RTM_NEWRULE, flags), errno.EEXIST)

    def _delete_rule(self, rule: Rule) -> None:
        _attempt(lambda: self._netlink.change(_rule_message(rule), RTM_DELRULE), errno.ENOENT)

    def _counters(self, interface: str) -> tuple[int, int]:
        for message in self._netlink.links():
            if message.get_attr("IFLA_IFNAME") == interface:
                stats = message.get_attr("IFLA_STATS64") or {}
                return int(stats.get("rx_bytes", 0)), int(stats.get("tx_bytes", 0))
        return 0, 0


def _priority(rule: Rule) -> int:
    return rule.priority


def _attempt(change: Callable[[], object], *harmless: int) -> None:
    """Make a change; what is already so is no error, and another error must not stop the other changes."""
    try:
        change()
    except NetlinkError as error:
        if error.code not in harmless:
            log.warning("a route or rule could not be changed: %s", error)


def _message(route: Route) -> Any:
    message = rtmsg()
    message["family"] = socket.AF_INET
    message["dst_len"] = route.destination.prefixlen
    message["table"] = route.table if route.table < 256 else 0  # then RTA_TABLE counts
    message["proto"] = PROTOCOL
    message["type"] = _UNICAST
    message["scope"] = _SCOPE_UNIVERSE if route.gateway else _SCOPE_LINK
    message["attrs"] = [("RTA_TABLE", route.table), ("RTA_OIF", route.output)]
    if route.destination.prefixlen:
        message["attrs"].append(("RTA_DST", str(route.destination.network_address)))
    if route.gateway:
        message["attrs"].append(("RTA_GATEWAY", str(route.gateway)))
    if route.source:
        message["attrs"].append(("RTA_PREFSRC", str(route.source)))
    return message


def _rule_message(rule: Rule) -> Any:
    message = fibmsg()
    message["family"] = socket.AF_INET
    message["table"] = rule.table if rule.table < 256 else 0  # then FRA_TABLE counts
    message["action"] = _TO_TABLE
    message["attrs"] = [("FRA_PRIORITY", rule.priority), ("FRA_TABLE", rule.table), ("FRA_PROTOCOL", PROTOCOL)]
    if rule.suppress_defaults:
        message["attrs"].append(("FRA_SUPPRESS_PREFIXLEN", 0))
    return message


def _interface(message: Any) -> Interface:
    carrier = message.get_attr("IFLA_CARRIER")
    return Interface(message["index"], message.get_attr("IFLA_IFNAME"), carrier is None or bool(carrier))


def _route(message: Any) -> Route:
    gateway, source = message.get_attr("RTA_GATEWAY"), message.get_attr("RTA_PREFSRC")
    return Route(
        IPv4Network((message.get_attr("RTA_DST") or "0.0.0.0", message["dst_len"])),
        message.get_attr("RTA_TABLE") or message["table"],
        message.get_attr("RTA_OIF"),
        IPv4Address(gateway) if gateway else None,
        message.get_attr("RTA_PRIORITY") or 0,
        IPv4Address(source) if source else None,
    )


def _rule(message: Any) -> Rule:
    return Rule(
        message.get_attr("FRA_PRIORITY") or 0,
        message.get_attr("FRA_TABLE") or message["table"],
        message.get_attr("FRA_SUPPRESS_PREFIXLEN") == 0,
    )
