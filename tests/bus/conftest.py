"""A private bus with the helper's objects on it. systemd and the kernel's routes are played; polkit is played by
`FakePolkit`, which records what it was asked. The real ones are in the lab."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from dbus_next.aio import MessageBus
from dbus_next.constants import BusType, MessageFlag, MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from cablecar.helper import inotify, names, providers
from cablecar.helper.authority import Authority
from cablecar.helper.bus import Bus
from cablecar.helper.carriers import BY_PROTOCOL
from cablecar.helper.errors import Failed
from cablecar.helper.firewalld import Firewalld
from cablecar.helper.history import History
from cablecar.helper.imports import Foreign
from cablecar.helper.leases import Lease
from cablecar.helper.links import Links
from cablecar.helper.lookup import Lookup
from cablecar.helper.machinery import Machinery
from cablecar.helper.nameservers import NameServers
from cablecar.helper.opening import Openings
from cablecar.helper.plan import Cable, Footing, Interface, Wanted, Way
from cablecar.helper.pppd import Exit
from cablecar.helper.resolved import Resolved
from cablecar.helper.service import Manager
from cablecar.helper.store import Store

LINK = "yosefcom"
UP_LINES = (
    "Using interface ppp0",
    "PAP authentication succeeded",
    "local  IP address 100.64.0.10",
    "remote IP address 192.0.2.1",
)

CABLE = Cable(
    Interface(2, "eth0", True, (IPv4Address("10.20.30.145"),)),
    Lease(
        "dhclient",
        IPv4Address("10.20.30.145"),
        (IPv4Address("10.20.30.1"),),
        IPv4Address("10.99.0.1"),
        (IPv4Address("10.20.30.1"),),
    ),
)

CONFIGURATION = """<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"""


@pytest.fixture(scope="session")
def private_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bus")
    socket = folder / "socket"
    (folder / "bus.conf").write_text(CONFIGURATION.format(socket=socket))
    command = ["dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()  # its address: it listens
        yield f"unix:path={socket}"
        daemon.terminate()


@dataclass
class FakeUnits:
    """Plays systemd: a unit runs from `start` until the test or `stop` ends it."""

    run: Path
    on_end: dict[str, Callable[[Exit], None]] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    started: int = 0
    stopped: int = 0
    answers: dict[str, list[str]] = field(default_factory=dict)
    probed: str = "open"
    echoed: str = ""  # else all that is asked for
    discovered: str = ""
    asked: str = ""
    protocol: str = "pptp"  # that the unit which is started must be for
    connections: frozenset[str] = frozenset()
    have_run: list[str] = field(default_factory=list)
    ends_when_stopped: bool = True
    standing_still: set[str] = field(default_factory=set)
    resumed: int = 0
    stopping: set[str] = field(default_factory=set)
    restarting: set[str] = field(default_factory=set)

    def established(self, server: IPv4Address, port: int) -> frozenset[str]:
        """Plays the kernel's table of TCP connections."""
        return self.connections

    async def running(self) -> list[str]:
        return sorted(self.active)

    async def ending(self) -> list[str]:
        return sorted(self.stopping)

    async def is_running(self, link: str) -> bool:
        return link in self.active

    async def is_restarting(self, link: str) -> bool:
        return link in self.restarting

    async def follow(self, link: str, on_end: Callable[[Exit], None]) -> None:
        self.on_end[link] = on_end

    async def unfollow(self, link: str) -> None:
        self.on_end.pop(link, None)

    async def start(self, link: str, template: str) -> None:
        assert template == BY_PROTOCOL[self.protocol].unit
        self.active.add(link)
        self.started += 1

    async def run_once(self, unit: str) -> None:
        """Plays the lookup, `answers` being the addresses of the name that was asked for, and the probe."""
        self.have_run.append(unit)
        if unit == "cablecar-discover.service":
            self.asked = (self.run / "discover.question").read_text()
            (self.run / "discover.answers").write_text(self.discovered)
            return
        if unit.startswith("cablecar-probe@"):
            link = unit.removeprefix("cablecar-probe@").removesuffix(".service")
            size = (self.run / f"{link}.probe").read_text().partition("SIZE=")[2].strip()
            (self.run / f"{link}.probed").write_text((self.echoed or size) if size else self.probed)
            return
        if unit == "cablecar-resolver.service":
            return
        if unit.startswith("cablecar-killed@"):
            link = unit.removeprefix("cablecar-killed@").removesuffix(".service")
            assert link not in self.active, "the next call would be taken for the one that was killed"
            (self.run / f"{link}.hooks").unlink(missing_ok=True)
            return
        link = unit.removeprefix("cablecar-lookup@").removesuffix(".service")
        name = (self.run / f"{link}.lookup").read_text().removeprefix("SERVER=").strip()
        lines = [f"{address} STREAM {name}\n" for address in self.answers.get(name, [])]
        (self.run / f"{link}.addresses").write_text("".join(lines))

    async def give_up(self, unit: str) -> None:
        pass

    async def stop(self, link: str) -> None:
        self.stopped += 1
        if self.ends_when_stopped:
            self.end(link, Exit(code=5))

    async def pause(self, link: str) -> None:
        assert link in self.active
        self.standing_still.add(link)

    async def resume(self, link: str) -> None:
        self.standing_still.discard(link)
        self.resumed += 1

    def say(self, link: str, *lines: str) -> None:
        with (self.run / f"{link}.log").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def end(self, link: str, ended: Exit) -> None:
        self.active.discard(link)
        self.on_end[link](ended)


