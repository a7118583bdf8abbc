"""Which way a packet to the server takes when no tunnel exists: pure, from a snapshot."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from cablecar.helper.routes import (
    ANYWHERE,
    MAIN,
    MAIN_RULE,
    Goal,
    Interface,
    Route,
    Rule,
    Snapshot,
    Wanted,
    goal,
    underlay,
)

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
        Route(ANYWHERE, 5200, PPP0.index),
        Route(office, 5201, ppp1.index),
    }
    priority = {rule.table: rule.priority for rule in found.rules}
    assert MAIN_RULE == priority[MAIN] < priority[5201] < priority[5200]
    assert Rule(MAIN_RULE, MAIN, True) in found.rules


def test_a_link_that_leaves_routing_alone_has_its_pin_only() -> None:
    found = goal(snapshot(route("0.0.0.0/0", ETH0, GATEWAY)), {"home": Wanted((SERVER,), "", "ppp0")}, {})
    assert found == Goal(frozenset({pin(ETH0, GATEWAY)}), frozenset(), frozenset({SERVER}))


def test_a_pin_stays_while_there_is_no_cable_to_pin_to() -> None:
    old = pin(ETH0, GATEWAY)
    seen = Snapshot({"eth0": ETH0}, (), frozenset({old}), frozenset())
    found = goal(seen, {"home": Wanted((SERVER,))}, {})
    assert found == Goal(frozenset({old}), frozenset(), frozenset())
