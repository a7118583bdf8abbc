"""What the kernel should have of ours, from what it has: pure.

    main table      metric-0 host routes through the cable, the pins: to each link's server, and to the cable's DHCP
                    server and name servers where those are not in the cable's own network
    table 5198      pins to public addresses that the cable's lease names: somebody may have chosen one so that all that
                    is for that address stays out of the tunnel
    table 5199      the pins once more, as long as something leads into a tunnel: who flushes `main` makes no circle of
                    packets that carry themselves; and the name servers that are asked through a link, unless that takes
                    everything anyway
    table 5200+n    the routes through the link in slot n: the default, or the chosen prefixes; they die with the ppp
                    device, by the kernel's hand
    rules 31796-8   table 5198 for DHCP and DNS alone
    rule 31799      the pins of table 5199 first, also before the kernel's own route to a peer that is the server
    rule 31800      everything but default routes from `main`, so that pins and the local network keep working; not in
                    strict mode, where what `main` says counts for nothing: there table 5199 has the routes to the local
                    networks that were chosen, and to the interfaces that share the link
    rule 31801+n    then the tables of links that take chosen prefixes, before those that take everything
    rule 31865+n    then the tables of links that take everything; when all are empty, the lookup goes on to `main` as
                    before

    cablecarN.V     the VLAN V on a cable, while a call goes by it, unless somebody else has made one

The cable's own default route is never touched. What its DHCP server said is a stranger's word: an address that cannot
be what it is said to be gets no pin, one that is public a narrow one, and a sentence says why.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Final, NamedTuple

from cablecar.helper.carrier import Passage
from cablecar.helper.leases import Lease
from cablecar.helper.settings import check_server_address

MAIN: Final = 254
NARROW_TABLE: Final = 5198
PINS_TABLE: Final = 5199
FIRST_TABLE: Final = 5200
PINS_RULE: Final = 31799
MAIN_RULE: Final = 31800
FIRST_PREFIX_RULE: Final = 31801
FIRST_DEFAULT_RULE: Final = 31865
SLOTS: Final = 64  # links that can be up at once
ANYWHERE: Final = IPv4Network("0.0.0.0/0")
_LARGE: Final = 8  # bits of a prefix; who has fewer owns no such network
VLAN_NAME: Final = "cablecar%d.{}"  # the kernel puts a number in
_VLAN_NAMES: Final = re.compile(r"cablecar[0-9]+\.[0-9]+")
_GUESTS: Final = ("veth", "tun", "dummy")  # what leads to a container or a virtual machine, when it is a bridge's port
_NOWHERE: Final = IPv4Address(0)  # only a default route leads there
_DHCP_SERVER: Final = "DHCP server"
_PAST_THE_TUNNEL: Final = (
    "somebody else's route keeps {} out of the tunnel; it may be the cable's DHCP server's (CVE-2024-3661). The setting"
    " `strict` leaves such routes without effect"
)
_NARROW: Final = "{}: the {} of its lease is said to be {}, a public address: only DHCP and DNS go there by the cable."


class Route(NamedTuple):
    """A route as the kernel has it; one by several ways at once counts as several.

    Attributes:
        is_onlink: The gateway is on the wire, in no network of the interface's addresses (ip-route(8), onlink).
    """

    destination: IPv4Network
    table: int
    output: int
    gateway: IPv4Address | None = None
    metric: int = 0
    source: IPv4Address | None = None
    is_onlink: bool = False


class Service(NamedTuple):
    """What packets are for: the number of the protocol, and the port that they go to."""

    protocol: int
    port: int


class Rule(NamedTuple):
    """A policy rule: at `priority` look in `table`, for all packets or those for one service."""

    priority: int
    table: int
    suppress_defaults: bool = False
    service: Service | None = None


_UDP, _TCP, _DHCP, _DNS = 17, 6, 67, 53  # RFC 2131, RFC 1035
NARROW_RULES: Final = (
    Rule(31796, NARROW_TABLE, service=Service(_UDP, _DHCP)),
    Rule(31797, NARROW_TABLE, service=Service(_UDP, _DNS)),
    Rule(31798, NARROW_TABLE, service=Service(_TCP, _DNS)),
)


class Wanted(NamedTuple):
    """What one link needs of the network.

    Attributes:
        pins: The servers that stay on the cable.
        cable: The interface that they stay on; empty means the one that the best route takes.
        tunnel: The ppp interface while up, otherwise empty.
        through: The destinations that the tunnel leads to; `ANYWHERE` alone is the default route.
        inside: What the peer said is in the tunnel: its own address and its name servers.
        asked: The name servers that are asked through the tunnel.
        passages: The packets of the call that leave by the cable.
        share: Internal interfaces whose hosts use the tunnel too.
        line: The interface that the call goes by, where that is not for routes to say.
    """

    pins: tuple[IPv4Address, ...] = ()
    cable: str = ""
    tunnel: str = ""
    through: tuple[IPv4Network, ...] = ()
    inside: tuple[IPv4Address, ...] = ()
    asked: tuple[IPv4Address, ...] = ()
    passages: tuple[Passage, ...] = ()
    share: tuple[str, ...] = ()
    line: str = ""


@dataclass(frozen=True, slots=True)
class Vlan:
    """What makes an interface a VLAN: the index of the one that it is on, and its number there."""

    on: int
    number: int


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface, as far as routes care.

    Attributes:
        hardware: Its address on the wire, the one that it was made with where that is known.
        kind: What it is when it is no card: `bridge`, `veth`.
        bundle: The index of the bridge or bond that it is a port of; 0 if it is none.
    """

    index: int
    name: str
    has_carrier: bool
    addresses: tuple[IPv4Address, ...] = ()
    is_ethernet: bool = False
    hardware: bytes = b""
    vlan: Vlan | None = None
    kind: str = ""
    bundle: int = 0

    @property
    def is_ours(self) -> bool:
        """Whether it is a VLAN that was made for a call."""
        return self.vlan is not None and _VLAN_NAMES.fullmatch(self.name) is not None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the kernel had at one moment; an interface may stand under a former name too (`by_name`)."""

    interfaces: Mapping[str, Interface]
    foreign: tuple[Route, ...]  # of the main table, not ours
    ours: frozenset[Route]
    our_rules: frozenset[Rule]
    leases: Mapping[str, Lease] = field(default_factory=dict)  # the known ones of cables in use, by interface


class Way(NamedTuple):
    """How an address is reached.

    Attributes:
        interface: The interface that packets leave by; empty when there is none.
        is_pinned: Whether our host route holds them there.
        is_local: Whether it is in that interface's own network, so that no router is between.
    """

    interface: str = ""
    is_pinned: bool = False
    is_local: bool = False


class Footing(NamedTuple):
    """What a call stands on: where it failed on one, it may not on another.

    Attributes:
        interface: The index of the interface that it leaves by; a name may change.
        addresses: Those that its packets may come from.
        router: The first stop on its way, if it calls beyond the cable's own network.
    """

    interface: int
    addresses: tuple[IPv4Address, ...] = ()
    router: IPv4Address | None = None


class Cable(NamedTuple):
    """The interface that the calls of a link go by, and the lease that it has, if a program is known to hold one."""

    interface: Interface
    lease: Lease | None = None


class Goal(NamedTuple):
    """What the kernel should have of ours.

    Attributes:
        routes: The routes.
        rules: The rules.
        reached: The servers that there is a way to.
        cables: The interfaces that lead to them.
        doubts: A sentence for each address of a lease that gets no pin.
    """

    routes: frozenset[Route]
    rules: frozenset[Rule]
    reached: frozenset[IPv4Address]
    cables: frozenset[Interface] = frozenset()
    doubts: frozenset[str] = frozenset()


def by_name(interfaces: Collection[Interface], former: Mapping[str, Interface]) -> dict[str, Interface]:
    """Return interfaces by their names, and by those in `former` that nobody has any more.

    Such a name leads to the interface of the same index or, where that is gone too, of the same hardware: who renames a
    cable, or plugs it into another socket, need not change the settings.
    """
    found = {one.name: one for one in interfaces}
    # A VLAN has the hardware address of its cable.
    wired = [one for one in interfaces if one.is_ethernet and one.vlan is None and one.hardware]
    for name, before in former.items():
        same = [one for one in wired if one.hardware == before.hardware]
        same = [one for one in same if one.index == before.index] or same
        if name not in found and len(same) == 1:
            found[name] = same[0]
    return found


def goal(
    snapshot: Snapshot,
    wanted: Mapping[str, Wanted],
    slots: Mapping[str, int],
    strict: Collection[IPv4Network] | None = None,
) -> Goal:
    """Return what the kernel should have of ours; `strict` are the local networks of strict mode, None without it."""
    routes: set[Route] = set()
    rules: set[Rule] = set()
    reached: set[IPv4Address] = set()
    cables: set[Interface] = set()
    doubts: set[str] = set()
    tunnels = [one.tunnel for one in wanted.values() if one.tunnel]
    inside = {address for one in wanted.values() for address in one.inside}
    for link, one in wanted.items():
        found: list[Interface] = []
        for address in one.pins:
            if (pin := underlay(snapshot, address, one.cable, tunnels)) is not None:
                routes.add(pin)
                reached.add(address)
                found.append(_interface(snapshot, pin.output))
            else:
                routes |= _standing(snapshot, [address])
        cables |= set(found[:1])
        for cable in found[:1]:
            if (lease := snapshot.leases.get(cable.name)) is not None:
                pins, doubted = _of_lease(snapshot, lease, cable, inside, tunnels, strict is not None)
                routes |= pins
                doubts |= doubted
        if one.pins and not found:
            routes |= _standing(
                snapshot, [address for lease in snapshot.leases.values() for address, _ in _named(lease)]
            )
        if one.through and one.tunnel in snapshot.interfaces:
            table = FIRST_TABLE + slots[link]
            first = FIRST_DEFAULT_RULE if ANYWHERE in one.through else FIRST_PREFIX_RULE
            routes |= {Route(network, table, snapshot.interfaces[one.tunnel].index) for network in one.through}
            rules.add(Rule(first + slots[link], table))
            if ANYWHERE in one.through and strict is None:
                doubts |= {_PAST_THE_TUNNEL.format(network) for network in past_the_tunnels(snapshot, tunnels)}
    if rules:
        if strict is None:
            rules.add(Rule(MAIN_RULE, MAIN, True))
        else:
            routes |= _kept(snapshot, wanted, strict, tunnels)
    asked = _asked(snapshot, wanted.values(), strict, tunnels)
    if rules or asked:
        routes |= asked | {route._replace(table=PINS_TABLE) for route in routes if route.table == MAIN}
        rules.add(Rule(PINS_RULE, PINS_TABLE))
    if any(route.table == NARROW_TABLE for route in routes):
        rules |= set(NARROW_RULES)
    return Goal(frozenset(routes), frozenset(rules), frozenset(reached), frozenset(cables), frozenset(doubts))


def slots(snapshot: Snapshot, wanted: Mapping[str, Wanted], former: Mapping[str, int]) -> dict[str, int]:
    """Return which link has which slot: each keeps its own, also one that the kernel alone remembers.

    The first of those that take everything wins; a helper that was started again must not choose another.
    """
    leads = {link: one for link, one in wanted.items() if one.through}
    found = {link: slot for link, slot in former.items() if link in leads}
    indices = {
        link: snapshot.interfaces[one.tunnel].index for link, one in leads.items() if one.tunnel in snapshot.interfaces
    }
    for link in leads.keys() - found.keys():
        standing = {route.table - FIRST_TABLE for route in snapshot.ours if route.output == indices.get(link)}
        if known := standing & set(range(SLOTS)) - set(found.values()):
            found[link] = min(known)
    for link in leads:
        if link not in found:
            found[link] = min(set(range(SLOTS)) - set(found.values()))
    return found


def underlay(snapshot: Snapshot, address: IPv4Address, cable: str, tunnels: Iterable[str]) -> Route | None:
    """Return the pin for `address`: the way that a packet to it takes when no tunnel of ours exists.

    None when no route leads there by an interface with a carrier. Only routes that others made are looked at, so that
    the answer is the same while a link is up.
    """
    best = _best(snapshot, address, cable, tunnels)
    return None if best is None else _pin(address, best)


def cable_of(snapshot: Snapshot, named: str, server: IPv4Address | None, tunnels: Iterable[str]) -> Interface | None:
    """Return the interface that is named, else the one that leads to the server, or out while that is not known.

    When nothing leads out either, it is the only Ethernet with a carrier, if there is just one.
    """
    if named:
        return snapshot.interfaces.get(named)
    best = _best(snapshot, _NOWHERE if server is None else server, "", tunnels)
    if best is not None:
        return _interface(snapshot, best.output)
    live = ethernets(snapshot)
    return snapshot.interfaces[live[0]] if server is None and len(live) == 1 else None


def footing(snapshot: Snapshot, named: str, server: IPv4Address | None, tunnels: Iterable[str]) -> Footing | None:
    """Return what a call stands on, to the server or on the cable itself; None while there is no way for it."""
    if server is None:
        cable = cable_of(snapshot, named, None, tunnels)
        return Footing(cable.index) if cable is not None and cable.has_carrier else None
    if (best := _best(snapshot, server, named, tunnels)) is None:
        return None
    addresses = (best.source,) if best.source is not None else _interface(snapshot, best.output).addresses
    return Footing(best.output, addresses, best.gateway) if addresses else None


def way(snapshot: Snapshot, address: IPv4Address, cable: str, tunnels: Iterable[str]) -> Way:
    """Return how packets to `address` go when no tunnel of ours exists, by `cable` if one is named."""
    best = _best(snapshot, address, cable, tunnels)
    if best is None:
        return Way()
    pin = _pin(address, best)
    is_pinned = not snapshot.ours.isdisjoint({pin, pin._replace(table=NARROW_TABLE)})
    return Way(_interface(snapshot, best.output).name, is_pinned, _is_local(best))


def doubt(address: IPv4Address, own: Iterable[IPv4Address]) -> str:
    """Return why no other machine can have `address`, as the end of a sentence; empty when one can."""
    if address in own:
        return "which is this machine's own address"
    try:
        check_server_address(address)
    except ValueError:
        return "which no other machine can have"
    return ""


def ethernets(snapshot: Snapshot) -> list[str]:
    """Return the Ethernet interfaces that have a carrier."""
    return sorted({one.name for one in _live(snapshot)})


def vlan_of(snapshot: Snapshot, wanted: Vlan) -> Interface | None:
    """Return the interface that is this VLAN, whoever has made it."""
    return next((one for one in snapshot.interfaces.values() if one.vlan == wanted), None)


def vlans_left(snapshot: Snapshot, wanted: Iterable[Wanted]) -> list[Interface]:
    """Return the VLANs of ours that no call goes by."""
    used = {one.line for one in wanted}
    return [one for one in snapshot.interfaces.values() if one.is_ours and one.name not in used]


def _live(snapshot: Snapshot) -> set[Interface]:
    """Return what may be a cable that is plugged in: no port of a bridge or bond, and no bridge of guests alone."""
    present = set(snapshot.interfaces.values())
    leading_out = {one.bundle for one in present if one.kind not in _GUESTS}
    return {
        one
        for one in present
        # What was made for a call is no cable, but on one.
        if one.is_ethernet and one.has_carrier and not one.is_ours
        if not one.bundle and (one.kind != "bridge" or one.index in leading_out)
    }


def own_addresses(snapshot: Snapshot) -> frozenset[IPv4Address]:
    """Return this machine's addresses."""
    return frozenset(address for interface in snapshot.interfaces.values() for address in interface.addresses)