ENDS = IPv4Address("100.64.0.10"), IPv4Address("192.0.2.1")


@dataclass
class FakeRoutes:
    """Plays the kernel: remembers what is wanted."""

    reached: bool = True
    cable_: Cable = CABLE
    own: frozenset[IPv4Address] = frozenset(CABLE.interface.addresses)
    local: frozenset[IPv4Address] = frozenset({IPv4Address("10.20.30.1")})
    loose: frozenset[IPv4Address] = frozenset()
    past: tuple[IPv4Network, ...] = ()
    wanted: dict[str, Wanted] = field(default_factory=dict)
    reconciled: list[set[str]] = field(default_factory=list)
    strict: dict[str, tuple[IPv4Network, ...]] = field(default_factory=dict)
    refusal: Failed | None = None
    in_circles: bool = False  # somebody leads the call's own packets into its tunnel
    vlan_has_carrier: bool = True
    dead: set[int] = field(default_factory=set)  # interfaces without a carrier
    surroundings: object = None
    sizes: dict[int, int] = field(default_factory=dict)  # of the interfaces' packets
    point_to_point: dict[str, tuple[IPv4Address, IPv4Address]] = field(default_factory=lambda: {"ppp0": ENDS})

    def expect(self, link: str, wanted: Wanted) -> None:
        self.wanted[link] = wanted

    async def want(self, link: str, wanted: Wanted) -> list[IPv4Address]:
        self.wanted[link] = wanted
        return list(wanted.pins) if self.reached else []

    def expect_strict(self, link: str, local: tuple[IPv4Network, ...] | None) -> None:
        if local is None:
            self.strict.pop(link, None)
        else:
            self.strict[link] = local

    async def set_strict(self, link: str, local: tuple[IPv4Network, ...] | None) -> None:
        if local is not None and self.refusal is not None:
            raise self.refusal
        self.expect_strict(link, local)

    async def clear(self, but: Collection[str] = ()) -> None:
        self.strict = {link: local for link, local in self.strict.items() if link in but}
        await self.reconcile()

    async def release(self, link: str) -> None:
        self.wanted.pop(link, None)

    async def reconcile(self) -> bool:
        self.reconciled.append(set(self.wanted))
        return False

    async def way(self, address: IPv4Address, cable: str) -> Way:
        if not self.reached or self.cable_.interface.index in self.dead:
            return Way()
        return Way("eth0", bool(self.wanted) and address not in self.loose | self.local, address in self.local)

    async def cable(self, named: str, server: IPv4Address | None = None) -> Cable | None:
        return self.cable_ if self.reached else None

    async def vlan(self, link: str, wanted: Wanted, cable: Interface, number: int) -> Interface:
        if self.refusal is not None:
            raise self.refusal
        made = replace(cable, index=9, name=f"cablecar0.{number}", has_carrier=self.vlan_has_carrier)
        self.wanted[link] = wanted._replace(line=made.name)
        return made

    async def ethernets(self) -> list[str]:
        return ["eth0", "eth0.35", "--evil"] if self.reached else []

    async def own_addresses(self) -> frozenset[IPv4Address]:
        return self.own

    async def past_the_tunnels(self) -> list[IPv4Network]:
        return list(self.past)

    async def index(self, interface: str) -> int:
        return 2 if interface == "eth0" else 9

    async def size(self, index: int) -> int:
        return self.sizes.get(index, 1500)

    async def lacks_carrier(self, index: int) -> bool:
        return index in self.dead

    def footing(self, named: str, server: IPv4Address | None) -> Footing | None:
        interface = self.cable_.interface
        addresses = () if server is None else interface.addresses
        return Footing(interface.index, addresses) if self.reached else None

    async def endpoints(self, interface: str) -> tuple[IPv4Address, IPv4Address] | None:
        return self.point_to_point.get(interface)

    async def leads_into(self, interface: str, address: IPv4Address) -> bool:
        return self.in_circles

    async def counters(self, interface: str) -> tuple[int, int]:
        return 11, 22


