"""The objects on a real bus: what a caller gets, and what nobody gets."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dbus_next.constants import MessageType
from dbus_next.message import Message
from dbus_next.service import ServiceInterface
from dbus_next.signature import Variant

from cablecar.helper import call, errors, names, pppd, reasons, service
from cablecar.helper.links import REPAIR_PAUSE, REPAIRS, Links
from cablecar.helper.plan import Cable, Interface
from cablecar.helper.pppd import Exit
from cablecar.helper.sleep import clock

if TYPE_CHECKING:
    from tests.bus.conftest import Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"
ROOT = Path(__file__).parents[2]


async def added(stage: Stage, **settings: Variant) -> None:
    assert (await stage.client.add_link(LINK, **settings)).message_type is MessageType.METHOD_RETURN
    assert (await stage.client.link("SetPassword", "s", "secret")).message_type is MessageType.METHOD_RETURN


async def come_up(stage: Stage) -> None:
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    stage.units.say(LINK, *stage.up_lines)
    assert (await dialing).message_type is MessageType.METHOD_RETURN


async def test_a_link_from_the_first_call_to_the_last(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    assert await stage.client.state() == "up"
    assert stage.routes.wanted[LINK].tunnel == "ppp0"
    assert str(stage.routes.wanted[LINK].pins[0]) == "203.0.113.7"
    details = (await stage.client.link("Details")).body[0]
    assert {key: value.value for key, value in details.items()} == {
        "server": "203.0.113.7", "user": "customer@C012", "interface": "ppp0", "local_address": "100.64.0.10",
        "remote_address": "192.0.2.1", "received": 11, "sent": 22,
    }  # fmt: skip
    assert (await stage.client.link("Log", "u", 2)).body[0] == list(stage.up_lines[-2:])
    assert (await stage.client.link("Disconnect")).message_type is MessageType.METHOD_RETURN
    assert (await stage.client.state(), stage.routes.wanted, stage.store.wish(LINK)) == ("down", {}, None)
    assert (await stage.client.manager("RemoveLink", "s", LINK)).message_type is MessageType.METHOD_RETURN
    assert [path for path in stage.peers.parent.rglob("*") if path.is_file() and path.suffix != ".log"] == []
    sent = [signal.member for signal in stage.client.signals if signal.member not in ("PropertiesChanged",)]
    assert [name for name in sent if not name.startswith("Interfaces")] == [
        "LinkAdded", "Connected", "Disconnected", "LinkRemoved",
    ]  # fmt: skip


async def test_a_drop_is_told_with_its_reason_and_dialed_again(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    stage.units.say(LINK, "LCP terminated by peer (good bye)")
    stage.units.end(LINK, Exit(code=16))
    await stage.until(lambda: stage.units.started == 2)
    await stage.until(lambda: any(signal.member == "Reconnecting" for signal in stage.client.signals))
    bodies = {signal.member: signal.body for signal in stage.client.signals}
    assert bodies["Disconnected"] == ["terminated-by-peer", reasons.TERMINATED_BY_PEER.sentence, True]
    assert bodies["Reconnecting"] == [1, 0]


async def test_a_dead_path_is_noticed_while_pppd_is_still_taking_leave(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    stage.units.say(LINK, "No response to 3 echo-requests", "Serial link appears to be disconnected.")
    await stage.until(lambda: stage.links.get(LINK).status.state == "stopping")
    assert LINK in stage.units.active
    stage.units.end(LINK, Exit(code=15))
    await stage.until(lambda: stage.units.started == 2)
    assert stage.machinery.history.read(LINK, 1)[0].reason == "path-lost"


async def lose_path(stage: Stage) -> str:
    """Have the call fall by silence; return the reason that is kept."""
    stage.units.say(LINK, "No response to 3 echo-requests", "Serial link appears to be disconnected.")
    stage.units.say(LINK, "Connect time 55.0 minutes.", "Sent 39058515 bytes, received 6058515 bytes.")
    stage.units.end(LINK, Exit(code=15))
    await stage.until(lambda: stage.machinery.history.read(LINK, 1))
    return stage.machinery.history.read(LINK, 1)[0].reason


@pytest.mark.parametrize("fights", [False, True])
async def test_a_call_whose_packets_are_led_into_its_tunnel_falls_by_a_loop(stage: Stage, fights: bool) -> None:
    await added(stage)
    await come_up(stage)
    if fights:  # repairs are held back
        stage.links._repairs = [clock()] * REPAIRS
    stage.routes.in_circles = True
    stage.links.network_changed()
    call = stage.links.get(LINK).calls.call
    await stage.until(lambda: call is not None and call._loops)
    assert await lose_path(stage) == "loop"


async def seen_in_circles(stage: Stage) -> call.Call:
    """Return a call that is up and was led into its own tunnel at the last look, and is no longer."""
    await added(stage)
    await come_up(stage)
    found = stage.links.get(LINK).calls.call
    assert found is not None
    stage.routes.in_circles = True
    await found.look()
    stage.routes.in_circles = False
    return found


async def test_a_loop_that_was_mended_is_not_why_a_call_falls_later(stage: Stage) -> None:
    call = await seen_in_circles(stage)
    await call.look()
    assert await lose_path(stage) == "path-lost"


async def test_the_routes_of_a_call_that_ends_say_nothing_of_a_loop(stage: Stage) -> None:
    call = await seen_in_circles(stage)
    stage.units.say(LINK, "Connect time 55.0 minutes.")
    await call.look()
    assert await lose_path(stage) == "loop"


@pytest.mark.parametrize(
    ("word", "reason", "dials"),
    [("Terminating on signal 15", "hung-up-here", 1), ("LCP terminated by peer (good bye)", "terminated-by-peer", 2)],
)
async def test_who_ends_it_is_not_forgotten_while_its_scripts_take_their_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, word: str, reason: str, dials: int
) -> None:
    monkeypatch.setattr("cablecar.helper.link.GONE_LIMIT", 0.01)
    monkeypatch.setattr(stage.units, "ends_when_stopped", False)
    await added(stage)
    await come_up(stage)
    stage.units.say(LINK, word, "Connect time 1.0 minutes.")
    managed = stage.links.get(LINK)
    await stage.until(lambda: managed.calls.call is not None and pppd.takes_down(managed.calls.call.log.lines[-1]))
    stage.links.interface_gone("ppp0")
    await stage.until(lambda: managed.calls.call is not None and managed.calls.call._stopping)
    stage.units.say(LINK, "Terminating on signal 15")  # which is ours
    stage.units.end(LINK, Exit(code=5))
    await stage.until(lambda: stage.machinery.history.read(LINK, 1))
    assert stage.machinery.history.read(LINK, 1)[0].reason == reason
    await stage.until(lambda: stage.units.started == dials)


async def test_a_call_without_an_address_is_ended_and_dialed_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "ADDRESS_LIMIT", 0.005)
    await added(stage)
    await come_up(stage)
    stage.links.network_changed()
    ends = stage.routes.point_to_point.pop("ppp0")
    stage.links.network_changed()
    await stage.until(lambda: stage.units.started == 2)
    assert stage.machinery.history.read(LINK, 1)[0].reason == "address-taken"
    stage.routes.point_to_point["ppp0"] = ends


async def test_a_call_that_ends_loses_its_address_first(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "ADDRESS_LIMIT", 0.005)
    await added(stage)
    await come_up(stage)
    stage.units.say(LINK, "LCP terminated by peer (good bye)")
    ends = stage.routes.point_to_point.pop("ppp0")
    stage.links.network_changed()
    await asyncio.sleep(0.1)  # longer than that
    stage.units.end(LINK, Exit(code=16))
    await stage.until(lambda: stage.units.started == 2)
    assert stage.machinery.history.read(LINK, 1)[0].reason == "terminated-by-peer"
    stage.routes.point_to_point["ppp0"] = ends


@pytest.mark.parametrize(("answers", "error"), [(True, "GreBlocked"), (False, "ServerUnreachable")])
async def test_silence_in_the_tunnel_has_two_names(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, answers: bool, error: str
) -> None:
    monkeypatch.setattr(call, "LOOK_EVERY", 0.005)
    stage.units.connections = frozenset({"another call's"})
    await added(stage)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    if answers:
        stage.units.connections |= {"this call's"}
        await stage.until(lambda: stage.links.by_name[LINK].status.phase == names.AUTHENTICATING)
    stage.units.connections = frozenset()
    stage.units.say(LINK, "Using interface ppp0", "LCP: timeout sending Config-Requests")
    stage.units.end(LINK, Exit(code=16))
    assert (await dialing).error_name == f"{names.ERROR_PREFIX}{error}"


async def test_a_refused_password_has_its_own_name(stage: Stage) -> None:
    await added(stage)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    stage.units.say(LINK, "PAP authentication failed")
    stage.units.end(LINK, Exit(code=19))
    reply = await dialing
    assert reply.error_name == "org.cablecar1.Error.AuthenticationFailed"
    assert (await stage.client.state(), stage.units.started) == ("failed", 1)


async def test_a_disconnect_ends_a_dial_that_still_prepares(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.client.add_link(server=Variant("s", "vpn.example"))
    await stage.client.link("SetPassword", "s", "secret")
    resolving = asyncio.Event()

    async def resolve_for_ever(unit: str) -> None:
        resolving.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(stage.units, "run_once", resolve_for_ever)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await resolving.wait()
    await hang_up(stage, dialing)
    assert stage.units.started == 0


async def test_a_disconnect_ends_a_dial_whose_unit_runs(stage: Stage) -> None:
    await added(stage)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    await hang_up(stage, dialing)


async def hang_up(stage: Stage, dialing: asyncio.Future[Message]) -> None:
    assert (await stage.client.link("Disconnect")).message_type is MessageType.METHOD_RETURN
    assert (await dialing).error_name == "org.cablecar1.Error.Cancelled"
    assert (stage.units.active, stage.routes.wanted) == (set(), {})


async def test_only_another_cable_ends_the_wait_for_one(stage: Stage) -> None:
    await added(stage)
    stage.routes.reached = False
    assert (await stage.client.link("Connect")).error_name == "org.cablecar1.Error.NoCable"
    waiting = stage.links.get(LINK).status
    looks = len(stage.routes.reconciled)
    stage.links.network_changed()
    await stage.until(lambda: len(stage.routes.reconciled) > looks)
    await stage.client.manager("ListLinks")
    assert stage.links.get(LINK).status is waiting
    stage.routes.reached, stage.routes.surroundings = True, "another cable"
    stage.links.network_changed()
    await stage.until(lambda: LINK in stage.units.active)


@pytest.mark.parametrize("fails", [True, False])
async def test_changes_during_a_repair_are_answered_by_one_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    begun, go_on = [], asyncio.Event()

    async def reconcile() -> bool:
        begun.append(clock())
        await go_on.wait()
        if fails:
            raise OSError("no buffer space")
        return False

    monkeypatch.setattr(stage.routes, "reconcile", reconcile)
    for _ in range(4):
        stage.links.network_changed()
        await asyncio.sleep(REPAIR_PAUSE * 1.5)
    assert len(begun) == 1
    go_on.set()
    await asyncio.sleep(REPAIR_PAUSE * 4)
    assert len(begun) == 2


@pytest.mark.parametrize("protocol", ["pptp", "pppoe"])
async def test_another_way_to_the_server_ends_the_wait_for_the_next_try(stage: Stage, protocol: str) -> None:
    server = "203.0.113.7" if protocol == "pptp" else ""
    await added(stage, protocol=Variant("s", protocol), server=Variant("s", server))
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    stage.units.end(LINK, Exit(code=16))
    assert (await dialing).error_name == "org.cablecar1.Error.Hangup"
    waiting = stage.links.get(LINK).status
    looks = len(stage.routes.reconciled)
    stage.routes.surroundings = "the same way, seen again"
    stage.links.network_changed()
    await stage.until(lambda: len(stage.routes.reconciled) > looks)
    await stage.client.manager("ListLinks")
    assert stage.links.get(LINK).status is waiting
    elsewhere = Interface(3, "eth1", True, (IPv4Address("192.168.7.2"),))
    stage.routes.surroundings, stage.routes.cable_ = "another way", Cable(elsewhere)
    stage.links.network_changed()
    await stage.until(lambda: LINK in stage.units.active, 1)


async def test_running_calls_are_adopted_before_anything_is_swept(stage: Stage) -> None:
    for name in ("one", "two"):
        await stage.client.add_link(name)
        stage.store.save_wish(name, 1000)
        stage.units.active.add(name)
        stage.units.say(name, *stage.up_lines)
    stage.routes.reconciled.clear()
    restarted = Links(stage.machinery)
    await restarted.begin(at_boot=False)
    assert stage.routes.reconciled[0] == {"one", "two"}
    assert {wanted.tunnel for wanted in stage.routes.wanted.values()} == {"ppp0"}
    for link in restarted.by_name.values():
        assert link.status.state == "up"
        link.calls.hang_up()
        await stage.until(lambda link=link: link.status.state == "failed")  # type: ignore[misc]
    assert stage.units.started == 0


async def test_a_running_call_that_nobody_wants_is_ended_at_the_start(stage: Stage) -> None:
    await added(stage)
    stage.units.active.add(LINK)
    stage.units.say(LINK, *stage.up_lines)
    restarted = Links(stage.machinery)
    await restarted.begin(at_boot=False)
    await stage.until(lambda: stage.units.active == set())
    await stage.until(lambda: restarted.get(LINK).status.state == "down")


async def test_a_helper_that_stops_leaves_its_calls_alone(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    wanted = dict(stage.routes.wanted)
    for task in list(stage.bus._tasks):  # as asyncio.run does at the end
        task.cancel()
    await asyncio.gather(*stage.bus._tasks, return_exceptions=True)
    assert stage.routes.wanted == wanted
    assert stage.links.get(LINK).status.state == "up"
    assert LINK in stage.units.active


async def test_a_disconnect_while_a_failed_dial_cleans_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.client.add_link()  # without a password: the dial fails at once
    releasing, go_on = asyncio.Event(), asyncio.Event()

    async def release_slowly(link: str) -> None:
        releasing.set()
        await go_on.wait()

    monkeypatch.setattr(stage.routes, "release", release_slowly)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await releasing.wait()
    ending = asyncio.ensure_future(stage.client.link("Disconnect"))
    await stage.until(lambda: stage.links.get(LINK).status.state == "stopping")
    await asyncio.sleep(0)
    go_on.set()
    assert (await ending).message_type is MessageType.METHOD_RETURN
    assert (await dialing).error_name == "org.cablecar1.Error.Cancelled"
    assert await stage.client.state() == "down"


async def test_a_late_stop_does_not_end_the_next_call(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await added(stage)
    await come_up(stage)

    async def ended_just_before(link: str) -> None:
        stage.units.end(link, Exit(code=16))

    monkeypatch.setattr(stage.units, "stop", ended_just_before)
    monkeypatch.setattr(call, "STOP_LIMIT", 0.05)
    again = asyncio.ensure_future(stage.client.link("Reconnect"))
    await stage.until(lambda: stage.units.started == 2)
    await asyncio.sleep(0.2)  # longer than the stop waits
    assert await stage.client.state() == "dialing"
    stage.units.say(LINK, *stage.up_lines)
    assert (await again).message_type is MessageType.METHOD_RETURN


async def test_a_failure_that_only_a_person_can_mend_is_not_dialed_at_the_next_start(stage: Stage) -> None:
    await stage.client.add_link()
    assert (await stage.client.link("Connect")).error_name == "org.cablecar1.Error.NoPassword"
    assert stage.store.wish(LINK) is None


async def test_routes_that_cannot_be_made_end_the_call(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await added(stage)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)

    async def refuse(link: str, wanted: object) -> None:
        raise OSError("no buffer space")

    monkeypatch.setattr(stage.routes, "want", refuse)
    stage.units.say(LINK, *stage.up_lines)
    assert (await dialing).message_type is MessageType.ERROR
    assert stage.units.active == set()


async def test_a_call_without_settings_is_ended_at_the_start(stage: Stage) -> None:
    stage.units.active.add("forgotten")
    stage.units.on_end["forgotten"] = lambda ended: None
    await Links(stage.machinery).begin(at_boot=False)
    await stage.until(lambda: stage.units.active == set())


async def test_what_is_wanted_is_dialed_at_the_start(stage: Stage) -> None:
    for name, autoconnect in (("wanted", False), ("automatic", True), ("other", False)):
        await stage.client.add_link(name, autoconnect=Variant("b", autoconnect))
        stage.links.set_password(name, b"secret")
    for at_boot, expected in ((False, {"wanted"}), (True, {"wanted", "automatic"})):
        stage.store.save_wish("wanted", 1000)
        restarted = Links(stage.machinery)
        await restarted.begin(at_boot)
        await stage.until(lambda expected=expected: stage.units.active == expected)  # type: ignore[misc]
        for name in expected:
            restarted.by_name[name].machine.disconnect()
        await stage.until(lambda: stage.units.active == set())


async def test_no_exception_text_reaches_a_caller(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(stage)

    def fail(*arguments: object) -> None:
        raise RuntimeError("the secret is swordfish")

    monkeypatch.setattr(stage.links, "set_password", fail)
    reply = await stage.client.link("SetPassword", "s", "x")
    assert reply.error_name == "org.cablecar1.Error.Failed"
    assert "swordfish" not in str(reply.body)
    assert "swordfish" in caplog.text  # the journal has it


@pytest.mark.parametrize(
    ("member", "signature", "body", "error"),
    [
        ("AddLink", "sa{sv}", ["../x", {}], "InvalidName"),
        ("AddLink", "sa{sv}", ["x" * 60000, {}], "InvalidName"),
        ("AddLink", "sa{sv}", ["x", {"plugin": Variant("s", "/tmp/p.so")}], "InvalidSetting"),
        ("AddLink", "sa{sv}", ["x", {"server": Variant("av", [Variant("s", "a")])}], "InvalidSetting"),
        ("RemoveLink", "s", ["nothere"], "NoSuchLink"),
        ("RemoveLink", "s", ["\n"], "InvalidName"),
    ],
)
async def test_bad_arguments_are_refused_by_name(
    stage: Stage, member: str, signature: str, body: list[Any], error: str
) -> None:
    reply = await stage.client.manager(member, signature, *body)
    assert reply.error_name == f"org.cablecar1.Error.{error}"
    assert stage.store.load_links(dict).links == {}


@pytest.mark.parametrize(("signature", "body"), [("i", [5]), ("av", [[]]), ("", []), ("ss", ["a", "b"])])
async def test_wrong_signatures_are_unknown_methods(stage: Stage, signature: str, body: list[Any]) -> None:
    await added(stage)
    reply = await stage.client.link("Log", signature, *body)
    assert reply.error_name == "org.freedesktop.DBus.Error.UnknownMethod"


async def test_log_counts_are_limited(stage: Stage) -> None:
    await added(stage)
    for count in (0, 1001, 2**32 - 1):
        assert (await stage.client.link("Log", "u", count)).error_name == "org.cablecar1.Error.InvalidArgument"


async def test_the_same_name_twice_and_a_foreign_peer_file(stage: Stage) -> None:
    await added(stage)
    assert (await stage.client.add_link()).error_name == "org.cablecar1.Error.LinkExists"
    (stage.peers / "byhand").write_text("noauth\n")
    assert (await stage.client.add_link("byhand")).error_name == "org.cablecar1.Error.PeerFileExists"


async def test_properties_cannot_be_set(stage: Stage) -> None:
    await added(stage)
    reply = await stage.client.call(
        names.link_path(LINK), "org.freedesktop.DBus.Properties", "Set", "ssv",
        names.LINK_INTERFACE, "State", Variant("s", "up"),
    )  # fmt: skip
    assert reply.error_name == "org.freedesktop.DBus.Error.PropertyReadOnly"


def described(text: str) -> dict[str, set[tuple[str, ...]]]:
    """The members of each of our interfaces in introspection XML, without argument names: dbus-next has none."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for interface in ET.fromstring(text).iter("interface"):
        name = interface.get("name", "")
        if name.startswith(names.BUS_NAME):
            found[name] = {
                (
                    member.tag, member.get("name", ""), member.get("type", ""), member.get("access", ""),
                    *(f"{arg.get('direction', 'out')} {arg.get('type')}" for arg in member.iter("arg")),
                )
                for member in interface
            }  # fmt: skip
    return found