def others(snapshot: Snapshot, tunnels: Iterable[str]) -> frozenset[Route | Interface]:
    """Return what a cable may consist of, tunnels apart: others' routes, interfaces with an address or a carrier."""
    indices, live = _indices(snapshot, tunnels), _live(snapshot)
    routes = {route for route in snapshot.foreign if route.output not in indices}
    return frozenset(routes).union(
        one
        for one in snapshot.interfaces.values()
        if (one.addresses or one in live) and one.index not in indices and not one.is_ours
    )


def past_the_tunnels(snapshot: Snapshot, tunnels: Iterable[str]) -> list[IPv4Network]:
    """Return the large networks that somebody else's routes keep out of every tunnel, though they are no defaults."""
    indices = _indices(snapshot, tunnels)
    large = {route.destination for route in snapshot.foreign if route.output not in indices}
    return sorted(network for network in large if 0 < network.prefixlen < _LARGE)


def _kept(
    snapshot: Snapshot, wanted: Mapping[str, Wanted], strict: Collection[IPv4Network], tunnels: Iterable[str]
) -> set[Route]:
    """Return the routes of others that count in strict mode too, as routes of ours."""
    indices = _indices(snapshot, tunnels)
    shared = {name for one in wanted.values() for name in one.share}
    internal = {one.index for one in snapshot.interfaces.values() if one.name in shared}
    found: dict[IPv4Network, Route] = {}
    for route in sorted(snapshot.foreign, key=lambda route: -route.metric):  # the best one last
        is_local = any(route.destination.subnet_of(network) for network in strict)
        is_inside = route.output in internal and route.destination.prefixlen >= _LARGE
        if route.output not in indices and (is_local or is_inside):
            found[route.destination] = route._replace(table=PINS_TABLE, metric=0)
    return set(found.values())


