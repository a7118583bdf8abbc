"""The provider, the kernel or somebody on this machine ends the call, or the helper itself dies."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import lab
import lines
import pytest


@lines.every
@pytest.mark.usefixtures("up")
def test_the_provider_drops_the_call(line: lines.Line) -> None:
    first = lab.pppd_pid()
    with lab.listening() as signals:
        lab.isp("kill")
        lab.eventually(lambda: lab.redialed(first), 20, "back by itself")
    assert signals.names() == ["Disconnected", "Reconnecting", "Connected"]
    ((reason, message, again),) = signals.bodies("Disconnected")
    assert reason in line.dropped
    assert again
    assert message.endswith(".")
    assert lab.reaches()


@lines.most_by_whole
@pytest.mark.usefixtures("up")
def test_a_path_that_is_lost_silently_is_noticed_and_one_without_carrier_too() -> None:
    lab.isp("cut")
    print(f"noticed after {lab.eventually(lambda: lab.prop('State') != 'up', 10, 'it is noticed'):.1f} s")
    lab.isp("heal")
    lab.eventually(lambda: lab.prop("State") == "up", 40, "back by itself")
    lab.isp("unplug")
    lab.eventually(lambda: lab.prop("Reason") == "no-cable", 40, "it waits for the cable")
    lab.isp("plug")
    lab.eventually(lambda: lab.prop("State") == "up", 40, "the cable's return dials")
    assert lab.reaches()


# By PPPoE the lab's server goes with its interface, which is the cable's other end.
@pytest.mark.parametrize("line", ["pptp", "l2tp"], indirect=True)
@pytest.mark.usefixtures("up")
def test_a_short_loss_of_carrier_costs_no_call() -> None:
    with lab.listening() as signals:
        lab.check_a_short_loss_of_carrier(3, 10)
    assert signals.names() == []


@lines.every
@pytest.mark.usefixtures("up")
def test_pppd_is_killed() -> None:
    first = lab.pppd_pid()
    begin = time.monotonic()
    os.kill(first, signal.SIGKILL)
    lab.eventually(lambda: lab.device_to(lab.HOST) == "eth0", 1, "the path is the cable's again", pause=0.01)
    restored = time.monotonic() - begin
    lab.eventually(lambda: lab.redialed(first), 40, "back by itself")
    print(f"path restored after {restored:.2f} s, link up after {time.monotonic() - begin:.2f} s")
    assert lab.reaches()
    # By PPPoE because the server was told (PADT): it sends no echo requests that would go unanswered.
    lab.eventually(lambda: len(lab.run("isp", "calls").output.splitlines()) == 1, 30, "the old session is over")
    lab.link("Disconnect")
    assert lab.our_routes_and_rules() == []
    assert lab.call_processes() == []


@pytest.mark.usefixtures("up")
@pytest.mark.parametrize(
    ("line", "name"), [("pptp", "pptpgw"), ("pptp", "pptpcm"), ("l2tp", "xl2tpd")], indirect=["line"]
)
def test_a_process_that_carries_the_call_is_killed(name: str) -> None:
    first = lab.pppd_pid()
    (victim,) = lab.call_processes(name)
    os.kill(victim, signal.SIGKILL)
    lab.eventually(lambda: lab.redialed(first), 40, "back by itself")
    assert lab.reaches()


@lines.every
@pytest.mark.usefixtures("up")
def test_the_helper_is_killed() -> None:
    helper, call, since = lab.helper_pid(), lab.pppd_pid(), lab.prop("Since")
    os.kill(helper, signal.SIGKILL)
    pings = lab.run("ping", "-c", "30", "-i", "0.1", "-W", "1", lab.HOST).output
    assert "30 received" in pings, pings
    lab.eventually(lambda: lab.helper_pid() not in (0, helper), 20, "systemd starts it again")
    assert lab.prop("State") == "up"
    assert abs(lab.prop("Since") - since) < 1_000_000, "the link is as old as before, to the second"
    assert lab.pppd_pid() == call
    assert lab.device_to(lab.HOST) == "ppp0"
    lab.isp("kill")
    lab.eventually(lambda: lab.redialed(call), 20, "an adopted call is redialed")
    lab.link("Disconnect")


@pytest.mark.usefixtures("up")
def test_the_helper_is_restarted() -> None:
    call = lab.pppd_pid()
    restart = subprocess.Popen(["systemctl", "restart", "cablecar-helper.service"])
    lost = 0
    while restart.poll() is None:
        lost += not lab.reaches()
        assert lab.device_to(lab.HOST) == "ppp0"
    assert lost == 0
    assert (lab.prop("State"), lab.pppd_pid()) == ("up", call)


@pytest.mark.usefixtures("up")
def test_a_shutdown_keeps_the_wish() -> None:
    # While all of these are about to stop, systemd keeps to the order that it keeps to at a shutdown.
    units = "cablecar-helper.service", "cablecar-calls.target", f"cablecar-link@{lab.LINK}.service"
    lab.run("systemctl", "stop", *units)
    assert not lab.call_processes()
    lab.run("systemctl", "start", "cablecar-helper.service")
    lab.eventually(lambda: lab.prop("State") == "up", 40, "it is wanted as before")


@pytest.mark.usefixtures("up")
def test_a_call_without_settings_is_ended_at_the_next_start() -> None:
    said, script = Path("/root/down.said"), Path(f"/etc/ppp/ip-down.d/{lab.LINK}/50-says")
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\necho down >>{said}\n")
    script.chmod(0o755)
    lab.run("nft", "add", "table", "inet", "others")
    lab.run("nft", "add", "chain", "inet", "others", "in", "{ type filter hook input priority 0; policy accept; }")
    opening = ("ip", "saddr", lab.SERVER, "accept", "comment", f'"cablecar {lab.LINK}"')
    lab.run("systemctl", "stop", "cablecar-helper.service")
    # As an opening that was made for the call.
    lab.run("nft", "insert", "rule", "inet", "others", "in", *opening)
    Path("/run/cablecar/openings").write_text(lab.LINK)
    settings = lab.run("cat", f"/etc/cablecar/links/{lab.LINK}.toml").output
    lab.run("rm", f"/etc/cablecar/links/{lab.LINK}.toml")
    try:
        lab.run("systemctl", "start", "cablecar-helper.service")
        lab.eventually(lambda: not lab.call_processes(), 15, "the call is ended")
        lab.eventually(lambda: not lab.our_routes_and_rules(), 5, "nothing is left")
        lab.eventually(said.exists, 15, "its scripts have run")
        lab.eventually(lambda: not Path("/run/cablecar/openings").exists(), 15, "the firewall is closed")
        assert "cablecar" not in lab.run("nft", "list", "table", "inet", "others").output
        lab.eventually(lambda: not Path(f"/etc/ppp/peers/{lab.LINK}").exists(), 15, "it is forgotten")
        assert said.read_text() == "down\n"
        assert not Path(f"/run/cablecar/{lab.LINK}.hooks").exists()
    finally:
        lab.run("nft", "delete", "table", "inet", "others")
        shutil.rmtree(script.parent)
        said.unlink(missing_ok=True)
    lab.run("systemctl", "stop", "cablecar-helper.service")
    with open(f"/etc/cablecar/links/{lab.LINK}.toml", "w") as file:
        file.write(settings)
    lab.run("chmod", "600", f"/etc/cablecar/links/{lab.LINK}.toml")
    lab.run("systemctl", "start", "cablecar-helper.service")


@pytest.mark.usefixtures("up")
def test_poff_is_respected() -> None:
    os.kill(lab.pppd_pid(), signal.SIGTERM)
    lab.eventually(lambda: lab.prop("State") == "failed", 15, "somebody hung up")
    assert lab.prop("Reason") == "hung-up-here"
    lab.stays(lambda: not lab.call_processes(), 4, "no redial")


@pytest.mark.usefixtures("up")
def test_who_restarts_the_unit_does_not_hang_up() -> None:
    first = lab.pppd_pid()
    # As needrestart may. The helper makes a call of its own of it, so systemd tells that the job was cancelled.
    lab.run("systemctl", "restart", f"cablecar-link@{lab.LINK}.service", check=False)
    lab.eventually(lambda: lab.redialed(first), 40, "dialed anew")
    second = lab.pppd_pid()
    lab.isp("kill")
    lab.eventually(lambda: lab.redialed(second), 40, "it is still wanted")
    assert lab.reaches()


DAMAGES = {
    "pins": "ip route flush proto 201",
    "copies of the pins": "ip route flush table 5199",
    "default": "ip route flush table 5200",
    "rules": lab.FLUSH_RULES,
}


@pytest.mark.usefixtures("up")
def test_routes_that_others_remove_are_put_back() -> None:
    whole = lab.our_routes_and_rules()
    for what, damage in DAMAGES.items():
        with lab.stopped(lab.helper_pid()):
            lab.run("sh", "-c", damage)
            assert lab.our_routes_and_rules() != whole, f"{what}: there was nothing to remove"
        repaired = lab.eventually(lambda: lab.our_routes_and_rules() == whole, 2, f"{what} repaired")
        flows = repaired + lab.eventually(lab.reaches, 5, "traffic flows")
        print(f"{what}: repaired after {repaired:.2f} s, traffic flows after {flows:.2f} s")


@pytest.mark.whole
@pytest.mark.usefixtures("up")
def test_a_call_outlives_a_flush_of_the_whole_main_table() -> None:
    call = lab.pppd_pid()
    others = [line for line in lab.run("ip", "route").output.splitlines() if "proto 201" not in line]
    lab.run("ip", "route", "flush", "table", "main")
    try:
        print(f"traffic flows after {lab.eventually(lab.reaches, 5, 'traffic flows'):.2f} s")
        lab.stays(lab.reaches, 2, "traffic flows")
    finally:
        # Nobody else would put them back: a new lease would, but without an address in between a call does not live.
        for route in sorted(others, key=lambda route: " via " in route):
            lab.run("ip", "route", "add", *route.split())
    pin = ("ip", "route", "show", "table", "main", "proto", "201", lab.SERVER)
    lab.eventually(lambda: lab.run(*pin).output, 2, "the pin is back")
    assert (lab.prop("State"), lab.pppd_pid()) == ("up", call)


@pytest.mark.usefixtures("up")
def test_a_call_whose_address_somebody_took_is_dialed_anew() -> None:
    # As NetworkManager does, restarted while a call's own route is missing; pppd and its peer notice nothing.
    lab.run("ip", "address", "flush", "dev", "ppp0")
    print(f"traffic flows after {lab.eventually(lab.reaches, 20, 'traffic flows'):.2f} s")
    lab.eventually(lambda: lab.prop("State") == "up", 5, "up")
    assert '"address-taken"' in lab.link("History", "u", "2").output


@pytest.mark.usefixtures("configured")
def test_a_cable_bounce_keeps_the_pin_when_the_peer_is_the_server() -> None:
    lab.isp("peer", lab.SERVER)
    lab.link("Connect")
    lab.run("sh", "-c", "ip link set eth0 down && ip link set eth0 up")
    lab.run("ip", "route", "replace", "default", "via", "10.20.30.1", "dev", "eth0")
    lab.eventually(lambda: lab.device_to(lab.SERVER) == "eth0", 2, "the pin is first again")
    assert "proto kernel" in lab.run("ip", "route", "show", lab.SERVER, "dev", "ppp0").output
    lab.eventually(lab.reaches, 10, "traffic flows again")
