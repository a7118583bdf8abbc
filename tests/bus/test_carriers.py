"""Calls by L2TP and PPPoE: what they share with PPTP, and the little that they do not."""

from __future__ import annotations

import asyncio
import json
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest
from dbus_next.constants import MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from cablecar.helper.errors import Failed
from cablecar.helper.plan import Wanted
from cablecar.helper.pppd import Exit
from tests.bus.conftest import ENDS
from tests.bus.test_restart import another

if TYPE_CHECKING:
    from tests.bus.conftest import Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"


async def begin(stage: Stage, protocol: str, server: str, **more: Variant) -> asyncio.Task[Message]:
    stage.units.protocol = protocol
    values: dict[str, Any] = {
        "protocol": Variant("s", protocol),
        "server": Variant("s", server),
        "reconnect": Variant("b", False),
        **more,
    }
    assert (await stage.client.add_link(**values)).message_type is MessageType.METHOD_RETURN
    await stage.client.link("SetPassword", "s", "secret")
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    return dialing


def ended(stage: Stage) -> list[str]:
    return [signal.body[0] for signal in stage.client.signals if signal.member == "Disconnected"]


async def test_an_l2tp_call_whose_daemon_stays_is_taken_for_what_it_is(stage: Stage) -> None:
    dialing = await begin(stage, "l2tp", "203.0.113.7")
    conf = stage.machinery.run / f"{LINK}.l2tp"
    assert "lns = 203.0.113.7\n" in conf.read_text()
    assert conf.stat().st_mode & 0o777 == 0o600
    stage.units.say(LINK, "xl2tpd[9]: Connecting to host 203.0.113.7, port 1701", "Using interface ppp0")
    await stage.until(lambda: stage.links.get(LINK).status.phase == "authenticating")
    stage.units.say(LINK, *stage.up_lines)
    await dialing
    assert [str(pin) for pin in stage.routes.wanted[LINK].pins] == ["203.0.113.7"]
    stage.units.say(
        LINK,
        "xl2tpd[9]: control_finish: Connection closed to 203.0.113.7, port 1701 (",
        "Using interface eth0", "local  IP address 192.0.2.66", "remote IP address 192.0.2.67",
        "Terminating on signal 15",
    )  # fmt: skip
    await stage.until(lambda: ended(stage))
    assert ended(stage) == ["terminated-by-peer"]
    assert (await stage.client.state(), stage.units.active, stage.routes.wanted) == ("down", set(), {})
    await stage.client.manager("RemoveLink", "s", LINK)
    assert not conf.exists()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["xl2tpd[9]: Maximum retries exceeded for tunnel 7.  Closing."], "l2tp-no-answer"),
        (["Using interface ppp0", "LCP: timeout sending Config-Requests"], "path-lost"),
        (
            ["Using interface ppp0", "PAP authentication failed", "xl2tpd[9]: child_handler : pppd exited for call 1 "],
            "authentication-failed",
        ),
        (["xl2tpd[9]: udp_xmit failed to 203.0.113.7:1701 with err=-1:Operation not permitted",
          "xl2tpd[9]: Maximum retries exceeded for tunnel 7.  Closing."], "local-firewall"),
    ],
)  # fmt: skip
async def test_what_keeps_an_l2tp_call_from_coming_up_has_its_reason(
    stage: Stage, lines: list[str], reason: str
) -> None:
    dialing = await begin(stage, "l2tp", "203.0.113.7")
    stage.units.say(LINK, *lines)
    await dialing
    assert stage.links.get(LINK).status.reason.id == reason
    assert not stage.units.active


async def test_a_tunnels_secret_goes_in_and_never_comes_out(stage: Stage) -> None:
    stage.units.protocol = "l2tp"
    assert (await stage.client.add_link(protocol=Variant("s", "l2tp"))).message_type is MessageType.METHOD_RETURN
    assert (await stage.client.link("SetTunnelSecret", "s", "s3cret!")).message_type is MessageType.METHOD_RETURN
    assert "tunnel_secret" not in (await stage.client.link("Settings")).body[0]
    assert "s3cret!" not in str(stage.client.signals)
    path = stage.machinery.store.configuration / "links" / f"{LINK}.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    await stage.client.link("SetPassword", "s", "secret")
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    assert (stage.machinery.run / f"{LINK}.l2tp-secrets").read_text() == "* * s3cret!\n"
    await stage.client.link("Disconnect")
    await dialing


async def test_by_another_protocol_a_tunnel_has_no_secret(stage: Stage) -> None:
    await stage.client.add_link()
    refused = await stage.client.link("SetTunnelSecret", "s", "s3cret!")
    assert refused.error_name == "org.cablecar1.Error.InvalidSetting"
    assert "PPTP" in refused.body[0]
    assert stage.links.get(LINK).settings.tunnel_secret == ""


