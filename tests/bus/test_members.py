"""What a person at a shell can do beyond connecting: settings, history, presets, import, diagnosis, reload."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dbus_next.constants import MessageType
from dbus_next.signature import Variant

from cablecar.helper import diagnose, firewall, names, reasons, remains
from cablecar.helper.bus import CallError
from cablecar.helper.errors import Failed, StorageFailed
from cablecar.helper.history import Record
from cablecar.helper.links import Links
from cablecar.helper.pppd import Exit
from cablecar.helper.wire import plain, variants

if TYPE_CHECKING:
    from cablecar.helper.plan import Wanted
    from tests.bus.conftest import FakePolkit, Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"


async def added(stage: Stage, **settings: Any) -> None:
    assert (await stage.client.add_link(**settings)).message_type is MessageType.METHOD_RETURN
    assert (await stage.client.link("SetPassword", "s", "secret")).message_type is MessageType.METHOD_RETURN


async def come_up(stage: Stage, lines: tuple[str, ...] | None = None) -> None:
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    stage.units.say(LINK, *(lines or stage.up_lines))
    assert (await dialing).message_type is MessageType.METHOD_RETURN


async def settings(stage: Stage) -> dict[str, Any]:
    return dict(plain((await stage.client.link("Settings")).body[0]))


async def test_settings_show_every_key_and_no_secret(stage: Stage) -> None:
    await added(stage, mtu=Variant("u", 1400), route=Variant("as", ["10.0.0.0/8"]))
    shown = await settings(stage)
    assert (shown["mtu"], shown["route"], shown["reconnect"], shown["authentication"]) == (
        1400,
        ["10.0.0.0/8"],
        True,
        [],
    )
    assert "secret" not in str(shown)
    assert "ppp_options" not in shown


async def test_an_update_changes_what_it_names_and_keeps_the_rest(stage: Stage) -> None:
    await added(stage, mtu=Variant("u", 1400))
    path = stage.store.configuration / f"links/{LINK}.toml"
    path.write_text(path.read_text() + "debug = true # edited by hand\n")
    change = {"title": Variant("s", "Yosefcom"), "autoconnect": Variant("b", True)}
    assert (await stage.client.link("Update", "a{sv}", change)).message_type is MessageType.METHOD_RETURN
    shown = await settings(stage)
    assert (shown["title"], shown["mtu"], shown["debug"], shown["autoconnect"]) == ("Yosefcom", 1400, True, True)
    assert "# edited by hand" in path.read_text()
    told = [signal.body[1] for signal in stage.client.signals if signal.member == "PropertiesChanged"]
    assert {"Title": "Yosefcom", "Protocol": "pptp", "Autoconnect": True} in [plain(one) for one in told]


@pytest.mark.parametrize(
    "change",
    [{"mtu": Variant("i", -1)}, {"plugin": Variant("s", "x")}, {"ppp_options": Variant("as", ["plugin x"])},
     {"provider": Variant("s", "no_such_one")}, {"encryption": Variant("s", "required"),
     "authentication": Variant("as", ["pap"])}],
)  # fmt: skip
async def test_a_wrong_update_changes_nothing(stage: Stage, change: dict[str, Variant]) -> None:
    await added(stage)
    before = (stage.store.configuration / f"links/{LINK}.toml").read_bytes()
    reply = await stage.client.link("Update", "a{sv}", {"title": Variant("s", "T"), **change})
    assert reply.error_name == "org.cablecar1.Error.InvalidSetting"
    assert (stage.store.configuration / f"links/{LINK}.toml").read_bytes() == before
    assert (await settings(stage))["title"] == ""


async def test_an_update_is_judged_by_the_protocol_that_the_link_has(stage: Stage) -> None:
    await stage.client.add_link(protocol=Variant("s", "pppoe"), server=Variant("s", ""))
    names_of_a_concentrator = {"server": Variant("s", "an ac"), "service": Variant("s", "isp")}
    assert (await stage.client.link("Update", "a{sv}", names_of_a_concentrator)).error_name is None
    assert (await stage.client.link("Update", "a{sv}", {"protocol": Variant("s", "pptp")})).error_name is not None
    wrong = {"protocol": Variant("s", "pptp"), **names_of_a_concentrator}
    reply = await stage.client.link("Update", "a{sv}", wrong)
    assert reply.error_name == "org.cablecar1.Error.InvalidSetting"


async def test_an_update_of_a_file_that_is_broken_says_where(stage: Stage) -> None:
    await added(stage)
    path = stage.store.configuration / f"links/{LINK}.toml"
    path.write_text('server = "x"\nuser = 5\n')
    reply = await stage.client.link("Update", "a{sv}", {"title": Variant("s", "T")})
    assert reply.error_name == "org.cablecar1.Error.InvalidSetting"
    assert "line 2" in reply.body[0]
    assert path.read_text() == 'server = "x"\nuser = 5\n'


async def test_the_next_dial_uses_the_update_and_the_running_call_keeps_its_own(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    await stage.client.link("Update", "a{sv}", {"server": Variant("s", "203.0.113.99"), "route": Variant("s", "none")})
    assert str(stage.routes.wanted[LINK].pins[0]) == "203.0.113.7"
    restarted = Links(stage.machinery)  # a new helper takes the call over as it was dialed
    await restarted.begin(at_boot=False)
    assert stage.routes.wanted[LINK].through
    assert str(stage.routes.wanted[LINK].pins[0]) == "203.0.113.7"
    restarted.by_name[LINK].wake_after(None)
    again = asyncio.ensure_future(stage.client.link("Reconnect"))
    await stage.until(lambda: stage.units.started == 2)
    stage.units.say(LINK, *stage.up_lines)
    assert (await again).message_type is MessageType.METHOD_RETURN
    assert str(stage.routes.wanted[LINK].pins[0]) == "203.0.113.99"
    assert not stage.routes.wanted[LINK].through


@pytest.mark.parametrize(
    ("words", "left", "ended", "seen_to"),
    [
        ("", True, Exit(signal=9), True),
        ("", False, Exit(signal=9), True),  # a session at a concentrator, maybe
        ("Modem hangup", True, Exit(code=16), True),  # by L2TP xl2tpd ends and not its pppd
        ("Modem hangup", False, Exit(code=16), False),
        (remains.MEANWHILE, True, Exit(code=16), False),
    ],
)
async def test_what_a_killed_call_has_left_is_seen_to_before_the_next_one(
    stage: Stage, words: str, left: bool, ended: Exit, seen_to: bool
) -> None:
    await added(stage)
    await come_up(stage)
    if left:
        (stage.units.run / f"{LINK}.hooks").write_text("what is up")
    stage.units.say(LINK, words)
    stage.units.end(LINK, ended)
    await stage.until(lambda: stage.units.started == 2)
    assert stage.units.have_run == ([f"cablecar-killed@{LINK}.service"] if seen_to else [])


async def test_a_lost_calls_server_is_looked_up_while_the_call_ends(stage: Stage) -> None:
    stage.units.answers["vpn.example"] = ["203.0.113.7"]
    await added(stage, server=Variant("s", "vpn.example"))
    await come_up(stage)
    stage.units.have_run.clear()
    stage.units.say(LINK, "Modem hangup")
    await stage.until(lambda: bool(stage.units.have_run))
    assert LINK in stage.units.active
    stage.units.end(LINK, Exit(code=16))
    await stage.until(lambda: stage.units.started == 2)
    assert stage.units.have_run == [f"cablecar-lookup@{LINK}.service"], "once"


async def test_a_removed_link_is_looked_up_no_more(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.units.answers["vpn.example"] = ["203.0.113.7"]
    await added(stage, server=Variant("s", "vpn.example"))
    await come_up(stage)
    stage.machinery.lookup.machine.touch()
    asked, answer = [], asyncio.Event()

    async def hang(unit: str) -> None:
        asked.append(unit)
        await answer.wait()

    monkeypatch.setattr(stage.units, "run_once", hang)
    stage.units.say(LINK, "Modem hangup")
    await stage.until(lambda: asked)
    assert (await stage.client.manager("RemoveLink", "s", LINK)).message_type is MessageType.METHOD_RETURN
    answer.set()
    await asyncio.sleep(0.05)  # in which it could be asked again, of other name servers
    assert asked == [f"cablecar-lookup@{LINK}.service"]


async def test_nothing_is_looked_up_for_a_call_that_is_hung_up(stage: Stage) -> None:
    stage.units.answers["vpn.example"] = ["203.0.113.7"]
    await added(stage, server=Variant("s", "vpn.example"))
    await come_up(stage)
    stage.units.have_run.clear()
    stage.units.ends_when_stopped = False
    hanging_up = asyncio.ensure_future(stage.client.link("Disconnect"))
    await stage.until(lambda: stage.links.get(LINK).status.state == "stopping")
    stage.links.interface_gone("ppp0")
    stage.units.end(LINK, Exit(code=5))
    await hanging_up
    assert stage.units.have_run == []


async def test_history_tells_of_calls_that_came_up_and_of_those_that_did_not(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    stage.units.say(LINK, "Connect time 1.0 minutes.", "Sent 1234 bytes, received 5678 bytes.", "Modem hangup")
    stage.units.end(LINK, Exit(code=16))
    await stage.until(lambda: stage.units.started == 2)
    stage.units.say(LINK, "PAP authentication failed")
    stage.units.end(LINK, Exit(code=19))
    await stage.until(lambda: stage.links.get(LINK).status.state == "failed")
    first, second = plain((await stage.client.link("History", "u", 10)).body[0])
    assert (first["reason"], first["sent"], first["received"]) == ("hangup", 1234, 5678)
    assert 0 < first["dialed"] < first["connected"] < first["ended"]
    assert (second["reason"], second["connected"]) == ("authentication-failed", 0)
    assert len((await stage.client.link("History", "u", 1)).body[0]) == 1
    await stage.client.manager("RemoveLink", "s", LINK)
    assert not list(stage.store.state.rglob("*.json"))


async def test_a_provider_that_has_shown_chap_may_not_ask_for_pap(stage: Stage) -> None:
    await added(stage)
    lines = tuple(line.replace("PAP", "CHAP") for line in stage.up_lines)
    await come_up(stage, lines)
    assert (await settings(stage))["authentication"] == ["chap", "mschapv2"]
    await stage.client.link("Disconnect")
    await come_up(stage, lines)
    assert "refuse-pap" in (stage.peers / LINK).read_text()


async def test_pap_leaves_the_stronger_methods_open(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    assert (await settings(stage))["authentication"] == []


async def test_a_preset_fills_in_the_server(stage: Stage) -> None:
    presets = {row["id"]: row for row in plain((await stage.client.manager("Providers")).body[0])}
    assert all(row["title"] and row["sources"] for row in presets.values())
    chosen = next(row["id"] for row in presets.values() if "cablepns.012.net.il" in str(row))
    values = {"provider": Variant("s", chosen), "user": Variant("s", "u@C012")}
    assert (await stage.client.manager("AddLink", "sa{sv}", LINK, values)).message_type is MessageType.METHOD_RETURN
    assert (await settings(stage))["server"] == "cablepns.012.net.il"
    change = {"title": Variant("s", "Home"), "server": Variant("s", "cablepns.012.net.il")}
    assert (await stage.client.link("Update", "a{sv}", change)).message_type is MessageType.METHOD_RETURN
    assert (await settings(stage))["provider"] == chosen
    stage.units.answers["cablepns.012.net.il"] = ["203.0.113.7", "203.0.113.8"]
    await stage.client.link("SetPassword", "s", "secret")
    await come_up(stage)
    assert [str(pin) for pin in stage.routes.wanted[LINK].pins] == ["203.0.113.7", "203.0.113.8"]


async def test_each_dial_tries_another_of_the_servers_addresses(stage: Stage) -> None:
    await added(stage, server=Variant("s", "vpn.example"))
    stage.units.answers["vpn.example"] = ["203.0.113.7", "203.0.113.8"]
    for expected in ("203.0.113.7", "203.0.113.8", "203.0.113.7"):
        await come_up(stage)
        assert f"pptp {expected} " in (stage.peers / LINK).read_text()
        await stage.client.link("Disconnect")


@pytest.mark.parametrize(
    ("change", "keys"),
    [({}, set()), ({"mtu": 3}, {"mtu"}), ({"mtu": 3, "server": "a b", "pty": 1}, {"mtu", "server", "pty"}),
     ({"encryption": "required", "authentication": ["pap"]}, {"encryption"}), ({"ppp_options": ["x"]}, {"ppp_options"}),
     ({"provider": "nobody"}, {"provider"})],
)  # fmt: skip
async def test_a_form_can_ask_what_is_wrong(stage: Stage, change: dict[str, Any], keys: set[str]) -> None:
    values = {"server": "203.0.113.7", "user": "u", **change}
    (found,) = (await stage.client.manager("CheckSettings", "a{sv}", variants(values))).body
    assert set(found) == keys
    assert all(sentence.endswith(".") for sentence in found.values())
    assert stage.links.by_name == {}
    (found,) = (await stage.client.manager("CheckSettings", "a{sv}", variants({"user": "u"}))).body
    assert set(found) == {"server"}


async def test_reload_adds_changes_and_takes_down(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    folder = stage.store.configuration / "links"
    for name in ("new", "changed", "broken"):
        await stage.client.add_link(name)
    (folder / "new2.toml").write_text('server = "203.0.113.7"\nuser = "u"\n')
    (folder / "changed.toml").write_text('server = "203.0.113.7"\nuser = "u"\ntitle = "T"\n')
    (folder / "broken.toml").write_text('server = "203.0.113.7"\nuser = "u"\nmtu = 3\n')
    (folder / f"{LINK}.toml").unlink()
    reply = await stage.client.manager("Reload")
    assert reply.error_name == "org.cablecar1.Error.InvalidSetting"
    assert "broken.toml, line 3" in reply.body[0]
    rows = (await stage.client.manager("ListLinks")).body[0]
    assert [row[0] for row in rows] == ["broken", "changed", "new", "new2"]
    assert (stage.links.get("changed").settings.title, stage.units.active) == ("T", set())
    assert not (stage.peers / LINK).exists()
    (folder / "broken.toml").write_text('server = "203.0.113.7"\nuser = "u"\n')
    assert (await stage.client.manager("Reload")).message_type is MessageType.METHOD_RETURN
    removed = [signal.body[0] for signal in stage.client.signals if signal.member == "LinkRemoved"]
    assert removed == ["/org/cablecar1/link/yosefcom"]


async def test_a_broken_file_leaves_its_running_call_alone(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    (stage.store.configuration / f"links/{LINK}.toml").write_text("server =")
    restarted = Links(stage.machinery)
    await restarted.begin(at_boot=False)
    assert restarted.get(LINK).status.state == "up"
    assert stage.routes.wanted[LINK].through
    restarted.by_name[LINK].wake_after(None)


async def test_import_makes_a_link_and_leaves_the_files_alone(stage: Stage) -> None:
    etc = stage.peers.parent / "foreign/etc"
    (etc / "ppp/peers").mkdir(parents=True)
    peer = 'pty "pptp vpn.example --nolaunchpppd"\nuser u@C012\nremotename isp\nplugin /tmp/p.so\nnoauth\n'
    (etc / "ppp/peers/My-ISP").write_text(peer)
    (etc / "ppp/pap-secrets").write_text('"u@C012" isp "pass word"\n')
    (etc / "ppp/pap-secrets").chmod(0o600)
    assert (await stage.client.manager("ListPeers")).body == [["My-ISP"]]
    (path,) = (await stage.client.manager("ImportPeer", "s", "My-ISP")).body
    name = path.rpartition("/")[2]
    link = stage.links.get(name)
    assert (link.settings.server, link.settings.user) == ("vpn.example", "u@C012")
    assert stage.store.password(name) == b"pass word"
    text = (stage.store.configuration / f"links/{name}.toml").read_text()
    assert "plugin" in text
    assert all(line.startswith("#") for line in text.splitlines() if "plugin" in line)
    assert (etc / "ppp/peers/My-ISP").read_text() == peer
    for hostile in ("", "../../etc/shadow", "My-ISP\n", "a" * 300, "nobody"):
        reply = await stage.client.manager("ImportPeer", "s", hostile)
        assert reply.error_name in ("org.cablecar1.Error.NoSuchPeer", "org.cablecar1.Error.InvalidArgument")


async def test_an_imported_secret_of_the_tunnel_is_shown_to_nobody(stage: Stage) -> None:
    etc = stage.peers.parent / "foreign/etc"
    (etc / "xl2tpd").mkdir(parents=True)
    (etc / "xl2tpd/xl2tpd.conf").write_text("[lac isp]\nlns = lns.example\nname = u\n")
    (etc / "xl2tpd/l2tp-secrets").write_text("* * hunter2\n")
    (path,) = (await stage.client.manager("ImportPeer", "s", "l2tp:isp")).body
    name = path.rpartition("/")[2]
    assert stage.links.get(name).settings.tunnel_secret == "hunter2"
    file = stage.store.configuration / f"links/{name}.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert 'tunnel_secret = "hunter2"' in file.read_text().splitlines()
    shown = (await stage.client.call(path, names.LINK_INTERFACE, "Settings")).body[0]
    assert plain(shown)["server"] == "lns.example"
    assert "hunter2" not in str(plain(shown))


async def dialed_by_hand(folder: Path) -> asyncio.subprocess.Process:
    """A process that is called pppd and calls the link, as far as the kernel knows."""
    program = shutil.copy("/bin/bash", folder / "pppd")
    process = await asyncio.create_subprocess_exec(program, "-c", "coproc cat; wait", "call", LINK)
    async with asyncio.timeout(5):
        while b"call" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            await asyncio.sleep(0.001)  # the kernel is still about to tell
    return process


async def by_hand_is_up(stage: Stage, pppd: asyncio.subprocess.Process) -> None:
    """Have the helper find that call, which is up by its log."""
    (stage.units.run / f"ppp-{LINK}.pid").write_text(f"{pppd.pid}\nppp0\n")
    stage.units.say(f"{LINK}.byhand", *stage.up_lines)
    stage.links.network_changed()
    await stage.until(lambda: stage.links.get(LINK).status.state == "up")


async def test_a_call_by_hand_is_followed_from_its_own_first_line(stage: Stage, tmp_path: Path) -> None:
    await added(stage)
    log = f"{LINK}.byhand"
    stage.units.say(log, *stage.up_lines, "Modem hangup")  # an older call, in the same file
    pppd = await dialed_by_hand(tmp_path)
    try:
        (stage.units.run / f"ppp-{LINK}.pid").write_text(f"{pppd.pid}\nppp0\n")
        stage.units.say(log, "Using interface ppp0")
        stage.links.network_changed()
        await stage.until(lambda: stage.links.get(LINK).status.state == "dialing")
        assert not stage.routes.wanted[LINK].tunnel
        stage.units.say(log, *stage.up_lines[1:])
        await stage.until(lambda: stage.links.get(LINK).status.state == "up")
        assert stage.routes.wanted[LINK].tunnel == "ppp0"
        assert (await stage.client.link("Disconnect")).message_type is MessageType.METHOD_RETURN
        assert await asyncio.wait_for(pppd.wait(), 5) != 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            pppd.kill()
    assert (stage.units.started, stage.routes.wanted) == (0, {})


@pytest.mark.parametrize("first_is_up", [True, False])
async def test_a_second_call_by_hand_takes_nothing_from_the_first(
    stage: Stage, tmp_path: Path, first_is_up: bool
) -> None:
    await added(stage)
    pppd, log = await dialed_by_hand(tmp_path), f"{LINK}.byhand"
    pid_file = stage.units.run / f"ppp-{LINK}.pid"
    ends = stage.routes.point_to_point.pop("ppp0")
    try:
        pid_file.write_text(f"{pppd.pid}\nppp0\n")
        stage.units.say(log, *stage.up_lines[: None if first_is_up else 1])
        stage.links.network_changed()
        link = stage.links.get(LINK)
        await stage.until(lambda: link.status.state == ("up" if first_is_up else "dialing"))
        call = link.calls.call
        assert call is not None
        stage.routes.point_to_point["ppp0"] = ends
        pid_file.write_text("4194303\nppp1\n")
        second = ("Using interface ppp1", "PAP authentication failed", "Modem hangup")
        stage.units.say(log, *second)
        await stage.until(lambda: call.log.lines[-1] == second[-1])
        pid_file.unlink()
        stage.links.network_changed()
        await stage.until(lambda: link.status.state == "up")
        assert (link.status.interface, stage.routes.wanted[LINK].tunnel) == ("ppp0", "ppp0")
        pppd.kill()
        await stage.until(lambda: link.status.state == "down")
        assert link.status.reason is not reasons.AUTHENTICATION_FAILED
    finally:
        with contextlib.suppress(ProcessLookupError):
            pppd.kill()
        await pppd.wait()


NO_RULES: dict[str, Any] = {"nftables": []}


async def diagnosed(stage: Stage) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in plain((await stage.client.manager("Diagnose", "s", LINK)).body[0])}


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Play the kernel's PPP and its firewall; the rules may be changed."""
    rules = dict(NO_RULES)

    async def ruleset() -> dict[str, Any]:
        return rules

    monkeypatch.setattr(firewall, "ruleset", ruleset)
    monkeypatch.setattr(firewall, "legacy", list)
    monkeypatch.setattr(diagnose, "PPP", tmp_path)
    monkeypatch.setattr(diagnose, "INTERFACES", tmp_path)
    (tmp_path / "eth0").mkdir()
    (tmp_path / "eth0/mtu").write_text("1500\n")
    return rules


