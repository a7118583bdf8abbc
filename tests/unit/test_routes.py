"""Which way a packet to the server takes when no tunnel exists: pure, from a snapshot."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cablecar.helper.errors import Failed, StorageFailed
from cablecar.helper.leases import Lease
from cablecar.helper.netlink import Netlink, NetlinkError, ifinfmsg
from cablecar.helper.nft import Nft
from cablecar.helper.plan import (
    ANYWHERE,
    MAIN,
    MAIN_RULE,
    NARROW_RULES,
    NARROW_TABLE,
    PINS_RULE,
    PINS_TABLE,
    Footing,
    Goal,
    Interface,
    Route,
    Rule,
    Snapshot,
    Vlan,
    Wanted,
    Way,
    by_name,
    cable_of,
    ethernets,
    footing,
    goal,
    others,
    past_the_tunnels,
    slots,
    underlay,
    vlan_of,
    vlans_left,
    way,
)
from cablecar.helper.routes import Routes, _interface

SERVER = IPv4Address("203.0.113.7")
GATEWAY = IPv4Address("10.20.30.1")
ETH0, ETH1, PPP0 = Interface(2, "eth0", True), Interface(3, "eth1", True), Interface(9, "ppp0", True)


def route(destination: str, output: Interface, gateway: IPv4Address | None = None, metric: int = 0) -> Route:
    return Route(IPv4Network(destination), MAIN, output.index, gateway, metric)


def snapshot(*routes: Route, interfaces: tuple[Interface, ...] = (ETH0, ETH1, PPP0)) -> Snapshot:
    return Snapshot({interface.name: interface for interface in interfaces}, routes, frozenset(), frozenset())


def pin(output: Interface, gateway: IPv4Address | None = None) -> Route:
    return route("203.0.113.7/32", output, gateway)


@pytest.mark.parametrize(
    ("routes", "cable", "expected"),
    [
        ([], "", None),
        ([route("0.0.0.0/0", ETH0, GATEWAY)], "", pin(ETH0, GATEWAY)),
        ([route("0.0.0.0/0", ETH0, GATEWAY, 100)], "", pin(ETH0, GATEWAY)),
        ([route("0.0.0.0/0", ETH0, GATEWAY), route("203.0.113.0/24", ETH1)], "", pin(ETH1)),
        ([route("0.0.0.0/0", ETH0, GATEWAY), route("203.0.113.0/24", ETH1)], "eth0", pin(ETH0, GATEWAY)),
        ([route("0.0.0.0/0", ETH1, None, 600), route("0.0.0.0/0", ETH0, GATEWAY, 100)], "", pin(ETH0, GATEWAY)),
        ([route("0.0.0.0/0", ETH0, GATEWAY)], "eth7", None),
        # pppd's own route to a peer that is the server must never become the way to the server.
        ([route("203.0.113.7/32", PPP0), route("0.0.0.0/0", ETH0, GATEWAY)], "", pin(ETH0, GATEWAY)),
    ],
)
def test_the_way_to_the_server(routes: list[Route], cable: str, expected: Route | None) -> None:
    assert underlay(snapshot(*routes), SERVER, cable, ["ppp0"]) == expected


def test_what_a_call_stands_on() -> None:
    seen = Snapshot({"eth0": HOME, "ppp0": PPP0}, (LAN, OUT), frozenset(), frozenset())
    assert footing(seen, "", SERVER, []) == Footing(2, HOME.addresses, GATEWAY)
    assert footing(seen, "", GATEWAY, []) == Footing(2, HOME.addresses)
    assert footing(seen, "eth0", None, []) == Footing(2)
    through = route("0.0.0.0/0", PPP0)
    assert footing(replace(seen, foreign=(through,)), "", SERVER, ["ppp0"]) is None
    with_another = replace(HOME, addresses=(*HOME.addresses, IPv4Address("192.0.2.9")))
    told = replace(seen, foreign=(OUT._replace(source=HOME.addresses[0]),), interfaces={"eth0": with_another})
    assert footing(told, "", SERVER, []) == Footing(2, HOME.addresses, GATEWAY)
    assert footing(replace(seen, interfaces={"eth0": replace(HOME, addresses=())}), "", SERVER, []) is None
    assert footing(replace(seen, interfaces={"eth0": replace(HOME, has_carrier=False)}), "eth0", None, []) is None


def test_a_cable_without_carrier_leads_nowhere() -> None:
    unplugged = Interface(2, "eth0", False)
    assert underlay(snapshot(route("0.0.0.0/0", ETH0, GATEWAY), interfaces=(unplugged,)), SERVER, "", []) is None


def test_chosen_prefixes_come_before_everything_else() -> None:
    office = IPv4Network("198.51.100.0/24")
    wanted = {"home": Wanted((SERVER,), "", "ppp0", (ANYWHERE,)), "office": Wanted((SERVER,), "", "ppp1", (office,))}
    ppp1 = Interface(10, "ppp1", True)
    seen = snapshot(route("0.0.0.0/0", ETH0, GATEWAY), interfaces=(ETH0, PPP0, ppp1))
    found = goal(seen, wanted, {"home": 0, "office": 1})
    assert found.routes == {
        pin(ETH0, GATEWAY),
        pin(ETH0, GATEWAY)._replace(table=PINS_TABLE),
        Route(ANYWHERE, 5200, PPP0.index),
        Route(office, 5201, ppp1.index),
    }
    priority = {rule.table: rule.priority for rule in found.rules}
    assert priority[PINS_TABLE] < MAIN_RULE == priority[MAIN] < priority[5201] < priority[5200]
    assert Rule(MAIN_RULE, MAIN, True) in found.rules


def test_a_link_that_leaves_routing_alone_has_its_pin_only() -> None:
    found = goal(snapshot(route("0.0.0.0/0", ETH0, GATEWAY)), {"home": Wanted((SERVER,), "", "ppp0")}, {})
    assert found == Goal(frozenset({pin(ETH0, GATEWAY)}), frozenset(), frozenset({SERVER}), frozenset({ETH0}))


DNS = IPv4Address("198.51.100.53")
PPP1 = Interface(10, "ppp1", True)


def asked(
    one: Wanted, *more: Route, other: Wanted | None = None, strict: tuple[IPv4Network, ...] | None = None
) -> set[str]:
    """Return by which interface the pins' table leads to the name server."""
    interfaces = {each.name: each for each in (HOME, PPP0, PPP1)}
    seen = Snapshot(interfaces, (LAN, OUT, *more), frozenset(), frozenset())
    wanted = {"home": one, **({"office": other} if other is not None else {})}
    found = goal(seen, wanted, {"home": 0, "office": 1}, strict)
    hosts = [route for route in found.routes if route.destination == IPv4Network(DNS) and route.table == PINS_TABLE]
    assert not hosts or Rule(PINS_RULE, PINS_TABLE) in found.rules
    return {each.name for each in interfaces.values() for route in hosts if each.index == route.output}