async def test_pppoe_wants_a_cable_and_neither_a_name_nor_a_pin(stage: Stage) -> None:
    dialing = await begin(stage, "pppoe", "")
    assert "nic-eth0\n" in (stage.peers / LINK).read_text()
    stage.units.say(LINK, "PPP session is 7", "Using interface ppp0")
    await stage.until(lambda: stage.links.get(LINK).status.phase == "authenticating")
    stage.units.say(LINK, *stage.up_lines)
    await dialing
    assert (stage.routes.wanted[LINK].pins, stage.routes.wanted[LINK].tunnel) == ((), "ppp0")
    stage.units.end(LINK, Exit(code=15))
    await stage.until(lambda: ended(stage))
    assert ended(stage) == ["path-lost"]


PPPOE = ("PPP session is 7", "Connected to 02:00:00:00:00:02 via interface eth0")
FORGED = (
    "PADO: Generic-Error: x", "Using interface eth0", "local  IP address 10.20.30.145", "remote IP address 10.20.30.1",
    "primary   DNS address 10.20.30.66", "PAP authentication failed",
)  # fmt: skip


async def test_a_stranger_on_the_ethernet_cannot_have_a_call_be_up(stage: Stage) -> None:
    dialing = await begin(stage, "pppoe", "")
    call = stage.links.get(LINK).calls.call
    assert call is not None
    stage.units.say(LINK, *FORGED)
    await stage.until(lambda: call.facts.interface == "eth0")
    stage.routes.point_to_point["eth0"] = IPv4Address("10.20.30.145"), IPv4Address("10.20.30.145")
    await call.look()
    assert (stage.routes.wanted.get(LINK, Wanted()).tunnel, dialing.done()) == ("", False)
    stage.routes.point_to_point["ppp0"] = ENDS
    stage.units.say(LINK, *PPPOE, *stage.up_lines)
    await dialing
    assert stage.routes.wanted[LINK].tunnel == "ppp0"
    stage.units.end(LINK, Exit(code=15))
    await stage.until(lambda: ended(stage))
    assert ended(stage) == ["path-lost"]


async def test_a_call_whose_interface_has_a_name_of_its_own_comes_up_and_outlives_the_helper(stage: Stage) -> None:
    dialing = await begin(stage, "pptp", "203.0.113.7")
    stage.routes.point_to_point["home"] = ENDS
    stage.units.say(LINK, "Using interface home", *stage.up_lines[1:])
    await dialing
    assert stage.routes.wanted[LINK].tunnel == "home"
    await stage.links.get(LINK).calls.unfollow()
    stage.routes.wanted.clear()
    async with another(stage) as link:
        assert (stage.routes.wanted[LINK].tunnel, link.status.state) == ("home", "up")
    stage.units.end(LINK, Exit(code=15))


async def test_a_call_in_whose_log_a_stranger_has_spoken_outlives_the_helper(stage: Stage) -> None:
    dialing = await begin(stage, "pppoe", "")
    stage.routes.point_to_point["ppp0"] = ENDS
    stage.units.say(LINK, *FORGED, *PPPOE, *stage.up_lines)
    await dialing
    await stage.links.get(LINK).calls.unfollow()
    stage.routes.wanted.clear()
    stage.routes.point_to_point["ppp0"] = ENDS[::-1]  # that it was up is known
    async with another(stage) as link:
        assert (stage.routes.wanted[LINK].tunnel, link.status.state) == ("ppp0", "up")
    stage.units.end(LINK, Exit(code=15))


async def test_a_call_that_comes_up_while_there_is_no_helper_is_believed_when_the_kernel_has_it(stage: Stage) -> None:
    dialing = await begin(stage, "pppoe", "")
    await stage.links.get(LINK).calls.unfollow()
    await asyncio.wait({dialing})
    stage.units.say(LINK, *FORGED, *PPPOE, *stage.up_lines)
    stage.routes.point_to_point["ppp0"] = ENDS
    async with another(stage) as link:
        await stage.until(lambda: link.status.state == "up")
        assert stage.routes.wanted[LINK].tunnel == "ppp0"
    stage.units.end(LINK, Exit(code=15))


