"""Who may do what, member by member, and what happens when polkit cannot say."""

from __future__ import annotations

import asyncio
import pwd
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from dbus_next.message import Message
from dbus_next.signature import Variant

from cablecar.helper import authority, names
from cablecar.helper.bus import DBUS

if TYPE_CHECKING:
    from tests.bus.conftest import Stage
    from tests.polkitd.conftest import Caller, Polkitd

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"
MANAGER = names.MANAGER_PATH, names.MANAGER_INTERFACE
THE_LINK = names.link_path(LINK), names.LINK_INTERFACE
PROPERTIES = "org.freedesktop.DBus.Properties"
SETTINGS = {"server": Variant("s", "203.0.113.8"), "user": Variant("s", "other")}


@dataclass(frozen=True)
class Row:
    """A method: the polkit action that it needs, a call of it, and the error that root gets for that call."""

    action: str
    signature: str = ""
    body: tuple[Any, ...] = ()
    root: str = ""


# Every method that there is. Root is let in everywhere; the errors are what its calls come to in these tests.
METHODS = {
    ("Manager", "ListLinks"): Row(""),
    ("Manager", "Providers"): Row(""),
    ("Manager", "CheckSettings"): Row("", "a{sv}", (SETTINGS,)),
    ("Manager", "AddLink"): Row(names.ACTION_MODIFY, "sa{sv}", ("another", SETTINGS)),
    ("Manager", "RemoveLink"): Row(names.ACTION_MODIFY, "s", (LINK,)),
    ("Manager", "ListPeers"): Row(names.ACTION_VIEW_DETAILS),
    ("Manager", "ImportPeer"): Row(names.ACTION_MODIFY, "s", ("nothere",), "NoSuchPeer"),
    ("Manager", "Diagnose"): Row(names.ACTION_VIEW_DETAILS, "s", ("nothere",), "NoSuchLink"),
    ("Manager", "Discover"): Row(names.ACTION_VIEW_DETAILS),
    ("Manager", "Reload"): Row(names.ACTION_MODIFY),
    ("Manager", "RestoreNetwork"): Row(names.ACTION_SYSTEM),
    ("Link", "Connect"): Row(names.ACTION_CONNECT, root="NoCable"),
    ("Link", "Disconnect"): Row(names.ACTION_CONNECT),
    ("Link", "Reconnect"): Row(names.ACTION_CONNECT, root="NoCable"),
    ("Link", "SetPassword"): Row(names.ACTION_MODIFY, "s", ("other",)),
    ("Link", "SetTunnelSecret"): Row(names.ACTION_MODIFY, "s", ("other",), "InvalidSetting"),
    ("Link", "Update"): Row(names.ACTION_MODIFY, "a{sv}", (SETTINGS,)),
    ("Link", "Settings"): Row(names.ACTION_VIEW_DETAILS),
    ("Link", "Details"): Row(names.ACTION_VIEW_DETAILS),
    ("Link", "Log"): Row(names.ACTION_VIEW_DETAILS, "u", (5,)),
    ("Link", "History"): Row(names.ACTION_VIEW_DETAILS, "u", (5,)),
}
# What every local user may know.
OPEN_PROPERTIES = {
    ("Manager", "Version"), ("Manager", "Links"), ("Link", "Name"), ("Link", "Title"), ("Link", "Protocol"),
    ("Link", "State"), ("Link", "Phase"), ("Link", "Reason"), ("Link", "Autoconnect"), ("Link", "Interface"),
    ("Link", "Since"), ("Link", "Attempt"), ("Link", "NextRetry"),
}  # fmt: skip
OPEN_SIGNALS = {
    ("Manager", "LinkAdded"), ("Manager", "LinkRemoved"), ("Link", "Connected"), ("Link", "Disconnected"),
    ("Link", "Reconnecting"),
}  # fmt: skip
# What only the caller hears of a method that it was allowed to call.
CALLERS_SIGNALS = {("Manager", "Checked")}
OBJECTS = {"Manager": MANAGER, "Link": THE_LINK}


def error(name: str) -> str:
    return f"{names.ERROR_PREFIX}{name}" if name else ""