def _asked(
    snapshot: Snapshot,
    wanted: Collection[Wanted],
    strict: Collection[IPv4Network] | None,
    tunnels: Iterable[str],
) -> set[Route]:
    """Return the routes to the name servers that are asked through a link, where not all goes through the only one.

    A server in a network that packets reach by the cable anyway is asked there.
    """
    up = [one for one in wanted if one.tunnel in snapshot.interfaces]
    if len(up) == 1 and ANYWHERE in up[0].through:
        return set()
    indices = _indices(snapshot, tunnels)
    own, pins = own_addresses(snapshot), {address for one in wanted for address in one.pins}
    beside = (
        [route.destination for route in snapshot.foreign if route.destination.prefixlen and route.output not in indices]
        if strict is None
        else strict
    )
    return {
        Route(IPv4Network(address), PINS_TABLE, snapshot.interfaces[one.tunnel].index)
        for one in up
        for address in one.asked
        if address not in pins and not doubt(address, own) and not any(address in network for network in beside)
    }


def _of_lease(
    snapshot: Snapshot,
    lease: Lease,
    cable: Interface,
    inside: Iterable[IPv4Address],
    tunnels: Iterable[str],
    is_strict: bool,
) -> tuple[set[Route], set[str]]:
    """Return the pins for what a lease names, and a sentence for each address that is not to be believed.

    In strict mode the cable's own network is no exception, and a DNS server beyond it is asked through the tunnel.
    """
    pins: set[Route] = set()
    doubts: set[str] = set()
    own = own_addresses(snapshot)
    for address, role in _named(lease):
        why = "which is inside the tunnel" if address in inside else doubt(address, own)
        if why:
            doubts.add(f"{cable.name}: the {role} of its lease is said to be {address}, {why}; it gets no pin.")
            continue
        best = _best(snapshot, address, cable.name, tunnels)
        if best is None or not _needs_pin(role, _is_local(best), is_strict):
            continue
        pin = _pin(address, best)
        if address.is_global:
            doubts.add(_NARROW.format(cable.name, role, address))
            pin = pin._replace(table=NARROW_TABLE)
        pins.add(pin)
    return pins, doubts