def test_a_links_name_servers_are_asked_through_it_whatever_else_goes_there() -> None:
    everything = Wanted((SERVER,), "", "ppp0", (ANYWHERE,), asked=(DNS,))
    office = Wanted((SERVER,), "", "ppp1", (IPv4Network("10.1.0.0/16"),), asked=(DNS,))
    alone = Wanted((SERVER,), "", "ppp0", (), asked=(DNS,))
    assert asked(everything) == set(), "it takes that anyway"
    assert asked(office) == {"ppp1"}
    assert asked(alone) == {"ppp0"}
    assert asked(everything._replace(asked=()), other=everything._replace(tunnel="ppp1")) == {"ppp1"}
    assert asked(office, strict=()) == {"ppp1"}


def test_a_name_server_by_the_cable_or_that_is_the_server_keeps_its_way() -> None:
    one = Wanted((SERVER,), "", "ppp0", (), asked=(DNS,))
    assert asked(one, route("198.51.100.0/24", HOME)) == set()
    assert asked(one, strict=(IPv4Network("198.51.100.0/24"),)) == set()
    assert asked(one, route("198.51.100.53/32", PPP0)) == {"ppp0"}, "pppd's own route"
    assert asked(one._replace(pins=(DNS,), through=(IPv4Network("10.1.0.0/16"),))) == {"eth0"}, "the pin's copy"
    assert asked(one._replace(tunnel="ppp7")) == set(), "it is not up"


