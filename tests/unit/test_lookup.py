"""Names into addresses: through the unit's files, by the cable's name servers, and only what a server can have."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import pytest

from cablecar.helper import lookup as lookup_module
from cablecar.helper.bus import CallError
from cablecar.helper.errors import CallFailed
from cablecar.helper.leases import Lease
from cablecar.helper.lookup import MOST, Lookup
from cablecar.helper.plan import Cable, Interface
from cablecar.helper.routes import Routes
from cablecar.helper.units import Units

OWN = IPv4Address("10.20.30.145")
ETH0 = Interface(2, "eth0", True, (OWN,))


@dataclass
class Answering:
    """Plays systemd and the units: answers in turn."""

    folder: Path
    answers: list[str | None]
    asked: list[str] = field(default_factory=list)
    resolvers: list[str] = field(default_factory=list)

    async def run_once(self, unit: str) -> None:
        kind = unit.removeprefix("cablecar-").removesuffix("@yosefcom.service")
        self.asked.append((self.folder / f"yosefcom.{kind}").read_text())
        resolver = self.folder / "yosefcom.resolv"
        self.resolvers.append(resolver.read_text() if resolver.exists() else "")
        if resolver.exists():
            assert resolver.stat().st_mode & 0o777 == 0o644
        if (answer := self.answers.pop(0)) is None:
            raise CallError("org.example", "refused")
        ends = {"lookup": "addresses", "probe": "probed"}
        (self.folder / f"yosefcom.{ends[kind]}").write_text(answer)

    async def give_up(self, unit: str) -> None:
        pass


@dataclass
class Known:
    """Plays the routes: knows the cable."""

    cable_: Cable | None

    async def cable(self, named: str) -> Cable | None:
        return self.cable_

    async def own_addresses(self) -> frozenset[IPv4Address]:
        return frozenset({OWN})


def lookup(folder: Path, *answers: str | None, lease: Lease | None = None) -> tuple[Lookup, Answering]:
    units = Answering(folder, list(answers))
    routes = Known(Cable(ETH0, lease))
    machine = folder.parent / "resolv.conf"
    machine.touch()
    return Lookup(cast("Units", units), folder, cast("Routes", routes), machine), units


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "run").mkdir()
    before = os.umask(0o077)  # the helper's
    yield tmp_path / "run"
    os.umask(before)


def lease(*dns: str, domain: str = "") -> Lease:
    return Lease("dhclient", OWN, (), None, tuple(map(IPv4Address, dns)), domain)


async def test_a_name_becomes_its_addresses(folder: Path) -> None:
    asker, units = lookup(folder, "203.0.113.7 STREAM vpn.example\n203.0.113.7 DGRAM\n203.0.113.8 STREAM\n")
    found = await asker.addresses("yosefcom", "vpn.example", "")
    assert found == [IPv4Address("203.0.113.7"), IPv4Address("203.0.113.8")]
    assert units.asked == ["SERVER=vpn.example\n"]
    assert units.resolvers == [""], "as the machine does"
    assert list(folder.iterdir()) == []


async def test_an_address_is_asked_of_nobody(folder: Path) -> None:
    asker, units = lookup(folder)
    assert await asker.addresses("yosefcom", "203.0.113.7", "") == [IPv4Address("203.0.113.7")]
    assert units.asked == []


async def test_an_early_look_is_waited_for_and_taken_once(folder: Path) -> None:
    asker, units = lookup(folder, "203.0.113.7 STREAM\n", "203.0.113.8 STREAM\n")
    asker.look_ahead("yosefcom", "vpn.example", "")
    assert await asker.addresses("yosefcom", "vpn.example", "") == [IPv4Address("203.0.113.7")]
    assert await asker.addresses("yosefcom", "vpn.example", "") == [IPv4Address("203.0.113.8")]
    assert len(units.asked) == 2


@pytest.mark.parametrize("change", ["server", "cable", "late", "failed", "refused"])
async def test_an_early_look_that_fits_no_more_is_repeated(
    folder: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = {"failed": "", "refused": None}.get(change, "203.0.113.7 STREAM\n")
    asker, units = lookup(folder, early, "203.0.113.8 STREAM\n")
    asker.look_ahead("yosefcom", "other.example" if change == "server" else "vpn.example", "")
    while not units.resolvers:
        await asyncio.sleep(0)
    if change == "late":
        monkeypatch.setattr(lookup_module, "FRESH", 0.0)
    found = await asker.addresses("yosefcom", "vpn.example", "eth1" if change == "cable" else "")
    assert found == [IPv4Address("203.0.113.8")]


async def test_an_early_look_that_does_not_end_holds_nobody_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup_module, "PATIENCE", 0.01)
    asker, units = lookup(folder, "203.0.113.8 STREAM\n")
    answer = units.run_once

    async def hang(unit: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(units, "run_once", hang)
    asker.look_ahead("yosefcom", "vpn.example", "")
    await asyncio.sleep(0)
    monkeypatch.setattr(units, "run_once", answer)
    async with asyncio.timeout(1):
        assert await asker.addresses("yosefcom", "vpn.example", "") == [IPv4Address("203.0.113.8")]


@pytest.mark.parametrize("is_popped", [False, True], ids=["still early", "given up by the next call"])
async def test_nothing_is_left_of_a_look_that_is_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_popped: bool
) -> None:
    monkeypatch.setattr(lookup_module, "PATIENCE", 0.01)
    asker, units = lookup(folder)

    starting: list[asyncio.TimerHandle] = []

    async def start(unit: str) -> None:
        begun = asyncio.get_running_loop().call_later(0.1, (folder / "yosefcom.addresses").touch)
        starting.append(begun)  # as systemd does, whoever waits for it
        await asyncio.Event().wait()

    async def give_up(unit: str) -> None:
        starting.pop(0).cancel()

    monkeypatch.setattr(units, "run_once", start)
    monkeypatch.setattr(units, "give_up", give_up)
    asker.look_ahead("yosefcom", "vpn.example", "")
    await asyncio.sleep(0)
    if is_popped:
        call = asyncio.create_task(asker.addresses("yosefcom", "vpn.example", ""))
        await asyncio.sleep(0.05)  # more than its patience: it asks by itself
        call.cancel()
        await asyncio.wait({call})
    async with asyncio.timeout(1):
        await asker.forget("yosefcom")
    assert not starting
    assert list(folder.iterdir()) == []


async def test_an_address_is_asked_of_nobody_ahead_either(folder: Path) -> None:
    asker, units = lookup(folder)
    asker.look_ahead("yosefcom", "203.0.113.7", "")
    await asyncio.sleep(0)
    assert units.asked == []


async def test_the_cables_name_servers_are_asked(folder: Path) -> None:
    answer = "203.0.113.7 STREAM\n"
    asker, units = lookup(folder, answer, lease=lease("10.99.0.53", "127.0.0.1", "10.20.30.145", domain="isp.example"))
    assert await asker.addresses("yosefcom", "vpn", "") == [IPv4Address("203.0.113.7")]
    assert units.resolvers == ["nameserver 10.99.0.53\nsearch isp.example\noptions timeout:1 attempts:3\n"]
    assert units.asked == ["SERVER=vpn\nASK='--service=\"hosts:files dns\"'\n"]
    assert list(folder.iterdir()) == []


async def test_what_the_cables_do_not_know_is_asked_as_the_machine_does(folder: Path) -> None:
    asker, units = lookup(folder, "", "203.0.113.7 STREAM\n", lease=lease("10.99.0.53"))
    assert await asker.addresses("yosefcom", "vpn.example", "") == [IPv4Address("203.0.113.7")]
    assert [bool(resolver) for resolver in units.resolvers] == [True, False]


async def test_name_servers_that_cannot_be_are_not_asked(folder: Path) -> None:
    asker, units = lookup(folder, "203.0.113.7 STREAM\n", lease=lease("127.0.0.1", "10.20.30.145"))
    await asker.addresses("yosefcom", "vpn.example", "")
    assert units.resolvers == [""]


async def test_a_machine_without_the_file_keeps_having_none(folder: Path) -> None:
    asker, units = lookup(folder, "203.0.113.7 STREAM\n", lease=lease("10.99.0.53"))
    asker.machine.unlink()
    await asker.addresses("yosefcom", "vpn.example", "")
    assert units.resolvers == [""]


@pytest.mark.parametrize("answer", [None, "", "\n\nx\n"])
async def test_what_leads_nowhere_is_named(folder: Path, answer: str | None) -> None:
    asker, _ = lookup(folder, answer)
    with pytest.raises(CallFailed) as failure:
        await asker.addresses("yosefcom", "vpn.example", "")
    assert failure.value.reason.id == "server-not-found"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("answer", ["127.0.0.1 STREAM\n0.0.0.0 STREAM\n224.0.0.1 RAW\n", f"{OWN} STREAM\n"])
async def test_what_no_server_can_have_is_refused_and_named(
    folder: Path, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    asker, _ = lookup(folder, answer, "", lease=lease("10.99.0.53"))
    with pytest.raises(CallFailed) as failure:
        await asker.addresses("yosefcom", "vpn.example", "")
    assert failure.value.reason.id == "server-implausible"
    assert "it is not dialed" in caplog.text


async def test_an_address_of_this_machine_is_refused_as_a_name_that_leads_there(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asker, units = lookup(folder)
    with pytest.raises(CallFailed) as failure:
        await asker.addresses("yosefcom", str(OWN), "")
    assert failure.value.reason.id == "server-implausible"
    assert "it is not dialed" in caplog.text
    assert units.asked == []


async def test_the_good_among_the_bad_is_taken(folder: Path) -> None:
    asker, _ = lookup(folder, f"127.0.0.1 STREAM\n{OWN} STREAM\n203.0.113.7 STREAM\n")
    assert await asker.addresses("yosefcom", "vpn.example", "") == [IPv4Address("203.0.113.7")]


async def test_a_flood_of_addresses_is_cut(folder: Path) -> None:
    asker, _ = lookup(folder, "".join(f"203.0.113.{number} STREAM\n" for number in range(1, 65)))
    assert len(await asker.addresses("yosefcom", "vpn.example", "")) == MOST


@pytest.mark.parametrize("answer", ["open\n", None])
async def test_a_connection_is_tried(folder: Path, answer: str | None) -> None:
    asker, units = lookup(folder, answer)
    assert await asker.probe("yosefcom", IPv4Address("203.0.113.7"), 1723) == (answer or "").strip()
    assert units.asked == ["SERVER=203.0.113.7\nPORT=1723\nSIZE=\n"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("answer", "size"), [("1460\n", 1460), ("0\n", 0), ("", None), ("-1\n", None), (None, None)])
async def test_echo_requests_are_tried(folder: Path, answer: str | None, size: int | None) -> None:
    asker, units = lookup(folder, answer)
    assert await asker.largest_echo("yosefcom", IPv4Address("203.0.113.7"), 1476) == size
    assert units.asked == ["SERVER=203.0.113.7\nPORT=0\nSIZE=1476\n"]