async def test_diagnose_finds_nothing_while_all_is_well(stage: Stage, healthy: dict[str, Any]) -> None:
    await added(stage)
    await come_up(stage)
    findings = await diagnosed(stage)
    assert {name for name, row in findings.items() if row["verdict"] != "good"} == set()
    assert all(row["advice"] == "" for row in findings.values())
    assert findings["lease"]["seen"].startswith("eth0 has the address 10.20.30.145 from dhclient")
    assert (await stage.client.manager("Diagnose", "s", "other")).error_name == "org.cablecar1.Error.NoSuchLink"


async def test_each_check_is_told_to_the_caller_alone_before_the_answer(stage: Stage, healthy: dict[str, Any]) -> None:
    await added(stage)
    neighbour = await stage.new_client()
    findings = await diagnosed(stage)
    told = [signal for signal in stage.client.signals if signal.member == "Checked"]
    assert [plain(signal.body) for signal in told] == [[LINK, row] for row in findings.values()]
    assert {signal.signature for signal in told} == {"sa{sv}"}
    assert (await neighbour.manager("ListLinks")).body  # what came before that has been heard
    assert not [signal for signal in neighbour.signals if signal.member == "Checked"]


async def test_diagnose_without_a_cable(stage: Stage) -> None:
    await stage.client.add_link(server=Variant("s", "vpn.example"))
    stage.routes.reached = False
    findings = await diagnosed(stage)
    assert findings["password"]["verdict"] == "bad"
    assert findings["server-name"]["advice"] == reasons.SERVER_NOT_FOUND.sentence
    assert findings["cable"]["advice"] == reasons.NO_CABLE.sentence
    for name in ("lease", "dhcp-server", "dns", "server", "gre", "pins"):
        assert findings[name]["verdict"] == "unknown"
    stage.units.answers["vpn.example"] = ["203.0.113.7"]
    findings = await diagnosed(stage)
    assert (findings["server-name"]["verdict"], findings["server"]["verdict"]) == ("good", "unknown")
    await stage.client.link("Update", "a{sv}", {"interface": Variant("s", "eth7")})
    assert "no interface eth7" in (await diagnosed(stage))["cable"]["seen"]