def everything(stage: Stage) -> dict[str, Any]:
    """All that a call could change: files, units, routes, the links and what is wanted."""
    root = stage.peers.parent
    files = {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    links = [(link.name, link.settings, link.status) for link in stage.links.by_name.values()]
    return {"files": files, "units": stage.units.started, "routes": dict(stage.routes.wanted), "links": links}


async def members(caller: Caller, kind: str) -> set[tuple[str, str]]:
    """The live members of a kind, of all our interfaces."""
    found = set()
    for path, _ in OBJECTS.values():
        described = (await caller.call(path, "org.freedesktop.DBus.Introspectable", "Introspect")).body[0]
        for interface in ET.fromstring(described).iter("interface"):
            name = interface.get("name", "")
            if name.startswith(names.BUS_NAME):
                found |= {(name.rsplit(".", 1)[1], member.get("name", "")) for member in interface.iter(kind)}
    return found


async def test_every_member_has_a_row(scene: Stage, caller: Callable[[str], Caller]) -> None:
    assert await members(caller("nobody"), "method") == set(METHODS)
    assert await members(caller("nobody"), "property") == OPEN_PROPERTIES
    assert await members(caller("nobody"), "signal") == OPEN_SIGNALS | CALLERS_SIGNALS


@pytest.mark.usefixtures("polkitd")
async def test_nobody_gets_only_what_is_open(scene: Stage, caller: Callable[[str], Caller]) -> None:
    before = everything(scene)
    answers = {}
    for (interface, member), row in METHODS.items():
        answer = await caller("nobody").call(*OBJECTS[interface], member, row.signature, *row.body)
        answers[interface, member] = answer.error
        assert "0pen-sesame" not in str(answer.body)
    assert answers == {key: error("NotAuthorizedCanObtain" if row.action else "") for key, row in METHODS.items()}
    assert everything(scene) == before


@pytest.mark.parametrize("key", METHODS, ids="-".join)
async def test_root_is_let_in_also_without_polkit(
    scene: Stage, caller: Callable[[str], Caller], key: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.routes, "reached", False)  # no cable: a dial ends at once
    row = METHODS[key]
    answer = await caller("root").call(*OBJECTS[key[0]], key[1], row.signature, *row.body)
    assert answer.error == error(row.root)


@pytest.mark.parametrize("key", [key for key, row in METHODS.items() if row.action], ids="-".join)
async def test_the_action_of_a_member_lets_in_and_no_other(
    scene: Stage,
    caller: Callable[[str], Caller],
    granted: dict[str, str],
    key: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scene.routes, "reached", False)
    row, before = METHODS[key], everything(scene)
    for action, user in granted.items():
        if action != row.action:
            answer = await caller(user).call(*OBJECTS[key[0]], key[1], row.signature, *row.body)
            assert answer.error == error("NotAuthorizedCanObtain"), user
    assert everything(scene) == before
    answer = await caller(granted[row.action]).call(*OBJECTS[key[0]], key[1], row.signature, *row.body)
    assert answer.error == error(row.root)


@pytest.mark.usefixtures("polkitd")
async def test_another_users_link_is_not_theirs_to_end(scene: Stage, caller: Callable[[str], Caller]) -> None:
    scene.store.save_wish(LINK, 0)
    assert (await caller("daemon").call(*THE_LINK, "Disconnect")).error == error("NotAuthorizedCanObtain")
    assert scene.store.wish(LINK) == 0
    scene.store.save_wish(LINK, pwd.getpwnam("daemon").pw_uid)
    assert (await caller("daemon").call(*THE_LINK, "Disconnect")).error == ""


@pytest.mark.parametrize("trouble", ["killed", "frozen", "without our policy"])
async def test_a_polkit_that_cannot_say_lets_nobody_in(
    scene: Stage, caller: Callable[[str], Caller], polkitd: Polkitd, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await caller("bin").call(*THE_LINK, "Details")).error == ""
    before = everything(scene)
    monkeypatch.setattr(authority, "PATIENCE", 0.2)
    if trouble == "frozen":
        polkitd.freeze()
    else:
        polkitd.kill()
        if trouble == "without our policy":
            polkitd.start(policy=False)
    begin = time.monotonic()
    answers = await asyncio.gather(*(caller(user).call(*THE_LINK, "Details") for user in ("bin", "nobody")))
    assert [answer.error for answer in answers] == [error("AuthorityUnavailable")] * 2
    assert time.monotonic() - begin < 7
    assert everything(scene) == before


async def test_no_property_can_be_set(scene: Stage, caller: Callable[[str], Caller]) -> None:
    for user in ("nobody", "root"):
        for interface, name in OPEN_PROPERTIES:
            path, full = OBJECTS[interface]
            answer = await caller(user).call(path, PROPERTIES, "Set", "ssv", full, name, Variant("s", "up"))
            assert answer.error == "org.freedesktop.DBus.Error.PropertyReadOnly", name


async def test_what_everybody_may_read_tells_nothing_of_the_provider(
    scene: Stage, caller: Callable[[str], Caller]
) -> None:
    read = ""
    for path, interface in OBJECTS.values():
        read += str((await caller("nobody").call(path, PROPERTIES, "GetAll", "s", interface)).body)
        read += str((await caller("nobody").call(path, "org.freedesktop.DBus.Introspectable", "Introspect")).body)
    assert LINK in read
    for private in ("203.0.113.7", "customer", "0pen-sesame"):
        assert private not in read


async def test_the_bus_lets_no_other_interface_and_no_signal_through(
    scene: Stage, caller: Callable[[str], Caller]
) -> None:
    heard: list[str] = []

    def listen(message: Message) -> None:
        if message.member in ("S", "GetManagedObjects"):
            heard.append(f"{message.sender} {message.interface}")

    scene.bus.add_message_handler(listen)
    nobody, root = caller("nobody"), caller("root")
    for interface in ("org.freedesktop.DBus.ObjectManager", "org.freedesktop.systemd1.Manager"):
        answer = await nobody.call(names.MANAGER_PATH, interface, "GetManagedObjects")
        assert answer.error == "org.freedesktop.DBus.Error.AccessDenied"
    for destination in (names.BUS_NAME, scene.bus.unique_name or ""):
        for sender in (nobody, root):
            await sender.signal(destination, names.MANAGER_INTERFACE)
            assert (await sender.call(*MANAGER, "ListLinks")).error == ""  # what was sent before has come by now
    assert heard == [f"{root.name} {names.MANAGER_INTERFACE}"] * 2


async def test_nobody_cannot_be_the_helper(scene: Stage, caller: Callable[[str], Caller]) -> None:
    refused = await caller("nobody").ask(*DBUS, "RequestName", "su", names.BUS_NAME, 0)
    assert refused.error == "org.freedesktop.DBus.Error.AccessDenied"
