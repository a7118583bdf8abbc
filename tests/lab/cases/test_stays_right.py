"""DNS, sleep and silence: what the network must be when the world around a call changes without a word."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest

PEERS = "198.51.100.53"
NAME = "host.internet.example"
SUSPEND = Path("/run/systemd/system/systemd-suspend.service.d/lab.conf")
SLEPT = Path("/run/lab-slept")
LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
# Who takes what is sent, on the Internet, and who sends, so many seconds. (iperf3 3.18 takes a full line for an end.)
SINK = f"""
import socket
server = socket.create_server(("{lab.HOST}", 9))
print("listening", flush=True)
client = server.accept()[0]
while client.recv(65536):
    pass
"""
SOURCE = f"""
import socket, time
client = socket.create_connection(("{lab.HOST}", 9))
end = time.monotonic() + 12
while time.monotonic() < end:
    client.send(bytes(65536))
"""


def asked_by() -> str:
    """The interface by which systemd-resolved looks a name up."""
    said = lab.run("resolvectl", "query", "--cache=no", NAME, check=False).output
    return next((line.split("link: ")[1].split()[0] for line in said.splitlines() if "link: " in line), "")


@pytest.mark.usefixtures("up")
def test_systemd_resolved_asks_through_the_link_also_after_its_restart_and_the_helpers_end() -> None:
    lab.eventually(lambda: asked_by() == "ppp0", 5, "names are looked up through the link")
    assert PEERS in lab.run("resolvectl", "dns", "ppp0").output
    lab.run("systemctl", "stop", "systemd-resolved.service")
    for kept in Path("/run/systemd/resolve/netif").iterdir():
        kept.unlink()  # what it keeps of interfaces over a restart, of eth0 too
    begin = lab.run("systemctl", "start", "systemd-resolved.service")
    again = lab.eventually(lambda: asked_by() == "ppp0", 5, "told again")
    print(f"told again {again:.2f} s after its start: {begin.status}")
    lab.run("resolvectl", "revert", "ppp0")
    helper = lab.helper_pid()
    os.kill(helper, signal.SIGKILL)
    lab.eventually(lambda: asked_by() == "ppp0", 20, "the next helper tells again")
    lab.run("resolvectl", "dns", "eth0", "10.20.30.1")
    lab.eventually(lambda: lab.helper_pid() not in (0, helper) and lab.prop("State") == "up", 20, "it runs")
    lab.link("Disconnect")
    lab.eventually(lambda: asked_by() == "eth0", 2, "the cable's again")


def names_the_peers() -> bool:
    lines = lab.RESOLV.read_text().splitlines()
    return f"nameserver {PEERS}" in lines and "nameserver 10.20.30.1" not in lines


def test_the_plain_file_is_the_same_to_the_last_byte(plain_file: bytes, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("configured")
    before = lab.RESOLV.stat()
    lab.link("Connect")
    lab.eventually(names_the_peers, 30, "the hook has written it")
    assert "search home.example" in lab.RESOLV.read_text()
    written = lab.RESOLV.with_name("by-somebody")
    written.write_bytes(plain_file)
    os.utime(written, ns=(before.st_atime_ns, before.st_mtime_ns))
    theirs = written.stat()
    written.rename(lab.RESOLV)  # as a DHCP client does
    seconds = lab.eventually(names_the_peers, 30, "it is repaired")
    print(f"repaired after {seconds:.2f} s")
    # Both at once: nobody is left to put it back but the next helper.
    os.kill(lab.helper_pid(), signal.SIGKILL)
    os.kill(lab.pppd_pid(), signal.SIGKILL)
    lab.eventually(lambda: lab.run("busctl", "status", "org.cablecar1", check=False).ok, 20, "the next helper")
    lab.link("Disconnect")
    lab.eventually(lambda: lab.RESOLV.read_bytes() == plain_file, 10, "it is put back")
    after = lab.RESOLV.stat()
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (theirs.st_ino, theirs.st_mode, theirs.st_mtime_ns)
    assert sorted(path.name for path in Path("/etc").glob("resolv.conf*")) == ["resolv.conf"]


@pytest.fixture
def sleeps() -> Iterator[None]:
    """A machine whose logind tells everybody that it sleeps, and which then naps for a second."""
    SUSPEND.parent.mkdir(exist_ok=True)
    nap = f"ip -o link show type ppp >{SLEPT}.new; sleep 1; mv {SLEPT}.new {SLEPT}"
    SUSPEND.write_text(f"[Service]\nExecStart=\nExecStart=/bin/sh -c '{nap}'\n")
    lab.run("systemctl", "daemon-reload")
    yield
    SUSPEND.unlink()
    SLEPT.unlink(missing_ok=True)
    lab.run("systemctl", "daemon-reload")


def fall_asleep() -> None:
    assert "Cablecar" in lab.run("busctl", "call", *LOGIND, "ListInhibitors").output
    lab.run("busctl", "call", *LOGIND, "Suspend", "b", "false")


# What keeps a call in each phase until the machine sleeps, and what no longer does. The last phase before it is up has
# no fault that would.
KEPT_BY = {
    "preparing": (["cut"], ["heal"]),
    "connecting": (["cut"], ["heal"]),
    "authenticating": (["ponder"], ["password", lab.PASSWORD]),
    "": (["heal"], ["heal"]),
}


@pytest.mark.usefixtures("configured", "sleeps")
@pytest.mark.parametrize(
    "phase", [pytest.param(phase, marks=pytest.mark.whole) if phase else phase for phase in KEPT_BY]
)
def test_a_call_is_hung_up_before_a_sleep_and_dialed_after_it(phase: str) -> None:
    lab.link("Update", "a{sv}", "1", "server", "s", "pptp.provider.example" if phase == "preparing" else lab.SERVER)
    fault, mend = KEPT_BY[phase]
    lab.isp(*fault)
    dialing = subprocess.Popen(
        ["busctl", "call", "org.cablecar1", lab.PATH, "org.cablecar1.Link", "Connect"], stderr=subprocess.DEVNULL
    )
    where = ("dialing" if phase else "up", phase)
    lab.eventually(lambda: (lab.prop("State"), lab.prop("Phase")) == where, 40, f"it is {where}")
    with lab.listening() as signals:
        fall_asleep()
        hung_up = lab.eventually(lambda: lab.prop("Reason") == "suspended" and not lab.call_processes(), 10, "hung up")
        lab.isp(*mend)
        lab.eventually(SLEPT.exists, 15, "the machine has slept")
        awake = lab.eventually(lambda: lab.prop("State") == "up", 45, "up again")
    dialing.wait(timeout=60)
    print(f"{phase or 'up'}: hung up after {hung_up:.2f} s, up {awake:.2f} s after the sleep")
    assert SLEPT.read_text() == "", "no call was left when the machine fell asleep"
    reasons = [body[0] for body in signals.bodies("Disconnected")]
    assert reasons == ([] if phase else ["suspended"])
    assert lab.reaches()


@pytest.mark.usefixtures("configured", "sleeps")
def test_a_link_that_waits_is_dialed_after_a_sleep_and_one_that_has_failed_is_not() -> None:
    lab.isp("unplug")
    assert not lab.link("Connect", check=False).ok
    assert (lab.prop("State"), lab.prop("Reason")) == ("waiting", "no-cable")
    fall_asleep()
    lab.eventually(SLEPT.exists, 15, "the machine has slept")
    assert lab.prop("State") in ("waiting", "dialing"), "it is still wanted"
    lab.isp("plug")
    lab.eventually(lambda: lab.prop("State") == "up", 45, "the cable's return dials")
    lab.link("SetPassword", "s", "wrong-password")
    assert not lab.link("Reconnect", check=False).ok
    assert lab.prop("State") == "failed"
    SLEPT.unlink()
    with lab.listening() as signals:
        fall_asleep()
        lab.eventually(SLEPT.exists, 15, "the machine has slept")
        lab.stays(lambda: lab.prop("State") == "failed" and not lab.call_processes(), 3, "nobody dials")
    assert signals.states() == []


@pytest.mark.usefixtures("configured", "sleeps")
def test_a_link_that_is_being_hung_up_stays_down_after_a_sleep() -> None:
    lab.link("Connect")
    with lab.stopped(lab.pppd_pid()):  # which takes it until systemd loses patience
        hanging_up = subprocess.Popen(["busctl", "call", "org.cablecar1", lab.PATH, "org.cablecar1.Link", "Disconnect"])
        lab.eventually(lambda: lab.prop("State") == "stopping", 10, "it is being hung up")
        fall_asleep()
    lab.eventually(SLEPT.exists, 15, "the machine has slept")
    assert hanging_up.wait(timeout=60) == 0
    lab.stays(lambda: lab.prop("State") == "down" and not lab.call_processes(), 3, "nobody dials")


@pytest.fixture
def narrow() -> Iterator[None]:
    """An uplink of 2 Mbit/s behind which two seconds of packets wait, as in a modem."""
    for command in (
        "modprobe -a ifb act_mirred cls_matchall sch_tbf",
        "ip -n isp link add ifb9 type ifb",
        "ip -n isp link set ifb9 up",
        "tc -n isp qdisc add dev ifb9 root tbf rate 2mbit burst 8kb limit 500kb",
        "tc -n isp qdisc add dev cable ingress",
        "tc -n isp filter add dev cable parent ffff: matchall action mirred egress redirect dev ifb9",
    ):
        lab.run(*command.split())
    yield
    lab.run("tc", "-n", "isp", "qdisc", "del", "dev", "cable", "ingress")
    lab.run("ip", "-n", "isp", "link", "del", "ifb9")


@pytest.mark.usefixtures("up", "narrow")
def test_a_full_uplink_is_no_dead_path_and_a_dead_path_is_noticed_within_6_seconds() -> None:
    call = lab.pppd_pid()
    sink = subprocess.Popen(["ip", "netns", "exec", "isp", sys.executable, "-c", SINK], stdout=subprocess.PIPE)
    assert sink.stdout is not None
    with sink.stdout as said:
        assert said.readline() == b"listening\n"
    upload = subprocess.Popen([sys.executable, "-c", SOURCE])
    slowest = lab.run("ping", "-c", "8", "-i", "1", "-W", "5", "-q", lab.HOST, check=False).output.splitlines()[-1]
    assert upload.wait(timeout=60) == 0
    sink.wait(timeout=60)
    assert (lab.prop("State"), lab.pppd_pid()) == ("up", call)
    lab.isp("cut")
    noticed = lab.eventually(lambda: lab.prop("State") != "up", 6, "the silence is noticed", pause=0.02)
    print(f"silence noticed after {noticed:.2f} s; with a full uplink {slowest}")
    lab.eventually(lambda: lab.prop("Reason") == "path-lost", 10, "and named")
    assert lab.device_to(lab.HOST) == "eth0"
