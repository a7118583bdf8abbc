"""One call, from connect to disconnect, and each way in which it fails."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import lab
import lines
import oracle
import pytest
from lines import Line


@lines.every
@pytest.mark.usefixtures("configured")
def test_connect_traffic_disconnect(line: Line) -> None:
    begin = time.time()
    with lab.listening() as signals:
        lab.link("Connect")
        assert (lab.prop("State"), lab.prop("Reason"), lab.prop("Interface")) == ("up", "", "ppp0")
        assert lab.device_to(lab.HOST) == "ppp0"
        assert lab.device_to(lab.SERVER) == line.way_to_server
        assert lab.reaches()
        assert len(line.kernels_calls()) == (1 if line.kernel[0] else 0)
        assert oracle.check(line) == "up"
        lab.link("Disconnect")
    assert line.kernels_calls() == []
    assert lab.prop("State") == "down"
    assert signals.names() == ["Connected", "Disconnected"]
    assert signals.states() == ["dialing", "up", "stopping", "down"]
    assert lab.our_routes_and_rules() == []
    assert lab.call_processes() == []
    goodbye = "LCP terminated by peer (User request)"
    lab.eventually(lambda: goodbye in lab.journal("--since", f"@{begin:.0f}"), 5, "the server's pppd was told")


@pytest.mark.parametrize("line", ["l2tp"], indirect=True)
@pytest.mark.usefixtures("configured")
def test_the_machines_own_xl2tpd_and_a_call_leave_each_other_alone(line: Line) -> None:
    lab.run("systemctl", "unmask", "xl2tpd.service")
    lab.run("systemctl", "start", "xl2tpd.service")
    try:
        lab.eventually(lambda: lab.run("ss", "-Hlun", "sport = :1701").output, 10, "it has taken port 1701")
        (own,) = lab.call_processes()
        lab.link("Connect")
        assert lab.reaches()
        assert len(lab.call_processes()) == 1 + line.processes
        lab.link("Disconnect")
        assert lab.call_processes() == [own]
    finally:
        lab.run("systemctl", "stop", "xl2tpd.service")
        lab.run("systemctl", "mask", "xl2tpd.service")


@pytest.mark.parametrize("line", ["l2tp"], indirect=True)
@pytest.mark.usefixtures("configured")
def test_a_tunnel_that_wants_a_secret_gets_the_right_one_only() -> None:
    lab.isp("secret", "s3cret!")
    file = Path(f"/etc/cablecar/links/{lab.LINK}.toml")
    settings = file.read_text()
    for secret, error in (("wr0ng", "NotAdmitted"), ("s3cret!", "")):
        file.write_text(f'{settings}tunnel_secret = "{secret}"\n')
        lab.manager("Reload")
        if error:
            assert error_name("Connect") == f"org.cablecar1.Error.{error}"
        else:
            lab.link("Connect")
        lab.link("Disconnect")


def vlans() -> list[str]:
    """The VLANs that the cable has."""
    return [line.split("@")[0] for line in lab.run("ip", "-br", "link", "show", "type", "vlan").output.splitlines()]


def customers() -> list[str]:
    """Their addresses in the calls that the server has; by PPPoE none gets one that has just been free."""
    return [line.split()[1] for line in lab.run("isp", "calls").output.splitlines()]


@pytest.fixture
def wide_cable() -> Iterator[None]:
    """A cable whose frames carry 1508 bytes, without VLANs."""
    lab.run("ip", "link", "set", "eth0", "mtu", "1508")
    yield
    lab.run("ip", "link", "del", "theirs", check=False)
    lab.run("ip", "link", "set", "eth0", "mtu", "1500")


@pytest.mark.parametrize("line", ["pppoe"], indirect=True)
@pytest.mark.usefixtures("wide_cable", "configured")
def test_a_vlan_is_made_for_the_call_and_carries_as_much_as_ethernet() -> None:
    lab.link("Update", "a{sv}", "1", "vlan", "i", "35")
    lab.link("Connect")
    assert vlans() == ["cablecar0.35"]
    assert lab.run("ping", "-c", "1", "-M", "do", "-s", str(1500 - 28), lab.HOST).ok
    helper = lab.helper_pid()
    os.kill(helper, signal.SIGKILL)
    lab.eventually(lambda: lab.helper_pid() not in (0, helper), 20, "systemd starts it again")
    assert lab.prop("State") == "up"
    lab.isp("unplug")
    lab.eventually(lambda: lab.prop("Reason") == "no-cable", 40, "it waits for the cable")
    assert vlans() == []
    lab.isp("plug")
    lab.eventually(lambda: lab.prop("State") == "up", 40, "the cable's return dials")
    first, address = lab.pppd_pid(), lab.address()
    assert address in customers()
    os.kill(first, signal.SIGKILL)
    lab.eventually(lambda: lab.redialed(first), 40, "back by itself")
    lab.eventually(lambda: address not in customers(), 30, "the server was told, on the VLAN")
    lab.link("Disconnect")
    assert vlans() == []


@pytest.mark.whole
@pytest.mark.parametrize("line", ["pppoe"], indirect=True)
@pytest.mark.usefixtures("wide_cable", "configured")
def test_a_vlan_of_somebody_else_is_used_and_left_and_one_of_ours_is_swept() -> None:
    lab.run("ip", "link", "add", "cablecar7.99", "link", "eth0", "type", "vlan", "id", "99")
    lab.run("ip", "link", "add", "theirs", "link", "eth0", "type", "vlan", "id", "35")
    lab.link("Update", "a{sv}", "1", "vlan", "i", "35")
    assert error_name("Connect") == "org.cablecar1.Error.NoCable"
    lab.run("ip", "link", "set", "theirs", "up")
    lab.eventually(lambda: lab.prop("State") == "up", 30, "it dials when they have it up")
    lab.link("Disconnect")
    assert vlans() == ["theirs"]


@pytest.mark.usefixtures("up")
def test_the_peer_file_is_for_root_and_pon_would_read_it() -> None:
    facts = lab.run("stat", "--format=%a %U", f"/etc/ppp/peers/{lab.LINK}")
    assert facts.output == "600 root\n"
    assert lab.run("stat", "--format=%a", f"/etc/cablecar/links/{lab.LINK}.toml").output == "600\n"
    understood = lab.run("pppd", "call", lab.LINK, "dump", "dryrun", "nodetach", "logfd", "1")
    options = understood.output + understood.error
    assert f"pptp {lab.SERVER} --nolaunchpppd --nohostroute" in options
    assert f"user {lab.USER}" in options


@pytest.mark.usefixtures("up")
def test_a_call_that_runs_is_caged() -> None:
    units = {"cablecar-helper.service": 16}
    units |= {f"{line.unit}@{lab.LINK}.service": 30 for line in lines.LINES.values()}
    for unit, limit in units.items():
        judged = lab.run("systemd-analyze", "security", "--no-pager", f"--threshold={limit}", unit, check=False)
        print(judged.output.splitlines()[-1])
        assert judged.ok, judged.output


@pytest.mark.usefixtures("up")
def test_details_are_not_in_properties() -> None:
    everything = lab.bus(
        "org.cablecar1", lab.PATH, "org.freedesktop.DBus.Properties", "GetAll", "s", "org.cablecar1.Link"
    )
    everything_else = lab.run("busctl", "introspect", "org.cablecar1", lab.PATH)
    for secret in (lab.SERVER, lab.USER, lab.PASSWORD, lab.PEER):
        assert secret not in everything.output + everything_else.output
    details = lab.link("Details").output
    assert lab.SERVER in details
    assert lab.USER in details
    assert lab.PASSWORD not in details
    assert "PAP authentication succeeded" in lab.link("Log", "u", "100").output


@lines.every
@pytest.mark.usefixtures("configured")
def test_peer_address_is_the_servers(line: Line) -> None:
    lab.isp("peer", lab.SERVER)
    lab.link("Connect")
    peers = lab.run("ip", "-4", "-o", "address", "show", "dev", "ppp0").output
    assert f"peer {lab.SERVER}/32" in peers, "the provider did not give its own address: the test shows nothing"
    lab.run("ping", "-c", "50", "-i", "0.02", "-s", "1000", "-q", lab.HOST)
    received, sent = lab.counters("ppp0")
    # 50 pings of 1028 bytes each way. In a loop, sent grows by orders of magnitude and received stays.
    assert 50_000 < received < 80_000
    assert 50_000 < sent < 80_000
    assert lab.device_to(lab.SERVER) == line.way_to_server
    lab.link("Disconnect")


@lines.most_by_whole
@pytest.mark.usefixtures("configured")
def test_wrong_password_is_told_and_not_tried_again() -> None:
    lab.link("SetPassword", "s", "wrong-password")
    refused = lab.link("Connect", check=False)
    assert not refused.ok
    assert "refused the user name or password" in refused.error
    assert error_name("Connect") == "org.cablecar1.Error.AuthenticationFailed"
    assert (lab.prop("State"), lab.prop("Reason")) == ("failed", "authentication-failed")
    # Longer than the first of the pauses that follow a failure that time may cure.
    assert lab.prop("NextRetry") == 0
    lab.stays(lambda: not lab.call_processes() and lab.prop("State") == "failed", 4, "no further attempt")
    lab.link("SetPassword", "s", lab.PASSWORD)
    lab.link("Connect")
    lab.link("Disconnect")


@pytest.mark.usefixtures("configured")
def test_no_password_is_told_before_anything_is_dialed() -> None:
    lab.run("rm", f"/etc/cablecar/secrets/{lab.LINK}")
    assert error_name("Connect") == "org.cablecar1.Error.NoPassword"
    assert lab.prop("State") == "failed"


@lines.most_by_whole
@pytest.mark.usefixtures("configured")
def test_a_server_that_does_not_listen_is_named_and_tried_again(line: Line) -> None:
    lab.isp("stop")
    assert error_name("Connect") == f"org.cablecar1.Error.{line.silent}"
    assert lab.prop("State") in ("waiting", "dialing")
    lab.isp("start")
    lab.eventually(lambda: lab.prop("State") == "up", 60, "the link comes up by itself")


@lines.most_by_whole
@pytest.mark.usefixtures("configured")
def test_a_silent_server_is_named_within_40_seconds(line: Line) -> None:
    lab.isp("cut")
    begin = time.monotonic()
    assert error_name("Connect") == f"org.cablecar1.Error.{line.unheard}"
    assert time.monotonic() - begin < 40
    lab.link("Disconnect")
    assert lab.prop("State") == "down"


@pytest.mark.usefixtures("configured")
def test_blocked_gre_is_told_from_a_silent_server() -> None:
    nft = ("ip", "netns", "exec", "isp", "nft")
    lab.run(*nft, "add table ip deaf; add chain ip deaf in { type filter hook prerouting priority 0; }; "
                  "add rule ip deaf in ip protocol gre drop")  # fmt: skip
    try:
        with lab.listening() as signals:
            assert error_name("Connect") == "org.cablecar1.Error.GreBlocked"
        assert "authenticating" in signals.phases()
        assert (lab.prop("State"), lab.prop("Reason")) == ("waiting", "gre-blocked")
        lab.link("Disconnect")
    finally:
        lab.run(*nft, "delete", "table", "ip", "deaf")


@pytest.mark.usefixtures("configured")
def test_without_a_cable_the_link_waits_for_it() -> None:
    lab.isp("unplug")
    assert error_name("Connect") == "org.cablecar1.Error.NoCable"
    assert (lab.prop("State"), lab.prop("Reason")) == ("waiting", "no-cable")
    lab.isp("plug")
    lab.eventually(lambda: lab.prop("State") == "up", 30, "the cable's return dials")
    assert lab.reaches()


@pytest.mark.usefixtures("configured")
def test_two_callers_share_one_call_and_disconnect_ends_a_dial() -> None:
    with lab.listening() as signals:
        lab.run("sh", "-c", "busctl call org.cablecar1 $0 org.cablecar1.Link Connect & "
                "busctl call org.cablecar1 $0 org.cablecar1.Link Connect && wait $!", lab.PATH)  # fmt: skip
    assert signals.states() == ["dialing", "up"]
    lab.link("Disconnect")
    dialing = subprocess.Popen(
        ["busctl", "call", "org.cablecar1", lab.PATH, "org.cablecar1.Link", "Connect"],
        stderr=subprocess.PIPE,
        text=True,
    )
    lab.eventually(lambda: lab.prop("State") == "dialing", 10, "it dials")
    lab.link("Disconnect")
    _, error = dialing.communicate(timeout=30)
    assert "Disconnected on request" in error
    assert lab.prop("State") == "down"


def error_name(method: str) -> str:
    """The D-Bus error name that a method of the link fails with; busctl tells only its text."""
    answer = lab.run("dbus-send", "--system", "--print-reply", "--reply-timeout=120000", "--dest=org.cablecar1",
                     lab.PATH, f"org.cablecar1.Link.{method}", check=False)  # fmt: skip
    assert not answer.ok, answer.output
    return answer.error.split()[1].rstrip(":")


@pytest.mark.usefixtures("configured")
def test_a_call_that_must_be_encrypted_is() -> None:
    lab.isp("auth", "mschap-v2")
    lab.link("Update", "a{sv}", "2", "encryption", "s", "required", "authentication", "as", "1", "mschapv2")
    # pppd encrypts only when both ends demand it: this one does not, yet.
    assert error_name("Connect") == "org.cablecar1.Error.EncryptionMismatch"
    with Path("/run/isp/ppp/call-options").open("a") as options:
        options.write("require-mppe-128\n")
    lab.link("Connect")
    assert "MPPE 128-bit stateless compression enabled" in lab.link("Log", "u", "100").output
    assert lab.reaches()
    lab.link("Disconnect")
    # And without: a provider that demands it is not lied to.
    lab.link("Update", "a{sv}", "1", "encryption", "s", "no")
    assert error_name("Connect") == "org.cablecar1.Error.EncryptionRequired"