@pytest.mark.parametrize(
    ("word", "verdict"), [("open", "good"), ("refused", "bad"), ("silent", "bad"), ("", "unknown")]
)
async def test_diagnose_tries_the_server(stage: Stage, word: str, verdict: str) -> None:
    await added(stage)
    stage.units.probed = f"{word}\n"
    assert (await diagnosed(stage))["server"]["verdict"] == verdict


async def test_diagnose_judges_the_lease(stage: Stage, healthy: dict[str, Any]) -> None:
    await added(stage)
    await come_up(stage)
    lease = stage.routes.cable_.lease
    assert lease is not None
    for server, verdict in (("10.20.30.1", "good"), ("127.0.0.1", "bad"), ("10.20.30.145", "bad")):
        wrong = lease._replace(server=IPv4Address(server), dns=(IPv4Address(server),))
        stage.routes.cable_ = stage.routes.cable_._replace(lease=wrong)
        findings = await diagnosed(stage)
        assert {findings["dhcp-server"]["verdict"], findings["dns"]["verdict"]} == {verdict}, server
    far = IPv4Address("10.99.0.9")
    stage.routes.cable_ = stage.routes.cable_._replace(lease=lease._replace(server=far, dns=(far,)))
    stage.routes.loose = frozenset({far})
    findings = await diagnosed(stage)
    assert [findings[name]["advice"] for name in ("dhcp-server", "dns")] == ["Call Reconnect."] * 2
    stage.routes.cable_ = stage.routes.cable_._replace(lease=None)
    findings = await diagnosed(stage)
    assert "no DHCP client was found" in findings["lease"]["seen"]
    assert findings["dhcp-server"]["verdict"] == "unknown"
    nothing = replace(stage.routes.cable_.interface, addresses=(), has_carrier=False)
    stage.routes.cable_ = stage.routes.cable_._replace(interface=nothing)
    findings = await diagnosed(stage)
    assert (findings["cable"]["verdict"], findings["lease"]["verdict"]) == ("bad", "bad")