async def test_the_documented_interface_is_the_live_one(stage: Stage) -> None:
    await added(stage)
    for path, file in ((names.MANAGER_PATH, "Manager"), (names.link_path(LINK), "Link")):
        live = (await stage.client.call(path, "org.freedesktop.DBus.Introspectable", "Introspect")).body[0]
        documented = (ROOT / f"dbus/org.cablecar1.{file}.xml").read_text()
        assert described(documented) == described(live)
        assert described(live)[f"org.cablecar1.{file}"]


async def test_every_method_names_its_action() -> None:
    open_methods = {"ListLinks", "Providers", "CheckSettings"}
    for interface in (service.Manager, service.LinkObject):
        exported = [value.__dict__["__DBUS_METHOD"] for value in vars(interface).values()
                    if "__DBUS_METHOD" in getattr(value, "__dict__", {})]  # fmt: skip
        assert exported
        for method in exported:
            assert bool(method.action) == (method.name not in open_methods), method.name
    assert issubclass(service.Manager, ServiceInterface)


async def test_error_names_are_unique() -> None:
    table = [error.name for error in errors.ALL]
    assert len(set(table)) == len(table)
    declared = {value for value in vars(errors).values()
                if isinstance(value, type) and issubclass(value, errors.CablecarError)}  # fmt: skip
    assert declared - {errors.CablecarError, errors.CallFailed} == set(errors.ALL)
