"""Strict mode and sharing, seen from outside: what leaves by the cable, and who gets through the tunnel."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lab
import oracle
import pytest
from test_stays_right import names_the_peers

ROUTER, BROADCAST6 = "10.20.30.1", "ff02::1"
TARGETS = {lab.HOST: 9, lab.SERVER: 9, ROUTER: 53}
NAME = "pptp.provider.example"
HOME = ("ip", "netns", "exec", "home")
# Of the customer, and neither the tunnel nor DHCP.
LEAKS = f"(ip or ip6) and not (host {lab.SERVER} and (proto 47 or tcp port 1723)) and not udp port 67"


@contextmanager
def talking() -> Iterator[None]:
    """Send packets past the tunnel all the time, as any program may."""
    end = threading.Event()

    def talk() -> None:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four,
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six,
        ):
            while not end.wait(0.2):
                for address, port in TARGETS.items():
                    with contextlib.suppress(OSError):
                        four.sendto(b"leak", (address, port))
                with contextlib.suppress(OSError):
                    six.sendto(b"leak", (BROADCAST6, 9, 0, socket.if_nametoindex("eth0")))

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def everything_leaves() -> bool:
    with oracle.outside(LEAKS) as seen:
        time.sleep(1)
    missing = [address for address in (*TARGETS, BROADCAST6) if not any(address in line for line in seen)]
    print(f"not seen outside: {missing}")
    return not missing


def update(*settings: str) -> None:
    lab.link("Update", "a{sv}", *settings)


def table() -> str:
    return lab.run("nft", "list", "table", "inet", "cablecar", check=False).output


def up_again(since: int) -> bool:
    return lab.prop("State") == "up" and int(lab.prop("Since")) > since


@pytest.fixture
def half_routes() -> Iterator[None]:
    """What a hostile DHCP server sets by its option 121 (CVE-2024-3661)."""
    halves = ("0.0.0.0/1", "128.0.0.0/1")
    for half in halves:
        lab.run("ip", "route", "add", half, "via", ROUTER)
    yield
    for half in halves:
        lab.run("ip", "route", "del", half, "via", ROUTER)


@pytest.mark.usefixtures("configured", "half_routes")
def test_nothing_but_the_tunnel_leaves_by_the_cable() -> None:
    before = lab.run("nft", "list", "ruleset").output
    with talking():
        lab.eventually(everything_leaves, 30, "the control: without strict mode it is seen")
        update("2", "strict", "b", "true", "server", "s", NAME)
        lab.link("Connect")
        with oracle.outside(LEAKS) as seen:
            assert lab.device_to(lab.HOST) == "ppp0"
            assert lab.reaches()
            since = lab.prop("Since")
            lab.run("kill", "-KILL", str(lab.pppd_pid()))
            lab.eventually(lambda: up_again(since), 30, "the link is back after pppd's end", pause=0.2)
            lab.isp("stop")
            lab.eventually(lambda: lab.prop("State") == "waiting", 30, "the server refuses", pause=0.1)
            lab.run("kill", "-KILL", str(lab.helper_pid()))
            assert not lab.reaches()
            lab.isp("start")
            lab.eventually(lambda: lab.prop("State") == "up", 60, "the link is back", pause=0.2)
            lab.run("kill", "-KILL", str(lab.helper_pid()))
            assert lab.prop("State") == "up"
            assert lab.reaches()
        questions = [line for line in seen if f"> {ROUTER}.53:" in line and NAME in line]
        assert questions, "the server's name was looked up"
        assert [line for line in seen if line not in questions] == []
        lab.run("nft", "flush", "ruleset")
        print(f"flushed rules are back after {lab.eventually(lambda: 'reject' in table(), 2, 'repaired'):.2f} s")
        with oracle.outside(LEAKS) as seen:
            lab.link("SetPassword", "s", "wrong")
            assert not lab.link("Reconnect", check=False).ok
            assert lab.prop("State") == "failed"
        assert not [line for line in seen if NAME not in line], "ended by a person alone"
    lab.link("SetPassword", "s", lab.PASSWORD)
    lab.link("Connect")
    update("1", "strict", "b", "false")
    assert table() == ""
    assert lab.device_to(lab.HOST) == "eth0", "half routes win in normal mode"
    lab.eventually(lambda: "CVE-2024-3661" in lab.journal("-n", "100"), 5, "and are told")
    lab.link("Disconnect")
    assert lab.run("nft", "list", "ruleset").output == before


@pytest.mark.usefixtures("configured")
def test_a_chosen_local_network_stays_reachable_and_restoring_ends_it() -> None:
    update("1", "strict", "as", "1", "10.20.30.0/24")
    lab.link("Connect")
    assert lab.device_to(ROUTER) == "eth0"
    assert lab.reaches(ROUTER) and lab.reaches()
    lab.isp("stop")
    lab.eventually(lambda: lab.prop("State") == "waiting", 30, "the server refuses", pause=0.1)
    assert lab.reaches(ROUTER) and not lab.reaches()
    lab.manager("RestoreNetwork")
    assert (lab.prop("State"), lab.prop("Reason")) == ("down", "requested")
    assert table() == ""
    assert lab.our_routes_and_rules() == []


@pytest.mark.usefixtures("configured")
def test_the_machine_starts_closed() -> None:
    unit, at_boot = "cablecar-strict.service", Path("/var/lib/cablecar/strict.nft")
    update("1", "strict", "b", "true")
    lab.link("Connect")
    lab.run("systemctl", "start", unit)
    assert lab.reaches(), "while the helper's own table is there nothing changes"
    # What a reboot leaves of it.
    lab.run("systemctl", "stop", "cablecar-helper.service")
    lab.run("systemctl", "stop", f"cablecar-link@{lab.LINK}.service")
    lab.run("nft", "delete", "table", "inet", "cablecar")
    Path("/run/cablecar/table").unlink()
    with talking():
        lab.eventually(everything_leaves, 30, "the control: without the unit it is seen")
        lab.run("systemctl", "start", unit)
        with oracle.outside(LEAKS) as seen:
            lab.run("systemctl", "start", "cablecar-helper.service")
            lab.eventually(lambda: lab.prop("State") == "up", 60, "the helper lets its call out", pause=0.2)
    assert seen == []
    assert lab.reaches()
    lab.link("Disconnect")
    assert table() == ""
    assert not at_boot.exists()
    lab.run("systemctl", "start", unit)
    assert table() == "", "nothing is closed that is not to be"


@pytest.fixture
def home() -> Iterator[None]:
    """Another machine behind an interface of this one."""
    for command in (
        "ip netns add home",
        "ip link add eth1 type veth peer name inner netns home",
        "ip address add 192.168.77.1/24 dev eth1",
        "ip link set eth1 up",
        "ip -n home address add 192.168.77.2/24 dev inner",
        "ip -n home link set inner up",
        "ip -n home route add default via 192.168.77.1",
    ):
        lab.run(*command.split())
    yield
    lab.run("ip", "link", "del", "eth1")
    lab.run("ip", "netns", "del", "home")


def forwards(interface: str) -> bool:
    return Path(f"/proc/sys/net/ipv4/conf/{interface}/forwarding").read_text() == "1\n"


def asked_from() -> str:
    """The address that a question of the other machine's has on the Internet."""
    return lab.run(*HOME, "curl", "-sS", "--max-time", "5", f"http://{lab.HOST}/", check=False).output


