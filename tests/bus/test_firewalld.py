"""What firewalld is asked for a call, and that it is taken back: one that is played on the bus says what it has."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from dbus_next.aio import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from cablecar.helper import firewall, opening
from cablecar.helper.firewalld import EXTERNAL, NAME, PATH, Firewalld, rich_rule
from cablecar.helper.l2tp import L2TP
from cablecar.helper.opening import Openings
from cablecar.helper.pptp import PPTP
from tests.bus.conftest import close
from tests.bus.test_service import come_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.bus.conftest import Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"
SERVER = IPv4Address("203.0.113.7")
FIRST = 'rule priority="-32768" family="ipv4"'
GRE_OUT = f'{FIRST} destination address="203.0.113.7" protocol value="gre" accept'
GRE_IN = f'{FIRST} source address="203.0.113.7" protocol value="gre" accept'
TCP_OUT = f'{FIRST} destination address="203.0.113.7" port port="1723" protocol="tcp" accept'
BY_HAND = 'rule family="ipv4" source address="198.51.100.1" drop'

State = dict[str, dict[str, list[str]]]


@dataclass
class FakeFirewalld:
    """Plays firewalld: what is asked of it changes the runtime state, which a reload makes the permanent one again."""

    zones: State = field(
        default_factory=lambda: {
            "public": {"interfaces": [], "sources": [], "rules": [BY_HAND]},
            "home": {"interfaces": ["eth0"], "sources": [], "rules": []},
            EXTERNAL: {"interfaces": [], "sources": [], "rules": []},
        }
    )
    policies: State = field(
        default_factory=lambda: {
            "silent": {"ingress_zones": ["HOST"], "egress_zones": ["ANY"], "rich_rules": [BY_HAND]},
            "to-home": {"ingress_zones": ["HOST"], "egress_zones": ["home"], "rich_rules": []},
            "to-public": {"ingress_zones": ["HOST"], "egress_zones": ["public"], "rich_rules": []},
            "forward": {"ingress_zones": ["ANY"], "egress_zones": ["ANY"], "rich_rules": []},
        }
    )
    refuses: bool = False
    changes: int = 0

    async def serve(self) -> MessageBus:
        self.connection = await MessageBus(bus_type=BusType.SYSTEM).connect()
        self.connection.add_message_handler(self._on_message)
        await self.connection.request_name(NAME)
        self.permanent = copy.deepcopy((self.zones, self.policies))
        return self.connection

    async def reload(self) -> None:
        self.zones, self.policies = copy.deepcopy(self.permanent)
        await self.connection.send(Message.new_signal(PATH, NAME, "Reloaded"))

    @property
    def is_as_before(self) -> bool:
        return (self.zones, self.policies) == self.permanent

    def _on_message(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL or message.path != PATH:
            return None
        try:
            signature, body = self._answer(str(message.member), message.body)
        except ValueError as error:
            return Message.new_error(message, f"{NAME}.Exception", str(error))
        return Message.new_method_return(message, signature, body)

    def _answer(self, member: str, body: list[Any]) -> tuple[str, list[Any]]:
        zones, policies = self.zones, self.policies
        match member:
            case "getDefaultZone":
                return "s", ["public"]
            case "getZones":
                return "as", [list(zones)]
            case "getPolicies":
                return "as", [list(policies)]
            case "getActiveZones":
                keys = ("interfaces", "sources")
                members = {zone: {key: has[key] for key in keys if has[key]} for zone, has in zones.items()}
                return "a{sa{sas}}", [{zone: has for zone, has in members.items() if has}]
            case "getActivePolicies":
                keys = ("ingress_zones", "egress_zones")
                return "a{sa{sas}}", [{name: {key: has[key] for key in keys} for name, has in policies.items()}]
            case "getPolicySettings":
                rules = Variant("as", policies[body[0]]["rich_rules"])
                return "a{sv}", [{"rich_rules": rules, "target": Variant("s", "DROP")}]
            case "queryRichRule":
                return "b", [body[1] in zones[body[0]]["rules"]]
            case "queryInterface":
                return "b", [body[1] in zones[body[0]]["interfaces"]]
        if self.refuses:
            raise ValueError("ACCESS_DENIED: lockdown is enabled")
        self.changes += 1
        if member == "setPolicySettings":
            assert set(body[1]) == {"rich_rules"}, "the rest is none of ours"
            policies[body[0]]["rich_rules"] = list(body[1]["rich_rules"].value)
            return "", []
        has = zones[body[0]]["rules" if member.endswith("RichRule") else "interfaces"]
        if member.startswith("add"):
            assert body[1] not in has
            assert body[2:] in ([], [0]), "without a time limit"
            has.append(body[1])
        else:
            assert member in ("removeRichRule", "removeInterface")
            has.remove(body[1])
        return "s", [body[0]]


def chain(name: str, hook: str) -> dict[str, Any]:
    place = {"family": "inet", "table": "firewalld", "name": name}
    return {"chain": {**place, "type": "filter", "hook": hook, "prio": 10, "policy": "drop"}}


ESTABLISHED = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}
RULES = {
    "nftables": [
        chain("filter_INPUT", "input"),
        chain("filter_OUTPUT", "output"),
        {
            "rule": {
                "family": "inet",
                "table": "firewalld",
                "chain": "filter_INPUT",
                "expr": [ESTABLISHED, {"accept": None}],
            }
        },
    ]
}


@pytest_asyncio.fixture
async def wall(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeFirewalld]:
    async def ruleset() -> Any:
        return RULES

    monkeypatch.setattr(firewall, "ruleset", ruleset)
    monkeypatch.setattr(opening, "PAUSE", 0.01)
    played = FakeFirewalld()
    connection = await played.serve()
    yield played
    stage.machinery.openings._ear.listen(wanted=False)
    await close(connection)


def another(stage: Stage, tmp_path: Path) -> Openings:
    """Return what the next helper has."""
    return Openings(tmp_path / "run/openings", "/nonexistent/nft", Firewalld(stage.bus, tmp_path / "run/firewalld"))


async def test_the_calls_packets_are_let_through_where_they_are_judged(
    stage: Stage, wall: FakeFirewalld, tmp_path: Path
) -> None:
    openings = stage.machinery.openings
    await openings.open(LINK, "eth0", SERVER, PPTP.passages)
    assert wall.zones["home"]["rules"] == [GRE_IN], "conntrack knows the answers by TCP, and none by GRE"
    assert wall.zones["public"]["rules"] == [BY_HAND]
    assert wall.policies["silent"]["rich_rules"] == [BY_HAND, TCP_OUT, GRE_OUT]
    assert wall.policies["to-home"]["rich_rules"] == [TCP_OUT, GRE_OUT]
    assert wall.policies["to-public"]["rich_rules"] == wall.policies["forward"]["rich_rules"] == []
    assert openings.names == {LINK}
    openings._doubt()
    assert not await openings.renew(), "it has all of that"
    after = another(stage, tmp_path)  # a kill
    assert after.names == {LINK}
    await after.close(LINK)
    assert wall.is_as_before and after.names == set()


async def test_the_servers_own_zone_counts_before_the_cables_and_the_default_one_last(
    stage: Stage, wall: FakeFirewalld
) -> None:
    openings = stage.machinery.openings
    await openings.open(LINK, "wlan0", SERVER, PPTP.passages)
    assert wall.zones["public"]["rules"] == [BY_HAND, GRE_IN]
    wall.zones["home"]["sources"] = ["ipset:x", "00:11:22:33:44:55", "203.0.113.0/24"]
    await openings.open(LINK, "wlan0", SERVER, PPTP.passages)
    assert (wall.zones["public"]["rules"], wall.zones["home"]["rules"]) == ([BY_HAND], [GRE_IN])
    await openings.close(LINK)


async def test_what_was_there_before_stays(stage: Stage, wall: FakeFirewalld) -> None:
    wall.zones["home"]["rules"].append(GRE_IN)
    wall.policies["silent"]["rich_rules"].append(GRE_OUT)
    wall.permanent = copy.deepcopy((wall.zones, wall.policies))
    openings = stage.machinery.openings
    await openings.open(LINK, "eth0", SERVER, PPTP.passages)
    assert TCP_OUT in wall.policies["silent"]["rich_rules"]
    await openings.close(LINK)
    assert wall.is_as_before


async def test_what_a_reload_has_forgotten_is_asked_for_again(stage: Stage, wall: FakeFirewalld) -> None:
    openings = stage.machinery.openings
    lost: list[bool] = []
    await openings.begin(lambda: lost.append(True))
    await stage.until(lambda: lost)
    lost.clear()
    await openings.open(LINK, "eth0", SERVER, PPTP.passages)
    await openings.join(LINK, "ppp0")
    spoofer = await MessageBus(bus_type=BusType.SYSTEM).connect()
    await spoofer.send(Message.new_signal(PATH, NAME, "Reloaded"))
    await close(spoofer)
    await wall.reload()
    await stage.until(lambda: lost)
    assert await openings.renew()
    assert GRE_IN in wall.zones["home"]["rules"] and GRE_OUT in wall.policies["silent"]["rich_rules"]
    assert wall.zones[EXTERNAL]["interfaces"] == ["ppp0"]
    assert lost == [True], "whoever else says so is not heard"
    lost.clear()
    await close(wall.connection)
    await wall.serve()
    await stage.until(lambda: lost)
    await openings.close(LINK)
    await close(wall.connection)


async def test_a_calls_interface_is_outside_until_the_call_ends(stage: Stage, wall: FakeFirewalld) -> None:
    await stage.client.add_link()
    await stage.client.link("SetPassword", "s", "secret")
    await come_up(stage)
    await stage.until(lambda: wall.zones[EXTERNAL]["interfaces"] == ["ppp0"])
    await stage.client.link("Disconnect")
    await stage.until(lambda: wall.is_as_before)
    assert wall.changes == 2, "the firewall is left alone otherwise"


async def test_a_killed_helpers_call_leaves_nothing(stage: Stage, wall: FakeFirewalld, tmp_path: Path) -> None:
    await stage.machinery.openings.join("gone", "ppp3")
    assert not wall.is_as_before
    await stage.machinery.openings.close_all()
    assert wall.is_as_before
    assert not (tmp_path / "run/firewalld").exists()


@pytest.mark.parametrize("chosen", ["ppp0", "ppp+"])
async def test_a_zone_that_somebody_has_chosen_stays(stage: Stage, wall: FakeFirewalld, chosen: str) -> None:
    wall.zones["home"]["interfaces"].append(chosen)
    await stage.machinery.openings.join(LINK, "ppp0")
    await stage.machinery.openings.close(LINK)
    assert wall.changes == 0


async def test_a_firewalld_that_refuses_stops_no_call(
    stage: Stage, wall: FakeFirewalld, caplog: pytest.LogCaptureFixture
) -> None:
    wall.refuses = True
    openings = stage.machinery.openings
    await openings.open(LINK, "eth0", SERVER, PPTP.passages)
    await openings.join(LINK, "ppp0")
    assert "could not be opened" in caplog.text and "does not take ppp0 into its zone external" in caplog.text
    await openings.close(LINK)
    assert wall.is_as_before and openings.names == set()


async def test_where_it_does_not_run_nobody_is_asked(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "run/firewalld").write_text('{"yosefcom": [["rule", "home", "x"]]}')
    await stage.machinery.openings.join(LINK, "ppp0")
    await stage.machinery.openings.close(LINK)
    assert stage.machinery.openings.names == set(), "its runtime configuration has gone with it"


async def test_rules_are_spelled_as_firewalld_spells_them() -> None:
    there, back = firewall.packets("eth0", str(SERVER), L2TP.passages)
    assert rich_rule(there) == f'{FIRST} destination address="203.0.113.7" port port="1701" protocol="udp" accept'
    assert rich_rule(back) == f'{FIRST} source address="203.0.113.7" source-port port="1701" protocol="udp" accept'