def test_who_has_a_slot_keeps_it_also_over_the_helpers_start() -> None:
    takes_all = [Wanted((SERVER,), "", tunnel, (ANYWHERE,)) for tunnel in ("ppp0", "ppp1", "")]
    wanted = dict(zip(("a", "b", "c"), takes_all, strict=True))
    standing = frozenset({Route(ANYWHERE, 5200, PPP1.index), Route(ANYWHERE, 5202, PPP0.index)})
    seen = Snapshot({"ppp0": PPP0, "ppp1": PPP1}, (), standing, frozenset())
    assert slots(seen, wanted, {}) == {"b": 0, "a": 2, "c": 1}
    assert slots(seen, wanted, {"c": 0, "gone": 1}) == {"c": 0, "a": 2, "b": 1}
    assert slots(snapshot(), {**wanted, "d": Wanted((SERVER,), "", "ppp0")}, {}) == {"a": 0, "b": 1, "c": 2}


def test_a_pin_stays_while_there_is_no_cable_to_pin_to() -> None:
    old = pin(ETH0, GATEWAY)
    seen = Snapshot({"eth0": ETH0}, (), frozenset({old}), frozenset())
    found = goal(seen, {"home": Wanted((SERVER,))}, {})
    assert found == Goal(frozenset({old}), frozenset(), frozenset())


def test_after_a_flush_of_main_the_copy_of_the_pin_stays_while_a_tunnel_is_up() -> None:
    copy = pin(ETH0, GATEWAY)._replace(table=PINS_TABLE)
    seen = Snapshot({"eth0": ETH0, "ppp0": PPP0}, (), frozenset({copy}), frozenset())
    found = goal(seen, {"home": Wanted((SERVER,), "", "ppp0", (ANYWHERE,))}, {"home": 0})
    assert found.routes == {copy, Route(ANYWHERE, 5200, PPP0.index)}


HOME = Interface(2, "eth0", True, (IPv4Address("10.20.30.145"),))
LEASE = Lease("dhclient", HOME.addresses[0], (GATEWAY,), IPv4Address("10.99.0.1"), (IPv4Address("10.99.0.53"),))
LAN, OUT = route("10.20.30.0/24", HOME), route("0.0.0.0/0", HOME, GATEWAY)


def pinned(
    lease: Lease, *routes: Route, wanted: Wanted | None = None, ours: tuple[Route, ...] = ()
) -> tuple[set[str], set[str]]:
    """Return the host routes beside the server's own, and the doubts."""
    seen = Snapshot({"eth0": HOME, "ppp0": PPP0}, routes, frozenset(ours), frozenset(), {"eth0": lease})
    found = goal(seen, {"home": wanted or Wanted((SERVER,), "", "ppp0")}, {})
    hosts = {f"{one.destination.network_address} via {one.gateway}" for one in found.routes if one.table == MAIN}
    return hosts - {f"{SERVER} via {GATEWAY}"}, set(found.doubts)


def test_a_dhcp_server_and_dns_behind_the_router_are_pinned() -> None:
    assert pinned(LEASE, LAN, OUT) == ({"10.99.0.1 via 10.20.30.1", "10.99.0.53 via 10.20.30.1"}, set())


def test_what_is_in_the_cables_own_network_needs_no_pin() -> None:
    assert pinned(Lease("dhclient", HOME.addresses[0], (), GATEWAY, (GATEWAY,)), LAN, OUT) == (set(), set())


def test_pins_follow_the_cables_router() -> None:
    moved = route("0.0.0.0/0", HOME, IPv4Address("10.20.30.2"))
    assert pinned(LEASE, LAN, moved)[0] >= {"10.99.0.1 via 10.20.30.2", "10.99.0.53 via 10.20.30.2"}