async def test_diagnose_does_not_ask_strict_mode_to_pin_a_dns_server(stage: Stage, healthy: dict[str, Any]) -> None:
    await added(stage, strict=Variant("b", True))
    await come_up(stage)
    lease, far = stage.routes.cable_.lease, IPv4Address("10.99.0.9")
    assert lease is not None
    stage.routes.cable_ = stage.routes.cable_._replace(lease=lease._replace(dns=(far,)))
    stage.routes.loose = frozenset({far})
    assert (await diagnosed(stage))["dns"]["verdict"] == "good", "it is asked through the tunnel"


async def test_diagnose_names_the_rule_in_the_way(stage: Stage, healthy: dict[str, Any]) -> None:
    await added(stage)
    base = {"family": "inet", "table": "filter", "name": "input", "hook": "input", "policy": "drop"}
    healthy["nftables"] = [{"chain": base}]
    found = (await diagnosed(stage))["firewall"]
    assert found["seen"] == "The firewall stops TCP port 1723 from the server: chain input of table inet filter."
    drop = {"family": "inet", "table": "filter", "chain": "input", "handle": 7, "expr": [{"drop": None}]}
    healthy["nftables"] = [{"chain": base | {"policy": "accept"}}, {"rule": drop}]
    assert "rule handle 7 of chain input of table inet filter" in (await diagnosed(stage))["firewall"]["seen"]
    healthy["nftables"] = "nonsense"
    assert (await diagnosed(stage))["firewall"]["verdict"] == "unknown"