def _needs_pin(role: str, is_local: bool, is_strict: bool) -> bool:
    if not is_strict:
        return not is_local
    return role == _DHCP_SERVER or is_local


def _named(lease: Lease) -> Iterator[tuple[IPv4Address, str]]:
    if lease.server is not None:
        yield lease.server, _DHCP_SERVER
    yield from ((address, "DNS server") for address in lease.dns)


def _standing(snapshot: Snapshot, addresses: Iterable[IPv4Address]) -> set[Route]:
    # Without a way there is nothing to pin to; what still stands is left until there is one. After a flush of `main`
    # that is table 5199 alone, and while a tunnel is up its own packets need it.
    hosts = {IPv4Network(address) for address in addresses}
    tables = (MAIN, NARROW_TABLE, PINS_TABLE)
    return {route for route in snapshot.ours if route.table in tables and route.destination in hosts}


def _best(snapshot: Snapshot, address: IPv4Address, cable: str, tunnels: Iterable[str]) -> Route | None:
    barred = _indices(snapshot, tunnels)
    usable = {interface.index for interface in snapshot.interfaces.values() if interface.has_carrier} - barred
    if cable:
        usable &= {snapshot.interfaces[cable].index} if cable in snapshot.interfaces else set()
    routes = [route for route in snapshot.foreign if route.output in usable and address in route.destination]
    best = max(routes, key=lambda route: (route.destination.prefixlen, -route.metric), default=None)
    return None if best is None else _renewed(snapshot, best)


def _renewed(snapshot: Snapshot, route: Route) -> Route:
    """Return the route by the router of the present lease, where the client has left that of an earlier one.

    dhclient's script (Debian's) sets the default route when an address comes, but not when it is renewed.
    """
    lease = snapshot.leases.get(_interface(snapshot, route.output).name)
    if lease is None or route.gateway not in lease.former or not lease.routers:
        return route
    router = lease.routers[0]
    local = (one for one in snapshot.foreign if one.output == route.output and _is_local(one))
    return route._replace(gateway=router, is_onlink=False) if any(router in one.destination for one in local) else route


def _indices(snapshot: Snapshot, tunnels: Iterable[str]) -> set[int]:
    return {snapshot.interfaces[name].index for name in tunnels if name in snapshot.interfaces}


def _pin(address: IPv4Address, best: Route) -> Route:
    return best._replace(destination=IPv4Network(address), table=MAIN, metric=0)


def _is_local(route: Route) -> bool:
    # A default route without a router is no network of the cable's own: the rule for `main` leaves it out.
    return route.gateway is None and route.destination.prefixlen > 0


def _interface(snapshot: Snapshot, index: int) -> Interface:
    return next(interface for interface in snapshot.interfaces.values() if interface.index == index)