@pytest.mark.usefixtures("home", "configured")
def test_another_machine_shares_the_link_and_nothing_is_left() -> None:
    update("1", "share", "as", "1", "eth1")
    assert not forwards("eth1") and asked_from() == ""
    lab.link("Connect")
    assert re.match(r"192\.0\.2\.\d+", asked_from())
    assert "maxseg size set" in table()
    assert forwards("eth1") and not forwards("all") and not forwards("eth0")
    past_the_tunnel = (*HOME, "ping", "-c", "1", "-W", "1", lab.SERVER)
    assert not lab.run(*past_the_tunnel, check=False).ok, "the pinned server is reached by the cable, so not by others"
    lab.run("kill", "-KILL", str(lab.helper_pid()))
    assert asked_from()
    assert lab.prop("State") == "up"
    lab.link("Disconnect")
    assert not forwards("eth1")
    assert table() == "" and asked_from() == ""


WALL = """table inet wall {
  chain in {
    type filter hook input priority 0; policy drop
    iifname { "lo", "ppp0" } accept
    udp dport 68 accept
  }
  chain out {
    type filter hook output priority 0; policy drop
    oifname { "lo", "ppp0" } accept
    udp dport 67 accept
  }
}
"""


@pytest.fixture
def wall(tmp_path: Path) -> Iterator[None]:
    """A firewall of somebody's that lets nothing through the cable."""
    rules = tmp_path / "wall"
    rules.write_text(WALL)
    lab.run("nft", "-f", str(rules))
    yield
    lab.run("nft", "delete", "table", "inet", "wall")


@pytest.mark.usefixtures("wall", "configured")
def test_a_firewall_is_opened_for_the_call_alone() -> None:
    def rules() -> str:
        return lab.run("nft", "list", "ruleset").output

    before = rules()
    with pytest.raises(OSError):
        socket.create_connection((lab.SERVER, 1723), 1).close()
    update("1", "firewall", "s", "open")
    lab.link("Connect")
    assert rules().count(f'comment "cablecar {lab.LINK}"') == 4
    assert not lab.reaches(ROUTER)
    lab.run("kill", "-KILL", str(lab.helper_pid()))
    assert lab.prop("State") == "up"
    lab.link("Disconnect")
    assert rules() == before


def switches() -> dict[str, str]:
    """The kernel's settings of IP, but those of tunnels, which go with them."""
    found = {}
    for path in (*Path("/proc/sys/net").glob("ipv[46]/*"), *Path("/proc/sys/net").glob("ipv[46]/conf/*/*")):
        with contextlib.suppress(OSError):  # a folder, or one that nobody may read
            if not path.parent.name.startswith("ppp"):
                found[str(path)] = path.read_text()
    return found


@pytest.mark.usefixtures("plain_file", "wall", "home", "configured")
def test_restoring_puts_back_names_switches_routes_and_the_firewall() -> None:
    def network() -> dict[str, object]:
        return {
            "names": lab.RESOLV.read_bytes(),
            "switches": switches(),
            "firewall": lab.run("nft", "list", "ruleset").output,
            "routes": lab.ip("-4 route show table all", "rule show"),
        }

    before = network()
    update("2", "share", "as", "1", "eth1", "firewall", "s", "open")
    lab.link("Connect")
    lab.eventually(names_the_peers, 30, "the hook has written it")
    assert asked_from().startswith("192.0.2.")
    during = network()
    assert [what for what in before if during[what] == before[what]] == [], "the control: all of it changes"
    lab.manager("RestoreNetwork")
    assert network() == before
    assert not forwards("eth1") and asked_from() == ""