@pytest.mark.parametrize(
    ("router", "former", "via"),
    [
        ("10.20.30.2", "10.20.30.1", "10.20.30.2"),
        ("10.20.30.2", "10.20.30.9", "10.20.30.1"),  # the default route is no lease's: somebody set it
        ("172.16.0.1", "10.20.30.1", "10.20.30.1"),  # no network of the cable's has that router
    ],
)
def test_a_router_that_the_client_has_not_taken_over_is_followed(router: str, former: str, via: str) -> None:
    lease = LEASE._replace(routers=(IPv4Address(router),), former=(IPv4Address(former),))
    assert {host.split()[-1] for host in pinned(lease, LAN, OUT)[0]} == {via}


def test_a_default_route_without_a_router_makes_no_network_local() -> None:
    assert pinned(LEASE, route("0.0.0.0/0", HOME))[0] >= {"10.99.0.1 via None", "10.99.0.53 via None"}


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "169.254.1.1"])
def test_what_no_machine_can_have_gets_no_pin(address: str) -> None:
    pins, doubts = pinned(Lease("dhclient", HOME.addresses[0], (), IPv4Address(address)), LAN, OUT)
    assert pins == set()
    assert doubts == {
        f"eth0: the DHCP server of its lease is said to be {address}, which no other machine can have; it gets no pin."
    }


def test_a_public_address_of_a_lease_is_pinned_for_its_service_alone() -> None:
    public = IPv4Address("9.9.9.9")
    lease = Lease("dhclient", HOME.addresses[0], (GATEWAY,), public)
    pins, (doubt,) = pinned(lease, LAN, OUT)
    assert pins == set()
    assert "9.9.9.9, a public address: only DHCP and DNS" in doubt
    seen = Snapshot({"eth0": HOME, "ppp0": PPP0}, (LAN, OUT), frozenset(), frozenset(), {"eth0": lease})
    found = goal(seen, {"home": Wanted((SERVER,), "", "ppp0", (ANYWHERE,))}, {"home": 0})
    narrow = Route(IPv4Network(public), NARROW_TABLE, HOME.index, GATEWAY)
    assert {one for one in found.routes if one.destination == narrow.destination} == {narrow}
    assert set(NARROW_RULES) <= found.rules
    assert max(rule.priority for rule in NARROW_RULES) < PINS_RULE
    unplugged = Snapshot({"eth0": HOME}, (), frozenset({narrow}), frozenset(), {"eth0": lease})
    assert narrow in goal(unplugged, {"home": Wanted((SERVER,))}, {}).routes, "it stays while there is no cable"


def test_our_own_address_gets_no_pin() -> None:
    pins, (doubt,) = pinned(Lease("dhclient", HOME.addresses[0], (), None, (HOME.addresses[0],)), LAN, OUT)
    assert pins == set()
    assert "DNS server" in doubt
    assert "own address" in doubt


def test_what_is_inside_the_tunnel_gets_no_pin() -> None:
    inside = Wanted((SERVER,), "", "ppp0", (), LEASE.dns)
    pins, (doubt,) = pinned(LEASE, LAN, OUT, wanted=inside)
    assert pins == {"10.99.0.1 via 10.20.30.1"}
    assert "inside the tunnel" in doubt


def test_the_leases_pins_stay_while_there_is_no_cable() -> None:
    standing = route("10.99.0.1/32", HOME, GATEWAY)
    assert pinned(LEASE, ours=(standing, route("10.1.1.1/32", HOME, GATEWAY)))[0] == {"10.99.0.1 via 10.20.30.1"}


def test_nothing_of_a_lease_is_pinned_for_nobody() -> None:
    seen = Snapshot({"eth0": HOME}, (LAN, OUT), frozenset(), frozenset(), {"eth0": LEASE})
    assert goal(seen, {}, {}).routes == set()


def test_the_cable_is_the_one_named_or_the_one_that_leads_out() -> None:
    seen = snapshot(route("0.0.0.0/0", ETH0, GATEWAY), route("203.0.113.0/24", ETH1))
    assert cable_of(seen, "eth1", None, []) == ETH1
    assert cable_of(seen, "eth7", None, []) is None
    assert cable_of(seen, "", None, []) == ETH0
    assert cable_of(seen, "", SERVER, []) == ETH1
    assert cable_of(snapshot(route("0.0.0.0/0", PPP0)), "", None, ["ppp0"]) is None