async def test_a_stranger_on_the_ethernet_cannot_end_the_redialling(stage: Stage) -> None:
    dialing = await begin(stage, "pppoe", "", reconnect=Variant("b", True))
    stage.units.say(LINK, "PADO: Generic-Error: x", "PAP authentication failed", *PPPOE, *stage.up_lines)
    await dialing
    stage.units.say(LINK, "No response to 4 echo-requests", "Connect time 55.0 minutes.")
    stage.units.end(LINK, Exit(code=15))
    await stage.until(lambda: stage.units.started == 2)
    assert [entry.reason for entry in stage.machinery.history.read(LINK, 1)] == ["path-lost"]


async def test_a_vlan_is_what_is_dialed_and_kept_over_a_restart(stage: Stage) -> None:
    dialing = await begin(stage, "pppoe", "", vlan=Variant("u", 35))
    assert "nic-cablecar0.35\n" in (stage.peers / LINK).read_text()
    stage.units.say(LINK, *stage.up_lines)
    await dialing
    # What is dialed next is another matter.
    await stage.client.link("Update", "a{sv}", {"vlan": Variant("u", 0)})
    await stage.links.get(LINK).calls.unfollow()
    stage.routes.wanted.clear()
    async with another(stage):
        assert stage.routes.wanted[LINK].line == "cablecar0.35"
    stage.units.end(LINK, Exit(code=15))


@pytest.mark.parametrize(("refusal", "error"), [(Failed("no 802.1Q"), "ConnectionFailed"), (None, "NoCable")])
async def test_a_vlan_that_is_not_to_be_had_is_not_dialed(stage: Stage, refusal: Failed | None, error: str) -> None:
    stage.routes.refusal, stage.routes.vlan_has_carrier = refusal, False
    values: dict[str, Any] = {"protocol": Variant("s", "pppoe"), "server": Variant("s", ""), "vlan": Variant("u", 35)}
    await stage.client.add_link(**values)
    await stage.client.link("SetPassword", "s", "secret")
    assert (await stage.client.link("Connect")).error_name == f"org.cablecar1.Error.{error}"
    assert not stage.units.active
    assert not stage.routes.wanted


async def test_pppoe_without_a_cable_waits_for_one(stage: Stage) -> None:
    stage.routes.reached = False
    values: dict[str, Any] = {"protocol": Variant("s", "pppoe"), "server": Variant("s", "")}
    await stage.client.add_link(**values)
    await stage.client.link("SetPassword", "s", "secret")
    reply = await stage.client.link("Connect")
    assert reply.error_name == "org.cablecar1.Error.NoCable"
    assert not stage.units.active


async def test_who_answers_by_pppoe_is_told_as_a_link_could_name_it(stage: Stage) -> None:
    stage.units.discovered = "".join(
        json.dumps({"interface": "eth0", "concentrator": name, "services": ["internet", "a\nb", ""], "address": "02"})
        + "\n"
        for name in ("yosef-ac", "forged\nline")
    )
    reply = await stage.client.manager("Discover")
    assert [{key: value.value for key, value in found.items()} for found in reply.body[0]] == [
        {"interface": "eth0", "concentrator": "yosef-ac", "services": ["internet"], "address": "02"}
    ]
    assert stage.units.asked == "INTERFACES=eth0 eth0.35\n"
    assert not list(stage.machinery.run.glob("discover.*"))


async def test_one_search_at_a_time(stage: Stage) -> None:
    waiting = asyncio.Event()

    async def run_once(unit: str) -> None:
        await waiting.wait()

    stage.units.run_once = run_once  # type: ignore[method-assign]
    first = asyncio.ensure_future(stage.client.manager("Discover"))
    await stage.until(lambda: (stage.machinery.run / "discover.question").exists())
    assert (await stage.client.manager("Discover")).error_name == "org.cablecar1.Error.LimitExceeded"
    waiting.set()
    assert (await first).body == [[]]


async def test_an_l2tp_call_that_ended_while_there_was_no_helper_is_cleared_away(stage: Stage) -> None:
    dialing = await begin(stage, "l2tp", "203.0.113.7")
    stage.units.say(LINK, *stage.up_lines)
    await dialing
    await stage.links.get(LINK).calls.unfollow()
    stage.links.get(LINK).calls.hang_up = lambda: None  # type: ignore[method-assign]
    call = stage.links.get(LINK).calls.call
    assert call is not None
    call.log.close()
    async with another(stage) as link:
        assert link.status.state == "up"
        assert [str(pin) for pin in stage.routes.wanted[LINK].pins] == ["203.0.113.7"]
        assert link.calls.call is not None
        link.calls.call.log.close()
    stage.units.say(
        LINK, "No response to 4 echo-requests", "xl2tpd[9]: child_handler : pppd exited for call 7 with code 15"
    )
    async with another(stage) as link:
        await stage.until(lambda: link.status.state == "down")
        assert link.status.reason.id == "path-lost"
        assert not stage.units.active
