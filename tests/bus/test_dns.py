"""The links' DNS servers: a systemd-resolved that is played on the bus is told, and the file is looked after."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from dbus_next.aio import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from cablecar.helper.links import Links
from cablecar.helper.pppd import Exit
from cablecar.helper.resolved import RESOLVED
from cablecar.helper.resolver import Resolver, resolv_conf
from tests.bus.conftest import close
from tests.bus.test_service import come_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.bus.conftest import Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"
UNIT = "cablecar-resolver.service"
TOLD = (
    "primary   DNS address 198.51.100.53",
    "secondary DNS address 127.0.0.1",
)


@dataclass
class FakeResolved:
    """Plays systemd-resolved: knows what each interface has, and of the interface only after so many questions."""

    deaf: int = 0
    silent: int = 0  # questions that are left without an answer
    has: dict[str, list[Any]] = field(default_factory=dict)

    async def serve(self) -> MessageBus:
        connection = await MessageBus(bus_type=BusType.SYSTEM).connect()
        connection.add_message_handler(self._on_message)
        await connection.request_name(RESOLVED[0])
        return connection

    def _on_message(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL or not str(message.member).startswith("SetLink"):
            return None
        if self.silent:
            self.silent -= 1
            return True
        if self.deaf:
            self.deaf -= 1
            return Message.new_error(message, "org.freedesktop.resolve1.NoSuchLink", "Link 7 not known")
        self.has[str(message.member)] = message.body
        return Message.new_method_return(message)

    @property
    def servers(self) -> list[IPv4Address]:
        assert self.has["SetLinkDomains"] == [7, [[".", True]]]
        assert self.has["SetLinkDefaultRoute"] == [7, True]
        return [IPv4Address(packed) for _, packed in self.has["SetLinkDNS"][1]]


async def test_a_resolved_that_was_slow_once_is_told_again(
    stage: Stage, resolved: FakeResolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cablecar.helper.resolved.LIMIT", 0.1)
    monkeypatch.setattr("cablecar.helper.resolved.AGAIN", 0.1)
    resolved.silent = 1
    await up(stage)
    await stage.until(lambda: len(resolved.has) == 3)
    assert resolved.servers


@pytest_asyncio.fixture
async def resolved(stage: Stage) -> AsyncIterator[FakeResolved]:
    played = FakeResolved()
    connection = await played.serve()
    yield played
    await close(connection)


async def up(stage: Stage, **settings: Any) -> None:
    await stage.client.add_link(**settings)
    await stage.client.link("SetPassword", "s", "secret")
    stage.up_lines = (*stage.up_lines, *TOLD)
    await come_up(stage)


async def test_the_peers_servers_are_told_for_every_name(stage: Stage, resolved: FakeResolved) -> None:
    resolved.deaf = 3
    await up(stage)
    assert resolved.servers == [IPv4Address("198.51.100.53")]
    assert (stage.units.run / f"{LINK}.dns").read_text() == "peer\n"


async def test_servers_of_ones_own_are_told(stage: Stage, resolved: FakeResolved) -> None:
    await up(stage, dns=Variant("as", ["192.0.2.1", "192.0.2.2"]))
    assert resolved.servers == [IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")]
    assert (stage.units.run / f"{LINK}.dns").read_text() == "192.0.2.1 192.0.2.2\n"


@pytest.mark.parametrize(("choice", "line"), [("cable", "10.20.30.1\n"), ("none", "none\n")])
async def test_who_wants_none_of_the_tunnels_changes_nothing(
    stage: Stage, resolved: FakeResolved, choice: str, line: str
) -> None:
    await up(stage, dns=Variant("s", choice))
    assert resolved.has == {}
    assert (stage.units.run / f"{LINK}.dns").read_text() == line


async def test_systemd_resolved_is_told_again_when_it_starts_anew(stage: Stage) -> None:
    await stage.machinery.name_servers._resolved.begin()
    first = FakeResolved()
    connection = await first.serve()
    await up(stage)
    assert first.servers
    await close(connection)
    second = FakeResolved()
    connection = await second.serve()
    await stage.until(lambda: "SetLinkDefaultRoute" in second.has)
    assert second.servers == first.servers
    await stage.client.link("Disconnect")
    await close(connection)
    third = FakeResolved()
    connection = await third.serve()
    await stage.client.state()
    assert third.has == {}, "a link that is down wants nothing"
    await close(connection)


async def test_a_helper_that_comes_after_a_kill_tells_again(stage: Stage, resolved: FakeResolved) -> None:
    await up(stage)
    resolved.has.clear()
    stage.machinery.name_servers.down(LINK)  # the next helper knows nothing
    links = Links(stage.machinery)
    await links.begin(at_boot=False)
    assert resolved.servers == [IPv4Address("198.51.100.53")]
    links.get(LINK).wake_after(None)


async def test_a_file_that_others_write_is_repaired(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 10.20.30.1\n")
    stage.machinery.name_servers.follow(stage.links.network_changed)
    await up(stage, dns=Variant("as", ["192.0.2.1"]))
    (tmp_path / "ppp0").mkdir()
    resolver = Resolver(print, file, stage.units.run, tmp_path, tmp_path / "resolvectl")
    resolver.up(LINK, {"IFNAME": "ppp0"})  # the hook
    assert "192.0.2.1" in file.read_text()
    assert not await stage.machinery.name_servers.repair(), "all is as it should be"
    new = tmp_path / "new"
    new.write_text("nameserver 10.20.30.2\n")
    new.rename(file)  # a DHCP client
    await stage.until(lambda: UNIT in stage.units.have_run)
    resolver.restore()  # the unit
    stage.units.have_run.clear()
    (tmp_path / "ppp0").rmdir()
    stage.units.end(LINK, Exit(code=16))  # and no hook has run
    stage.links.network_changed()
    await stage.until(lambda: UNIT in stage.units.have_run)
    resolver.restore()
    assert file.read_text() == "nameserver 10.20.30.2\n"


async def test_a_file_that_a_power_cut_has_left_is_repaired_at_the_start(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text(resolv_conf("", ["192.0.2.1"], "elsewhere"))
    await Links(stage.machinery).begin(at_boot=True)
    await stage.until(lambda: stage.units.have_run)
    assert stage.units.have_run == [UNIT]