def test_a_way_tells_whether_a_router_and_a_pin_are_there() -> None:
    seen = Snapshot({"eth0": HOME}, (LAN, OUT), frozenset({pin(HOME, GATEWAY)}), frozenset())
    assert way(seen, SERVER, "", []) == Way("eth0", is_pinned=True)
    assert way(seen, GATEWAY, "", []) == Way("eth0", is_local=True)
    assert way(seen, SERVER, "eth1", []) == Way()


def test_a_public_address_of_the_lease_is_pinned_by_its_narrow_pin() -> None:
    public = IPv4Address("9.9.9.9")
    narrow = Route(IPv4Network(public), NARROW_TABLE, HOME.index, GATEWAY)
    seen = Snapshot({"eth0": HOME}, (LAN, OUT), frozenset({narrow}), frozenset())
    assert way(seen, public, "eth0", []) == Way("eth0", is_pinned=True)


def test_half_routes_past_the_tunnels_are_seen() -> None:
    half = route("128.0.0.0/1", HOME, GATEWAY)
    seen = Snapshot({"eth0": HOME, "ppp0": PPP0}, (LAN, OUT, half, route("0.0.0.0/1", PPP0)), frozenset(), frozenset())
    assert past_the_tunnels(seen, ["ppp0"]) == [half.destination]


MADE = bytes.fromhex("020000000001")
SEEN = Interface(2, "eth0", True, is_ethernet=True, hardware=MADE)
RENAMED, REPLUGGED = replace(SEEN, name="usb0"), replace(SEEN, name="usb0", index=7)
OTHER = Interface(3, "eth1", True, is_ethernet=True, hardware=bytes.fromhex("020000000002"))
BRIDGE = replace(SEEN, name="br0", index=4)


@pytest.mark.parametrize(
    ("present", "cable"),
    [
        ([SEEN, OTHER], SEEN),
        ([RENAMED, OTHER], RENAMED),
        ([REPLUGGED, OTHER], REPLUGGED),
        ([RENAMED, BRIDGE], RENAMED),
        ([REPLUGGED, BRIDGE], None),
        ([OTHER], None),
        ([OTHER, replace(REPLUGGED, hardware=b"")], None),
    ],
    ids=["as it was", "renamed", "replugged", "beside its bridge", "two of them", "gone", "of no hardware"],
)
def test_a_cable_is_followed_by_index_and_hardware(present: list[Interface], cable: Interface | None) -> None:
    found = by_name(present, {"eth0": SEEN})
    assert found.get("eth0") == cable
    assert {one.name for one in present} <= found.keys()
    seen = Snapshot(found, (), frozenset(), frozenset())
    assert cable_of(seen, "eth0", SERVER, ()) == cable


def test_a_cable_under_two_names_is_one_way_out() -> None:
    assert ethernets(Snapshot(by_name([RENAMED], {"eth0": SEEN}), (), frozenset(), frozenset())) == ["usb0"]


class PlayedKernel(Routes):
    """Routes above a main table that is played."""

    def __init__(self, leases: dict[str, Lease]) -> None:
        super().__init__(self.lease_of)
        self.known = leases
        self.has = {LAN, OUT}

    async def lease_of(self, interface: Interface) -> Lease | None:
        return self.known.get(interface.name)

    def _snapshot(self) -> Snapshot:
        ours = frozenset(self.has - {LAN, OUT})
        return Snapshot({"eth0": HOME}, (LAN, OUT), ours, frozenset(), self._leases)

    def _add_route(self, route: Route) -> None:
        self.has.add(route)

    def _delete_route(self, route: Route) -> None:
        self.has.remove(route)

    def hosts(self) -> list[str]:
        return sorted(str(one.destination.network_address) for one in self.has - {LAN, OUT})