@pytest.mark.usefixtures("healthy")
async def test_diagnose_does_not_speak_for_rules_that_it_cannot_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(stage)
    monkeypatch.setattr(firewall, "legacy", lambda: ["filter"])
    found = (await diagnosed(stage))["firewall"]
    assert (found["verdict"], found["seen"].endswith("not read: filter.")) == ("unknown", True)


async def test_diagnose_without_nft_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall, "NFT", "/nonexistent/nft")
    await added(stage)
    assert (await diagnosed(stage))["firewall"]["advice"] == "Install the package nftables."


async def test_diagnose_remembers_what_calls_have_shown(stage: Stage) -> None:
    await added(stage)
    record = Record(dialed=1, connected=2, ended=3, reason="hangup")
    stage.machinery.history.add(LINK, record)
    findings = await diagnosed(stage)
    assert (findings["gre"]["verdict"], findings["kernel"]["verdict"]) == ("good", "unknown")
    stage.machinery.history.add(LINK, record._replace(connected=0, reason="gre-blocked"))
    stage.machinery.history.add(LINK, record._replace(connected=0, reason="no-kernel-support"))
    findings = await diagnosed(stage)
    assert (findings["gre"]["verdict"], findings["kernel"]["verdict"]) == ("bad", "bad")


@pytest.mark.usefixtures("healthy")
async def test_diagnose_tells_of_packets_that_do_not_fit(stage: Stage, tmp_path: Path) -> None:
    await added(stage)
    (tmp_path / "eth0/mtu").write_text("1480\n")
    assert (await diagnosed(stage))["mtu"]["verdict"] == "good", "the next call is dialed with less"
    await stage.client.link("Update", "a{sv}", {"mtu": Variant("u", 1436)})
    finding = (await diagnosed(stage))["mtu"]
    assert (finding["verdict"], finding["advice"]) == ("bad", "Set the link's `mtu` to 1416.")
    await stage.client.link("Update", "a{sv}", {"mtu": Variant("u", 1416)})
    assert (await diagnosed(stage))["mtu"]["verdict"] == "good"
    await stage.client.link("Update", "a{sv}", {"mtu": Variant("u", 0)})
    await come_up(stage)
    (tmp_path / "ppp0").mkdir()
    (tmp_path / "ppp0/mtu").write_text("1436\n")
    finding = (await diagnosed(stage))["mtu"]
    assert (finding["verdict"], finding["advice"]) == ("bad", "Call Reconnect."), "it was dialed before"
    stage.units.say(LINK, "anon warn[x]: transmitted GRE packet triggered an ICMP error, it exceeds the MTU")
    await stage.until(lambda: "exceeds" in stage.links.get(LINK).calls.log_lines(1)[0])
    assert (await diagnosed(stage))["mtu"]["advice"] == reasons.MTU_TOO_LARGE.sentence


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    ("echoed", "verdict", "says"),
    [
        ("1476", "good", "of 1436 bytes get through to 203.0.113.7"),
        ("1460", "bad", "Packets of 1476 bytes, as the tunnel's are, do not"),
        ("64", "unknown", "small packets only"),
        ("0", "unknown", "echoes nothing"),
        ("\n", "unknown", "could not be tried"),
    ],
)
async def test_diagnose_notices_a_black_hole(stage: Stage, echoed: str, verdict: str, says: str) -> None:
    await added(stage)
    stage.units.echoed = echoed
    finding = (await diagnosed(stage))["mtu"]
    assert (finding["verdict"], says in finding["seen"]) == (verdict, True)
    assert ("Set the link's `mtu` to 1396" in finding["advice"]) == (verdict == "bad")


async def test_a_link_is_dialed_with_what_fits_the_cable(stage: Stage) -> None:
    await added(stage)
    stage.routes.sizes[stage.routes.cable_.interface.index] = 1400
    await come_up(stage)
    assert "\nmtu 1336\nmru 1336\n" in (stage.peers / LINK).read_text()