class FakePppd:
    """Plays the installed pppd: none need be on this host."""

    def version(self) -> tuple[int, int, int]:
        return 2, 4, 9


@dataclass
class FakePolkit:
    """Plays polkitd: answers as told, after `release` when told to hang, and records every question.

    With `asks_people` it wants a password: it says so at once, and takes the time that `hangs` gives it to ask for one.
    """

    answer: list[Any] = field(default_factory=lambda: [True, False, {}])
    refused: set[str] = field(default_factory=set)  # actions that are, whatever the answer is to others
    hangs: bool = False
    asks_people: bool = False
    questions: list[list[Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self) -> MessageBus:
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        bus.add_message_handler(lambda message: self._on_message(bus, message))
        await bus.request_name("org.freedesktop.PolicyKit1")
        return bus

    def _on_message(self, bus: MessageBus, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.member == "CancelCheckAuthorization":
            self.cancelled.append(message.body[0])
            return Message.new_method_return(message)
        if message.member != "CheckAuthorization":
            return None
        self.questions.append(message.body)
        if self.asks_people and not message.body[3]:
            return Message.new_method_return(message, "(bba{ss})", [[False, True, {}]])
        if message.body[1] in self.refused:
            return Message.new_method_return(message, "(bba{ss})", [[False, False, {}]])
        if not self.hangs:
            return Message.new_method_return(message, "(bba{ss})", [self.answer])
        self._later = asyncio.ensure_future(self._answer_later(bus, message))
        return True

    async def _answer_later(self, bus: MessageBus, message: Message) -> None:
        await self.release.wait()
        bus.send(Message.new_method_return(message, "(bba{ss})", [self.answer]))


class Client:
    """A caller on the bus."""

    def __init__(self, connection: MessageBus) -> None:
        self.connection = connection
        self.signals: list[Message] = []
        connection.add_message_handler(self._on_message)

    def _on_message(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and str(message.path).startswith(names.MANAGER_PATH):
            self.signals.append(message)

    async def call(
        self, path: str, interface: str, member: str, signature: str = "", *body: Any, interactive: bool = False
    ) -> Message:
        flags = MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION if interactive else MessageFlag.NONE
        message = Message(
            destination=names.BUS_NAME, path=path, interface=interface, member=member, signature=signature,
            body=list(body), flags=flags,
        )  # fmt: skip
        reply = await asyncio.wait_for(self.connection.call(message), 10)
        assert reply is not None
        return reply

    async def link(self, member: str, signature: str = "", *body: Any, interactive: bool = False) -> Message:
        return await self.call(
            names.link_path(LINK), names.LINK_INTERFACE, member, signature, *body, interactive=interactive
        )

    async def manager(self, member: str, signature: str = "", *body: Any) -> Message:
        return await self.call(names.MANAGER_PATH, names.MANAGER_INTERFACE, member, signature, *body)

    async def add_link(self, name: str = LINK, **settings: Any) -> Message:
        values = {"server": Variant("s", "203.0.113.7"), "user": Variant("s", "customer@C012"), **settings}
        return await self.manager("AddLink", "sa{sv}", name, values)

    async def state(self) -> str:
        properties = "org.freedesktop.DBus.Properties"
        reply = await self.call(names.link_path(LINK), properties, "Get", "ss", names.LINK_INTERFACE, "State")
        return str(reply.body[0].value)


async def close(connection: MessageBus) -> None:
    """End a connection; dbus-next's own `disconnect` leaves the socket open."""
    connection.disconnect()  # type: ignore[no-untyped-call]
    with contextlib.suppress(OSError, EOFError):
        await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
    connection._stream.close()
    connection._sock.close()


@dataclass
class Stage:
    """Everything that a bus test plays with."""

    client: Client
    bus: Bus
    links: Links
    units: FakeUnits
    routes: FakeRoutes
    store: Store
    machinery: Machinery
    peers: Path
    new_client: Callable[[], Awaitable[Client]]
    up_lines: tuple[str, ...] = UP_LINES

    def be_user(self, uid: int) -> None:
        """Take every caller for user `uid`: whoever runs the tests, some want root and some want anybody else."""

        async def uid_of(name: str) -> int:
            return uid

        self.bus.uid_of = uid_of  # type: ignore[method-assign]

    async def until(self, condition: Callable[[], object], seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what calls that a test leaves running have of inotify(7): a user has 128 of them."""
    follow, descriptors = inotify.follow, set()

    def note(on_change: Callable[[], None]) -> int:
        descriptors.add(descriptor := follow(on_change))
        return descriptor

    monkeypatch.setattr(inotify, "follow", note)
    yield
    for descriptor in descriptors:
        with contextlib.suppress(FileNotFoundError):  # it is closed
            if os.readlink(f"/proc/self/fd/{descriptor}") == "anon_inode:inotify":
                os.close(descriptor)


@pytest_asyncio.fixture
async def stage(private_bus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ears: None) -> AsyncIterator[Stage]:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", private_bus)
    monkeypatch.setattr(os, "access", lambda path, mode: True)  # pptp need not be on this host
    store = Store(tmp_path / "etc", tmp_path / "var", tmp_path / "run")
    for folder in ("etc", "var", "peers", "run", "foreign"):
        (tmp_path / folder).mkdir()
    bus = Bus()
    await bus.connect()
    bus.guard = Authority(bus)
    units = FakeUnits(tmp_path / "run")
    routes = FakeRoutes()
    machinery = Machinery(
        store,
        History(tmp_path / "var/history"),
        units,  # type: ignore[arg-type]
        routes,  # type: ignore[arg-type]
        Lookup(units, tmp_path / "run", routes, tmp_path / "resolv.conf"),  # type: ignore[arg-type]
        lambda: Foreign(tmp_path / "foreign"),
        FakePppd(),  # type: ignore[arg-type]
        lambda: providers.load(tmp_path / "etc/providers.d"),
        bus.spawn,
        NameServers(units, Resolved(bus, lambda name: 7), tmp_path / "run", tmp_path / "resolv.conf", tmp_path),  # type: ignore[arg-type]
        units.established,
        tmp_path / "peers",
        tmp_path / "run",
        [tmp_path / "run"],
        Openings(tmp_path / "run/openings", "/nonexistent/nft", Firewalld(bus, tmp_path / "run/firewalld")),
    )
    links = Links(machinery)
    await links.begin(at_boot=False)
    Manager(bus, links, machinery).export()
    assert await bus.own(names.BUS_NAME)
    connections: list[MessageBus] = []

    async def new_client() -> Client:
        connection = await MessageBus(bus_type=BusType.SYSTEM).connect()
        connections.append(connection)
        await connection.call(
            Message(
                destination="org.freedesktop.DBus", path="/org/freedesktop/DBus", interface="org.freedesktop.DBus",
                member="AddMatch", signature="s", body=[f"type='signal',sender='{names.BUS_NAME}'"],
            )
        )  # fmt: skip
        return Client(connection)

    stage = Stage(await new_client(), bus, links, units, routes, store, machinery, tmp_path / "peers", new_client)
    stage.be_user(0)
    yield stage
    for link in links.by_name.values():
        link.wake_after(None)
    for connection in [*connections, bus]:
        await close(connection)


@pytest_asyncio.fixture
async def polkit(stage: Stage) -> AsyncIterator[FakePolkit]:
    await stage.client.add_link()
    stage.be_user(1000)
    polkit = FakePolkit()
    connection = await polkit.serve()
    yield polkit
    polkit.release.set()
    await close(connection)