async def test_leases_are_read_at_each_reconcile_and_forgotten_with_the_last_wish() -> None:
    kernel = PlayedKernel({"eth0": LEASE})
    assert await kernel.want("home", Wanted((SERVER,))) == [SERVER]
    assert kernel.hosts() == ["10.99.0.1", "10.99.0.53", "203.0.113.7"]
    kernel.known["eth0"] = LEASE._replace(server=None, dns=(IPv4Address("10.99.0.54"),))
    assert not await kernel.reconcile(), "nothing was lost"
    assert kernel.hosts() == ["10.99.0.54", "203.0.113.7"]
    kernel.has = {LAN, OUT}
    assert await kernel.reconcile(), "a flush has taken them"
    assert kernel.hosts() == ["10.99.0.54", "203.0.113.7"]
    await kernel.release("home")
    assert kernel.hosts() == []


async def test_a_doubt_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    kernel = PlayedKernel({"eth0": LEASE._replace(server=IPv4Address("127.0.0.1"))})
    await kernel.want("home", Wanted((SERVER,)))
    await kernel.reconcile()
    assert [record.getMessage() for record in caplog.records] == [
        "eth0: the DHCP server of its lease is said to be 127.0.0.1, which no other machine can have; it gets no pin."
    ]


HOSTILE = (route("0.0.0.0/1", HOME, GATEWAY), route("128.0.0.0/1", HOME, GATEWAY))


def test_half_routes_are_told_in_normal_mode_and_count_for_nothing_in_strict_mode() -> None:
    seen = Snapshot({"eth0": HOME, "ppp0": PPP0}, (LAN, OUT, *HOSTILE), frozenset(), frozenset())
    wanted = {"home": Wanted((SERVER,), "", "ppp0", (ANYWHERE,))}
    normal = goal(seen, wanted, {"home": 0})
    assert len([sentence for sentence in normal.doubts if "CVE-2024-3661" in sentence]) == 2
    strict = goal(seen, wanted, {"home": 0}, ())
    assert strict.doubts == frozenset()
    assert {rule.table for rule in strict.rules} == {PINS_TABLE, 5200}, "not `main`"
    assert {one.destination for one in strict.routes if one.table == PINS_TABLE} == {IPv4Network(SERVER)}


def test_strict_mode_keeps_the_chosen_networks_and_the_inside() -> None:
    inside = Interface(5, "eth1", True)
    routes = (LAN, OUT, route("10.20.30.0/24", ETH1, None, 100), route("192.168.77.0/24", inside), *HOSTILE)
    chosen = route("172.16.0.0/12", HOME, GATEWAY)
    seen = Snapshot(
        {"eth0": HOME, "eth1": inside, "ppp0": PPP0},
        (*routes, chosen, route("0.0.0.0/0", inside)),
        frozenset(),
        frozenset(),
    )
    wanted = {"home": Wanted((SERVER,), "", "ppp0", (ANYWHERE,), share=("eth1",))}
    found = goal(seen, wanted, {"home": 0}, [LAN.destination]).routes
    kept = {one for one in found if one.table == PINS_TABLE and one.destination.prefixlen < 32}
    assert kept == {LAN._replace(table=PINS_TABLE), routes[3]._replace(table=PINS_TABLE)}


def test_in_strict_mode_dhcp_keeps_its_way_and_distant_dns_goes_through_the_tunnel() -> None:
    local = Lease("dhclient", HOME.addresses[0], (), GATEWAY, (IPv4Address("10.20.30.9"), IPv4Address("9.9.9.9")))
    seen = Snapshot({"eth0": HOME, "ppp0": PPP0}, (LAN, OUT), frozenset(), frozenset(), {"eth0": local})
    wanted = {"home": Wanted((SERVER,), "", "ppp0", (ANYWHERE,))}
    found = goal(seen, wanted, {"home": 0}, ()).routes
    hosts = {str(one.destination.network_address) for one in found if one.table == PINS_TABLE}
    assert hosts == {str(SERVER), str(GATEWAY), "10.20.30.9"}


OURS = Interface(7, "cablecar0.35", True, is_ethernet=True, vlan=Vlan(2, 35))
THEIRS = Interface(8, "cablecar", True, is_ethernet=True, vlan=Vlan(2, 36))
MODEM = Interface(2, "eth0", True, is_ethernet=True)