async def test_diagnose_tells_of_routes_past_the_tunnel(stage: Stage) -> None:
    await added(stage)
    stage.routes.past = (IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1"))
    assert "0.0.0.0/1, 128.0.0.0/1" in (await diagnosed(stage))["default-route"]["seen"]
    await stage.client.link("Update", "a{sv}", {"strict": Variant("b", True)})
    assert (await diagnosed(stage))["default-route"]["verdict"] == "good", "they have no effect"
    await stage.client.link("Update", "a{sv}", {"strict": Variant("b", False), "route": Variant("s", "none")})
    assert (await diagnosed(stage))["default-route"]["verdict"] == "good"


async def test_diagnose_sees_a_password_that_others_can_read(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    (stage.peers / LINK).chmod(0o644)
    assert "chmod 600" in (await diagnosed(stage))["peer-file"]["advice"]


async def test_restore_network_takes_everything_down(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    assert (await stage.client.manager("RestoreNetwork")).message_type is MessageType.METHOD_RETURN
    assert (await stage.client.state(), stage.units.active, stage.routes.wanted) == ("down", set(), {})
    assert stage.store.wish(LINK) is None


@pytest.mark.parametrize("what", ["the firewall", "the disk"])
async def test_restore_network_goes_on_when_something_cannot_be_taken_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    done: list[str] = []

    async def clear(but: set[str]) -> None:
        assert not but
        done.append("routes")
        if what == "the firewall":
            raise Failed("The firewall refuses.")

    async def repair() -> bool:
        done.append("name servers")
        return False

    def save_wish(store: object, name: str, uid: int | None) -> None:
        raise StorageFailed("The disk is full.")

    await added(stage)
    await come_up(stage)
    stage.store.save_strict("unreadable", ())
    stage.units.active.add("unreadable")
    stage.units.on_end["unreadable"] = lambda ended: None
    monkeypatch.setattr(stage.routes, "clear", clear)
    monkeypatch.setattr(stage.machinery.name_servers, "repair", repair)
    if what == "the disk":
        monkeypatch.setattr(type(stage.store), "save_wish", save_wish)
    error = (await stage.client.manager("RestoreNetwork")).error_name
    assert error == f"org.cablecar1.Error.{'Failed' if what == 'the firewall' else 'StorageFailed'}"
    assert (done, stage.units.active, stage.store.strict()) == (["routes", "name servers"], set(), {})


CHAP_LINES = ("Using interface ppp0", "CHAP authentication succeeded", "local  IP address 100.64.0.10",
              "remote IP address 192.0.2.1")  # fmt: skip


async def test_pinning_keeps_what_was_edited_and_not_yet_reloaded(stage: Stage) -> None:
    await added(stage)
    path = stage.store.configuration / f"links/{LINK}.toml"
    path.write_text(path.read_text().replace("203.0.113.7", "203.0.113.99"))
    await come_up(stage, CHAP_LINES)
    assert "203.0.113.99" in path.read_text()
    assert 'authentication = ["chap", "mschapv2"]' in path.read_text()


async def test_a_broken_file_under_a_call_by_chap_does_not_stop_the_helper(stage: Stage) -> None:
    await added(stage)
    await come_up(stage, CHAP_LINES)
    (stage.store.configuration / f"links/{LINK}.toml").write_text('nonsense = "\n')
    restarted = Links(stage.machinery)
    await restarted.begin(at_boot=False)
    assert restarted.get(LINK).status.state == "up"
    restarted.by_name[LINK].wake_after(None)


async def test_a_full_disk_at_boot_keeps_no_link_from_being_dialed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(stage, autoconnect=Variant("b", True))

    def full(store: object, name: str, uid: int | None) -> None:
        raise StorageFailed("No space left on device.")

    monkeypatch.setattr(type(stage.store), "save_wish", full)
    restarted = Links(stage.machinery)
    await restarted.begin(at_boot=True)
    await stage.until(lambda: stage.units.active == {LINK})
    restarted.by_name[LINK].wake_after(None)


async def test_strict_mode_holds_although_the_disk_is_full(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await added(stage, strict=Variant("b", True))

    def full(store: object, *_arguments: object) -> None:
        raise StorageFailed("No space left on device.")

    monkeypatch.setattr(type(stage.store), "save_wish", full)
    monkeypatch.setattr(type(stage.store), "save_strict", full)
    await come_up(stage)
    assert stage.routes.strict == {LINK: ()}
    stage.units.end(LINK, Exit(code=16))
    await stage.until(lambda: stage.units.started == 2)
    assert stage.routes.strict == {LINK: ()}


async def test_routes_that_cannot_be_made_once_are_no_reason_to_give_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(stage)
    want, troubles = stage.routes.want, [OSError("No buffer space available")]

    async def want_at_last(link: str, wanted: Wanted) -> list[IPv4Address]:
        if wanted.tunnel and troubles:
            raise troubles.pop()
        return await want(link, wanted)

    monkeypatch.setattr(stage.routes, "want", want_at_last)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    stage.units.say(LINK, *stage.up_lines, "Terminating on signal 15")
    assert (await dialing).error_name == "org.cablecar1.Error.ConnectionFailed"
    assert stage.links.get(LINK).status.state == "waiting"
    assert stage.links.get(LINK).wanted_by is not None


async def test_a_link_that_cannot_be_followed_is_made_by_the_next_reload(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(stage)
    links = stage.store.configuration / "links"
    (links / "third.toml").write_text((links / f"{LINK}.toml").read_text())
    (links / "third.toml").chmod(0o600)

    async def late(link: str, on_end: object) -> None:
        raise CallError("org.freedesktop.DBus.Error.NoReply", "LoadUnit was not answered")

    with monkeypatch.context() as patch:
        patch.setattr(stage.units, "follow", late)
        assert (await stage.client.manager("Reload")).error_name is not None
    assert sorted(stage.links.by_name) == [LINK]
    assert (await stage.client.manager("Reload")).error_name is None
    assert "third" in stage.units.on_end
    answer = await stage.client.call(names.link_path("third"), names.LINK_INTERFACE, "Disconnect")
    assert answer.error_name is None


@pytest.mark.parametrize("scripts", ["quick", "slow", "so slow that it does not start again"])
async def test_who_restarts_the_unit_does_not_hang_up(
    stage: Stage, scripts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(stage)
    await come_up(stage)
    stage.units.restarting = {LINK}
    stage.units.say(LINK, "Terminating on signal 15")
    if scripts != "quick":  # so slow that the call is told to end by us, too
        monkeypatch.setattr("cablecar.helper.link.GONE_LIMIT", 0.01)
        stage.units.ends_when_stopped = scripts != "slow"
        stage.links.interface_gone("ppp0")
        await stage.until(lambda: stage.units.stopped == 1)
        stage.units.ends_when_stopped = True
    if scripts in ("quick", "slow"):
        stage.units.on_end[LINK](Exit(code=5))  # and systemd starts it again
    await stage.until(lambda: stage.units.started == 2)
    link = stage.links.get(LINK)
    assert (link.status.state, link.status.reason) == ("dialing", reasons.INTERRUPTED)
    assert link.wanted_by is not None
    assert not link.machine.is_by_hand


async def test_the_name_of_an_interface_that_is_gone_is_the_next_calls(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    stage.links.interface_gone("ppp0")
    assert LINK in stage.units.active
    assert not stage.routes.wanted[LINK].tunnel


async def test_a_call_whose_interface_goes_while_it_is_routed_is_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(stage, reconnect=Variant("b", False))
    monkeypatch.setattr("cablecar.helper.call.GONE_LIMIT", 0.1)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    routing, go_on, want = asyncio.Event(), asyncio.Event(), stage.routes.want

    async def slowly(link: str, wanted: Wanted) -> list[IPv4Address]:
        routing.set()
        await go_on.wait()
        return await want(link, wanted)

    monkeypatch.setattr(stage.routes, "want", slowly)
    stage.units.say(LINK, *stage.up_lines)
    await routing.wait()
    stage.links.interface_gone("ppp0")
    go_on.set()
    assert (await dialing).message_type is MessageType.ERROR
    assert stage.links.get(LINK).status.state == "down"
    assert (stage.units.active, stage.routes.wanted) == (set(), {})


async def test_lines_that_change_nothing_cost_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await added(stage)
    await come_up(stage)
    looks, go_on, told = 0, asyncio.Event(), 0

    async def slowly() -> frozenset[IPv4Address]:
        nonlocal looks
        looks += 1
        await go_on.wait()
        return stage.routes.own

    def count(link: str, wanted: Wanted) -> None:
        nonlocal told
        told += 1
        stage.routes.wanted[link] = wanted

    call = stage.links.get(LINK).calls.call
    assert call is not None
    monkeypatch.setattr(stage.routes, "own_addresses", slowly)
    monkeypatch.setattr(stage.routes, "expect", count)
    stage.units.say(LINK, *["Unsupported protocol 'unknown' (0x1234) received"] * 100)
    await stage.until(lambda: len(call.log.lines) > 100)
    assert (looks, told) == (0, 0)
    for number in range(1, 6):
        stage.units.say(LINK, f"primary   DNS address 198.51.100.{number}")
        await stage.until(lambda: told == number and looks)  # noqa: B023 - it is called before the next turn
    assert looks == 1
    go_on.set()
    await stage.until(lambda: looks == 2)  # once more, for the last of them
    assert IPv4Address("198.51.100.5") in stage.routes.wanted[LINK].inside


async def test_a_wanted_call_by_hand_is_kept_up_over_a_restart(stage: Stage, tmp_path: Path) -> None:
    await added(stage)
    pppd = await dialed_by_hand(tmp_path)
    try:
        (stage.units.run / f"ppp-{LINK}.pid").write_text(f"{pppd.pid}\nppp0\n")
        stage.units.say(f"{LINK}.byhand", *stage.up_lines)
        stage.store.save_wish(LINK, 1000)
        restarted = Links(stage.machinery)
        stage.routes.reconciled.clear()
        await restarted.begin(at_boot=False)
        assert LINK in stage.routes.reconciled[0], "nothing that the call needs is swept"
        await stage.until(lambda: restarted.get(LINK).status.state == "up")
        assert not restarted.get(LINK).machine.is_by_hand
        restarted.get(LINK).machine.disconnect()
        await stage.until(lambda: restarted.get(LINK).status.state == "down")
    finally:
        with contextlib.suppress(ProcessLookupError):
            pppd.kill()


async def test_reload_undoes_no_change_that_was_made_meanwhile(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two", "three"):
        await stage.client.add_link(name)
    (stage.store.configuration / "links/one.toml").unlink()
    releasing, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(link: object) -> None:
        releasing.set()
        await go_on.wait()

    monkeypatch.setattr(type(stage.links.get("one")), "disconnect", slowly)
    reloading = asyncio.ensure_future(stage.client.manager("Reload"))
    await releasing.wait()
    path = "/org/cablecar1/link/two"
    interface = "org.cablecar1.Link"
    values = {"server": Variant("s", "203.0.113.99")}
    updating = asyncio.ensure_future(stage.client.call(path, interface, "Update", "a{sv}", values))
    removing = asyncio.ensure_future(stage.client.manager("RemoveLink", "s", "three"))
    go_on.set()
    for answer in (reloading, updating, removing):
        assert (await answer).message_type is MessageType.METHOD_RETURN
    assert set(stage.links.by_name) == {"two"}
    assert stage.links.get("two").settings.server == "203.0.113.99"
    assert [path.stem for path in (stage.store.configuration / "links").iterdir()] == ["two"]


async def test_an_import_that_cannot_be_stored_makes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stage.peers.parent / "foreign/etc/ppp/peers"
    folder.mkdir(parents=True)
    (folder / "isp").write_text('pty "pptp vpn.example --nolaunchpppd"\nuser u\npassword secret\n')

    def full(store: object, name: str, password: bytes) -> None:
        raise StorageFailed("No space left on device.")

    monkeypatch.setattr(type(stage.store), "save_password", full)
    (peer,) = (await stage.client.manager("ListPeers")).body[0]
    reply = await stage.client.manager("ImportPeer", "s", peer)
    assert reply.error_name == "org.cablecar1.Error.StorageFailed"
    assert (await stage.client.manager("ListLinks")).body == [[]]
    assert not list((stage.store.configuration / "links").iterdir())


async def test_a_new_link_inherits_no_password_and_overwrites_no_file(stage: Stage) -> None:
    stage.store.save_password(LINK, b"of an older link")
    await stage.client.add_link()
    assert stage.store.password(LINK) is None
    (stage.store.configuration / "links/byhand.toml").write_text('server = "203.0.113.7"\nuser = "u"\n')
    assert (await stage.client.add_link("byhand")).error_name == "org.cablecar1.Error.LinkExists"


async def test_one_diagnosis_of_a_link_at_a_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.client.add_link(server=Variant("s", "vpn.example"))
    asked, go_on = asyncio.Event(), asyncio.Event()
    run_once = stage.units.run_once

    async def slowly(unit: str) -> None:
        asked.set()
        await go_on.wait()
        await run_once(unit)

    monkeypatch.setattr(stage.units, "run_once", slowly)
    first = asyncio.ensure_future(stage.client.manager("Diagnose", "s", LINK))
    await asked.wait()
    assert (await stage.client.manager("Diagnose", "s", LINK)).error_name == "org.cablecar1.Error.LimitExceeded"
    go_on.set()
    assert (await first).message_type is MessageType.METHOD_RETURN
    assert (await stage.client.manager("Diagnose", "s", LINK)).message_type is MessageType.METHOD_RETURN


async def test_a_call_by_hand_is_not_anybodys_to_end(stage: Stage, polkit: FakePolkit, tmp_path: Path) -> None:
    pppd = await dialed_by_hand(tmp_path)
    try:
        await by_hand_is_up(stage, pppd)
        assert (await stage.client.link("Disconnect")).message_type is MessageType.METHOD_RETURN
        assert [question[1] for question in polkit.questions] == [
            "org.cablecar1.connect",
            "org.cablecar1.disconnect-other",
        ]
    finally:
        with contextlib.suppress(ProcessLookupError):
            pppd.kill()


@pytest.mark.parametrize("member", ["Disconnect", "Reconnect"])
async def test_who_connects_a_call_by_hand_may_not_end_it_for_that(
    stage: Stage, polkit: FakePolkit, tmp_path: Path, member: str
) -> None:
    stage.store.save_password(LINK, b"secret")
    pppd = await dialed_by_hand(tmp_path)
    try:
        await by_hand_is_up(stage, pppd)
        assert (await stage.client.link("Connect")).message_type is MessageType.METHOD_RETURN
        polkit.refused.add("org.cablecar1.disconnect-other")
        assert (await stage.client.link(member)).error_name == "org.cablecar1.Error.NotAuthorized"
        assert (stage.links.get(LINK).status.state, pppd.returncode) == ("up", None)
    finally:
        with contextlib.suppress(ProcessLookupError):
            pppd.kill()
    await stage.until(lambda: LINK in stage.units.active)  # it is kept up, by a call of its own
    stage.units.say(LINK, *stage.up_lines)
    await stage.until(lambda: stage.links.get(LINK).status.state == "up")
    assert (await stage.client.link("Disconnect")).message_type is MessageType.METHOD_RETURN


async def set_password(stage: Stage, password: str) -> None:
    assert (await stage.client.link("SetPassword", "s", password)).message_type is MessageType.METHOD_RETURN


async def update(stage: Stage, **changes: Variant) -> None:
    assert (await stage.client.link("Update", "a{sv}", changes)).message_type is MessageType.METHOD_RETURN


@pytest.mark.parametrize("state", ["up", "down"])
async def test_pon_dials_with_the_present_password_and_settings(stage: Stage, state: str) -> None:
    stage.units.answers["vpn.example"] = ["203.0.113.7"]
    await added(stage, server=Variant("s", "vpn.example"))
    await come_up(stage)
    if state == "down":
        await stage.client.link("Disconnect")
    await set_password(stage, "another")
    await update(stage, mtu=Variant("i", 1400))
    path = stage.store.configuration / f"links/{LINK}.toml"
    path.write_text(path.read_text() + "debug = true\n")
    await stage.client.manager("Reload")
    lines = (stage.peers / LINK).read_text().splitlines()
    assert {'password "another"', "mtu 1400", "debug", "# It dials 203.0.113.7."} <= {*lines}


async def test_a_password_that_is_set_while_the_server_is_looked_up_is_dialed_with(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.units.answers["vpn.example"] = ["203.0.113.7"]
    await added(stage, server=Variant("s", "vpn.example"))
    looking, go_on, run_once = asyncio.Event(), asyncio.Event(), stage.units.run_once

    async def slowly(unit: str) -> None:
        looking.set()
        await go_on.wait()
        await run_once(unit)

    monkeypatch.setattr(stage.units, "run_once", slowly)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await looking.wait()
    await set_password(stage, "another")
    go_on.set()
    await stage.until(lambda: LINK in stage.units.active)
    assert 'password "another"' in (stage.peers / LINK).read_text().splitlines()
    stage.units.say(LINK, *stage.up_lines)
    await dialing


async def test_pon_dials_no_server_that_the_link_has_no_more(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    before = (stage.peers / LINK).read_text()
    await update(stage, server=Variant("s", "vpn.example"))
    await set_password(stage, "another")
    assert (stage.peers / LINK).read_text() == before, "a helper that is restarted reads there what the call needs"
    await stage.client.link("Disconnect")
    await set_password(stage, "yet another")
    assert not (stage.peers / LINK).exists()


async def test_a_peer_file_that_a_call_is_about_to_use_is_left_to_it(stage: Stage) -> None:
    await added(stage)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    await set_password(stage, "another")
    assert 'password "secret"' in (stage.peers / LINK).read_text()
    stage.units.say(LINK, *stage.up_lines)
    await dialing


async def test_a_peer_file_that_cannot_be_written_fails_no_change(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await added(stage)
    await come_up(stage)
    await stage.client.link("Disconnect")
    secret = stage.store.configuration / f"secrets/{LINK}"
    secret.chmod(0o622)
    await update(stage, mtu=Variant("i", 1400))
    assert f"link {LINK}: `pon` still dials as before: {secret} can be written by others" in caplog.text


async def test_a_foreign_peer_file_is_left_alone_whatever_changes(stage: Stage) -> None:
    await added(stage)
    (stage.peers / LINK).write_text("noauth\n")
    await set_password(stage, "another")
    await update(stage, server=Variant("s", "vpn.example"))
    assert (stage.peers / LINK).read_text() == "noauth\n"


async def test_what_a_killed_helper_left_half_written_is_swept_at_the_start(stage: Stage) -> None:
    await added(stage)
    left = [
        stage.peers / ".yosefcom.cablecar-new",
        stage.store.run / ".yosefcom.json.cablecar-new",
        stage.store.configuration / "secrets/.yosefcom.cablecar-new",
    ]
    for path in left:
        path.write_text("secret")
    await Links(stage.machinery).begin(at_boot=False)
    assert not [path for path in left if path.exists()]


async def refused_by_the_helper(stage: Stage) -> tuple[str | None, str]:
    reply = await stage.client.link("Connect")
    assert not stage.units.started
    return reply.error_name, await stage.client.state()


async def test_a_peer_file_that_somebody_else_has_made_meanwhile_is_named_and_waited_for(stage: Stage) -> None:
    await added(stage)
    (stage.peers / LINK).write_text("noauth\n")
    assert await refused_by_the_helper(stage) == ("org.cablecar1.Error.ForeignPeerFile", "failed")
    assert (stage.peers / LINK).read_text() == "noauth\n"


async def test_this_machine_is_not_dialed_as_its_own_server(stage: Stage) -> None:
    (own,) = stage.routes.own
    await added(stage, server=Variant("s", str(own)))
    assert await refused_by_the_helper(stage) == ("org.cablecar1.Error.ServerImplausible", "waiting")


async def test_a_password_file_that_holds_none_is_named(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    await added(stage)
    path = stage.store.configuration / f"secrets/{LINK}"
    path.write_bytes(b"se\0cret")
    assert await refused_by_the_helper(stage) == ("org.cablecar1.Error.Storage", "waiting")
    assert str(path) in caplog.text
    assert "cret" not in caplog.text.replace("secrets", "")
    assert "Traceback" not in caplog.text


async def test_a_file_of_the_helpers_own_that_fails_is_named_and_tried_again_later(stage: Stage) -> None:
    await added(stage)
    (stage.store.configuration / f"secrets/{LINK}").chmod(0o622)
    assert await refused_by_the_helper(stage) == ("org.cablecar1.Error.Storage", "waiting")
    assert stage.links.get(LINK).machine.status.next_retry - time.clock_gettime(time.CLOCK_BOOTTIME) > 50
