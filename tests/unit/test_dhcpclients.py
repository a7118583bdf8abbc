"""Whose lease counts: files in a folder of the test's own, and a NetworkManager that is played."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

import pytest
from dbus_next.signature import Variant

from cablecar.helper.bus import Bus, CallError
from cablecar.helper.dhcpclients import Leases
from cablecar.helper.plan import Interface

ETH0 = Interface(7, "eth0", True, (IPv4Address("10.20.30.145"),))
DEVICE, CONFIGURATION = "/org/freedesktop/NetworkManager/Devices/3", "/org/freedesktop/NetworkManager/DHCP4Config/1"


@dataclass
class FakeBus:
    """Plays NetworkManager as it answers on the bus."""

    runs: bool = True
    configuration: str = CONFIGURATION
    options: dict[str, Variant] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def ask(
        self, target: tuple[str, str, str], member: str, signature: str, body: list[Any], timeout: float
    ) -> list[Any]:
        self.asked.append(member)
        match member, body:
            case "NameHasOwner", _:
                return [self.runs]
            case "GetDeviceByIpIface", ["eth0"]:
                return [DEVICE]
            case "Get", ["org.freedesktop.NetworkManager.Device", "Dhcp4Config"] if target[1] == DEVICE:
                return [Variant("o", self.configuration)]
            case "Get", ["org.freedesktop.NetworkManager.DHCP4Config", "Options"] if target[1] == self.configuration:
                return [Variant("a{sv}", self.options)]
        raise CallError("org.example", "refused")


def leases(root: Path, bus: FakeBus | None = None) -> Leases:
    return Leases(cast("Bus", bus or FakeBus(runs=False)), root)


def put(root: Path, path: str, text: str, age: int = 0) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (1_000_000 - age, 1_000_000 - age))
    return file


def dhclient(address: str = "10.20.30.145", server: str = "10.99.0.1") -> str:
    return f'lease {{\n  interface "eth0";\n  fixed-address {address};\n  option dhcp-server-identifier {server};\n}}\n'


def networkd(server: str) -> str:
    return f"ADDRESS=10.20.30.145\nSERVER_ADDRESS={server}\n"


async def server(root: Path, bus: FakeBus | None = None) -> str:
    found = await leases(root, bus).of(ETH0)
    return f"{found.holder} {found.server}" if found is not None else ""


@pytest.mark.parametrize(
    "path",
    [
        "var/lib/dhcp/dhclient.eth0.leases",
        "var/lib/dhcp/dhclient.leases",
        "var/lib/dhcp/dhclient-eth0.leases",
        "var/lib/NetworkManager/dhclient-5e0d7d1c-0a54-4a4c-8f70-6b0b0f6f5b0e-eth0.lease",
    ],
)
async def test_dhclients_files_are_found(tmp_path: Path, path: str) -> None:
    put(tmp_path, path, dhclient())
    assert await server(tmp_path) == "dhclient 10.99.0.1"


async def test_networkds_file_is_that_of_the_interfaces_number(tmp_path: Path) -> None:
    put(tmp_path, "run/systemd/netif/leases/8", networkd("10.99.0.8"))
    assert await server(tmp_path) == ""
    put(tmp_path, "run/systemd/netif/leases/7", networkd("10.99.0.7"))
    assert await server(tmp_path) == "systemd-networkd 10.99.0.7"


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [("eth0.lease", True), ("eth0-home.lease", True), ("eth01.lease", False), ("eth0.lease6", False)],
)
async def test_dhcpcds_files_are_those_of_the_interface(tmp_path: Path, name: str, is_ours: bool) -> None:
    message = (
        bytes(16) + IPv4Address("10.20.30.145").packed + bytes(216) + b"\x63\x82\x53\x63\x36\x04\x0a\x63\0\x01\xff"
    )
    put(tmp_path, f"var/lib/dhcpcd/{name}", "")
    (tmp_path / "var/lib/dhcpcd" / name).write_bytes(message)
    assert await server(tmp_path) == ("dhcpcd 10.99.0.1" if is_ours else "")


async def test_a_lease_of_another_address_is_an_old_one(tmp_path: Path) -> None:
    put(tmp_path, "var/lib/dhcp/dhclient.eth0.leases", dhclient(address="10.20.30.99"))
    assert await server(tmp_path) == ""
    put(tmp_path, "var/lib/dhcp/dhclient.leases", dhclient(), age=1000)
    assert await server(tmp_path) == "dhclient 10.99.0.1"


async def test_of_two_files_the_newer_counts(tmp_path: Path) -> None:
    put(tmp_path, "var/lib/dhcp/dhclient.leases", dhclient(server="10.99.0.2"), age=10)
    put(tmp_path, "var/lib/dhcp/dhclient.eth0.leases", dhclient(server="10.99.0.1"), age=20)
    assert await server(tmp_path) == "dhclient 10.99.0.2"


async def test_the_file_of_a_client_that_ended_is_older_than_that_of_the_next(tmp_path: Path) -> None:
    put(tmp_path, "run/systemd/netif/leases/7", networkd("10.99.0.7"), age=10)
    put(tmp_path, "var/lib/dhcp/dhclient.leases", dhclient(server="10.99.0.1"), age=20)
    assert await server(tmp_path) == "systemd-networkd 10.99.0.7"
    put(tmp_path, "var/lib/dhcp/dhclient.leases", dhclient(server="10.99.0.1"))
    assert await server(tmp_path) == "dhclient 10.99.0.1"


async def test_what_is_no_plain_file_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = put(tmp_path, "elsewhere", dhclient())
    (tmp_path / "var/lib/dhcp").mkdir(parents=True)
    (tmp_path / "var/lib/dhcp/dhclient.link.leases").symlink_to(elsewhere)
    os.mkfifo(tmp_path / "var/lib/dhcp/dhclient.fifo.leases")
    found = leases(tmp_path)
    assert await found.of(ETH0) is None
    assert await found.of(ETH0) is None
    assert len(caplog.records) == 2, "each is told once"


async def test_of_a_large_file_the_end_counts(tmp_path: Path) -> None:
    put(tmp_path, "var/lib/dhcp/dhclient.leases", dhclient(server="10.99.0.2") * 2000 + dhclient())
    assert await server(tmp_path) == "dhclient 10.99.0.1"


def managed(root: Path) -> FakeBus:
    put(root, "run/NetworkManager/devices/7", "[device]\nmanaged=1\n")
    return FakeBus(
        options={"ip_address": Variant("s", "10.20.30.145"), "dhcp_server_identifier": Variant("s", "10.9.0.1")}
    )


async def test_network_manager_is_asked(tmp_path: Path) -> None:
    assert await server(tmp_path, managed(tmp_path)) == "NetworkManager 10.9.0.1"


async def test_network_manager_without_a_lease_has_none(tmp_path: Path) -> None:
    bus = managed(tmp_path)
    bus.configuration = "/"
    assert await server(tmp_path, bus) == ""


async def test_network_manager_is_not_started_by_the_question(tmp_path: Path) -> None:
    bus = managed(tmp_path)
    bus.runs = False
    assert await server(tmp_path, bus) == ""
    assert bus.asked == ["NameHasOwner"]


async def test_network_manager_is_left_alone_with_others_interfaces(tmp_path: Path) -> None:
    bus = FakeBus()
    assert await server(tmp_path, bus) == ""
    assert bus.asked == []


async def test_who_writes_a_lease_is_noticed(tmp_path: Path) -> None:
    path = put(tmp_path, "var/lib/dhcp/dhclient.eth0.leases", dhclient())
    (tmp_path / "run/systemd/netif/leases").mkdir(parents=True)
    changed = asyncio.Event()
    found = leases(tmp_path)
    found.follow(changed.set)
    assert await found.of(ETH0) is not None

    async def noticed(write: Callable[[], object]) -> None:
        changed.clear()
        write()
        await asyncio.wait_for(changed.wait(), 5)

    with path.open("ab", buffering=0) as file:  # dhclient keeps it open
        await noticed(lambda: file.write(dhclient().encode()))
    new = put(tmp_path, "new", networkd("10.99.0.7"))
    await noticed(lambda: new.rename(tmp_path / "run/systemd/netif/leases/7"))