def with_vlans() -> Snapshot:
    faked = Interface(9, "cablecar1.35", True, is_ethernet=True)  # somebody's, by such a name
    named = {one.name: one for one in (MODEM, OURS, THEIRS, faked)}
    return Snapshot(named, (), frozenset(), frozenset())


def test_a_vlan_that_no_call_goes_by_is_left_and_those_of_others_are_not_ours() -> None:
    assert vlans_left(with_vlans(), []) == [OURS]
    assert vlans_left(with_vlans(), [Wanted(line="eth0")]) == [OURS]
    assert vlans_left(with_vlans(), [Wanted(line=OURS.name)]) == []
    assert vlan_of(with_vlans(), Vlan(2, 36)) == THEIRS
    assert vlan_of(with_vlans(), Vlan(3, 35)) is None


def test_a_vlan_that_was_made_for_a_call_is_no_cable() -> None:
    seen = Snapshot({"eth0": MODEM, OURS.name: OURS}, (), frozenset(), frozenset())
    assert cable_of(seen, "", None, []) == MODEM
    assert others(seen, []) == {MODEM}, "its coming is no news to who waits for a cable"


DOCKER0 = Interface(4, "docker0", True, (IPv4Address("172.17.0.1"),), is_ethernet=True, kind="bridge")
CONTAINER = Interface(5, "veth1", True, is_ethernet=True, kind="veth", bundle=DOCKER0.index)


def test_what_leads_to_containers_is_no_cable() -> None:
    seen = Snapshot({one.name: one for one in (MODEM, DOCKER0, CONTAINER)}, (), frozenset(), frozenset())
    assert cable_of(seen, "", None, []) == MODEM
    assert CONTAINER not in others(seen, []), "its coming is no news to who waits for a cable"
    beside = Interface(6, "eth1", True, is_ethernet=True, kind="veth")  # such is the cable of who is a container
    assert ethernets(Snapshot({"eth1": beside}, (), frozenset(), frozenset())) == ["eth1"]


@pytest.mark.parametrize("kind", ["bridge", "bond"])
def test_a_bridge_or_a_bond_is_the_cable_and_its_ports_are_none(kind: str) -> None:
    whole = Interface(6, "whole0", True, is_ethernet=True, kind=kind)
    ports = [replace(MODEM, bundle=whole.index), replace(CONTAINER, bundle=whole.index)]
    seen = Snapshot({one.name: one for one in (*ports, whole)}, (), frozenset(), frozenset())
    assert cable_of(seen, "", None, []) == whole


class Switch:
    """Plays the kernel's interfaces."""

    def __init__(self) -> None:
        self.has = {"eth0": MODEM, THEIRS.name: THEIRS}
        self.refusal: Exception | None = None

    def add_vlan(self, name: str, index: int, number: int) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.has[name % 0] = Interface(100 + number, name % 0, True, is_ethernet=True, vlan=Vlan(index, number))

    def delete_link(self, index: int) -> None:
        self.has = {name: one for name, one in self.has.items() if one.index != index}


class Switched(Routes):
    """Routes above played interfaces, and no routes."""

    def __init__(self, nft: Nft | None = None) -> None:
        super().__init__(nft=nft)
        self.switch = Switch()
        self._socket = self.switch  # type: ignore[assignment]

    def _snapshot(self) -> Snapshot:
        return Snapshot(dict(self.switch.has), (), frozenset(), frozenset())


async def test_a_vlan_is_made_once_and_goes_with_the_last_call() -> None:
    routes = Switched()
    made = await routes.vlan("home", Wanted(), MODEM, 35)
    assert await routes.vlan("office", Wanted(), MODEM, 35) == made
    assert made.name == "cablecar0.35"
    assert (await routes.vlan("tv", Wanted(), MODEM, 36)) == THEIRS
    for link, left in (("home", True), ("office", False), ("tv", False)):
        await routes.release(link)
        assert (made.name in routes.switch.has) == left
    assert set(routes.switch.has) == {"eth0", THEIRS.name}


async def test_a_vlan_that_cannot_be_made_is_told() -> None:
    routes = Switched()
    routes.switch.refusal = NetlinkError(95, "Operation not supported")
    with pytest.raises(Failed, match="VLAN 35 "):
        await routes.vlan("home", Wanted(), MODEM, 35)


async def test_strict_mode_holds_now_where_the_next_start_cannot_be_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    routes = Switched(Nft(tmp_path / "note", "/bin/true", tmp_path / "missing/strict.nft"))
    await routes.set_strict("home", ())
    await routes.want("office", Wanted())
    assert (tmp_path / "note").exists()
    assert [record.levelname for record in caplog.records] == ["WARNING"], "told once"
    (tmp_path / "missing").mkdir()
    await routes.reconcile()
    assert (tmp_path / "missing/strict.nft").exists()
    await routes.clear()
    assert not (tmp_path / "missing/strict.nft").exists()


async def test_who_ends_strict_mode_hears_that_the_next_start_begins_with_it(tmp_path: Path) -> None:
    (tmp_path / "strict.nft").mkdir()  # which nobody can remove as a file
    with pytest.raises(StorageFailed):
        await Switched(Nft(tmp_path / "note", "/bin/true", tmp_path / "strict.nft")).clear()


def interface(index: int, name: str, flags: int, carrier: int | None) -> Any:
    link = ifinfmsg()
    link["index"], link["flags"] = index, flags
    link["attrs"] = [("IFLA_IFNAME", name), *([("IFLA_CARRIER", carrier)] if carrier is not None else [])]
    return link


CARRIERS = [(1, 1, True), (1, 0, False), (0, 1, False), (1, None, True)]


@pytest.mark.parametrize(("flags", "carrier", "has"), CARRIERS)
def test_an_interface_that_is_down_has_no_carrier_whatever_the_kernel_says(
    flags: int, carrier: int | None, has: bool
) -> None:
    with Netlink() as kernel:
        assert _interface(interface(7, "theirs", flags, carrier), kernel).has_carrier == has


class Wired(Routes):
    """Routes above these interfaces."""

    def __init__(self, *links: Any) -> None:
        super().__init__()
        self._socket = SimpleNamespace(links=lambda: links)  # type: ignore[assignment]


@pytest.mark.parametrize(("flags", "carrier", "has"), CARRIERS)
async def test_an_interface_lacks_its_carrier_by_whatever_name(flags: int, carrier: int | None, has: bool) -> None:
    routes = Wired(interface(2, "eth0", flags, carrier), interface(3, "eth1", 1, 1))
    assert (await routes.index("eth0"), await routes.index("eth1"), await routes.index("eth2")) == (2, 3, 0)
    assert await routes.lacks_carrier(2) == (not has)
    assert not await routes.lacks_carrier(3)
    assert not await routes.lacks_carrier(4)  # what is gone does not come back


class Message(dict[str, int]):
    """A message of the kernel's about an interface."""

    def get_attr(self, name: str) -> object:
        return {"IFLA_IFNAME": "ppp0", "IFA_LOCAL": "100.64.0.10", "IFA_ADDRESS": "192.0.2.1"}[name]


class FakeNetlink:
    """Plays the kernel with one interface of a kind."""

    def __init__(self, kind: int) -> None:
        self.kind = kind

    def links(self) -> list[Message]:
        return [Message(index=3, flags=1, ifi_type=self.kind)]

    def addresses(self) -> list[Message]:
        return [Message(index=3)]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("kind", "is_one"), [(512, True), (1, False), (65534, False)])
async def test_only_a_ppp_interface_carries_a_call(kind: int, is_one: bool) -> None:
    routes = Routes()
    routes._socket = FakeNetlink(kind)  # type: ignore[assignment]
    endpoints = await routes.endpoints("ppp0")
    assert endpoints == ((IPv4Address("100.64.0.10"), IPv4Address("192.0.2.1")) if is_one else None)
    await routes.close()


async def test_how_large_packets_may_be() -> None:
    narrow = interface(2, "eth0", 1, 1)
    narrow["attrs"].append(("IFLA_MTU", 1400))
    assert [await Wired(narrow).size(index) for index in (2, 3)] == [1400, 1500]
