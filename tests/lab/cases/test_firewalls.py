"""firewalld and ufw, the real ones, as they come and dropping what they can: opened for a call, and only for it."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from test_cable import findings

pytestmark = pytest.mark.whole  # firewalld takes minutes on an emulated processor to load itself again

TUNNEL = "ppp0"
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")  # on, once an interface is in the zone `external`: its masquerade
FIREWALLD = {
    # So that what may pass the cable is not what may pass the tunnel, which would be in this zone too.
    "zones/public.xml": '<zone><service name="ssh"/><interface name="eth0"/></zone>',
    "policies/silent.xml": """<policy target="DROP"><ingress-zone name="HOST"/><egress-zone name="public"/>
<rule><port port="67" protocol="udp"/><accept/></rule></policy>""",
}


def ours() -> list[str]:
    """The rules that there are for the call alone."""
    rules = lab.run("nft", "list", "ruleset").output.splitlines()
    return sorted(line.strip() for line in rules if lab.SERVER in line or f'"{TUNNEL}"' in line)


@pytest.fixture
def firewalld(configured: None) -> Iterator[None]:
    folder, forwarding = Path("/etc/firewalld"), FORWARDING.read_text()
    for name, text in FIREWALLD.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    lab.run("systemctl", "unmask", "firewalld.service")
    lab.run("systemctl", "start", "firewalld.service")
    # It is on the bus before it has made its rules, and answers after it.
    lab.eventually(lambda: lab.run("firewall-cmd", "--state", check=False).ok, 240, "firewalld has made its rules")
    yield
    lab.link("Disconnect")
    lab.run("systemctl", "stop", "firewalld.service")
    lab.run("systemctl", "mask", "firewalld.service")
    for name in FIREWALLD:
        (folder / name).unlink()
    FORWARDING.write_text(forwarding)  # firewalld does not


@pytest.fixture
def ufw(configured: None) -> Iterator[None]:
    lab.run("ufw", "--force", "enable")
    yield
    lab.link("Disconnect")
    lab.run("ufw", "disable")
    lab.run("nft", "flush", "ruleset")  # its chains stay, and let everything through


def kill_helper_and_call() -> None:
    lab.link("Update", "a{sv}", "1", "reconnect", "b", "false")
    helper = lab.helper_pid()
    os.kill(helper, signal.SIGKILL)
    os.kill(lab.pppd_pid(), signal.SIGKILL)
    lab.eventually(lambda: lab.helper_pid() not in (0, helper), 20, "the next helper")


def check_closed() -> None:
    """The control: as it is, it lets no call through."""
    assert not lab.link("Connect", check=False).ok
    lab.link("Disconnect")
    assert ours() == []


def open_the_firewall() -> None:
    lab.link("Update", "a{sv}", "1", "firewall", "s", "open")


def is_open_again(opened: list[str]) -> bool:
    """Whether the link is up and its openings are there; a closed firewall ends a call once pptp or an echo tells."""
    return lab.prop("State") == "up" and ours() == opened and lab.reaches()


@pytest.mark.usefixtures("firewalld")
def test_firewalld_is_asked_and_asked_again_after_a_reload() -> None:
    stopped = (
        r"The firewall stops TCP port 1723 to the server: rule handle \d+ of chain filter_\w+ of table inet firewalld\."
    )
    assert re.fullmatch(f"bad: {stopped}", findings()["firewall"])
    check_closed()
    open_the_firewall()
    lab.link("Connect")
    lab.link("Disconnect")
    lab.eventually(lambda: not ours(), 20, "Disconnect has taken all of it back")
    lab.link("Connect")
    lab.eventually(lambda: any("filter_IN_external" in rule for rule in ours()), 10, "the tunnel is in its zone")
    assert lab.reaches()
    opened = ours()
    assert len([rule for rule in opened if lab.SERVER in rule]) == 3
    lab.run("firewall-cmd", "--reload", check=False)  # on an emulated processor it does not wait for long enough
    again = lab.eventually(lambda: is_open_again(opened), 120, "what the reload has forgotten is there again")
    print(f"open again {again:.2f} s after a reload")
    kill_helper_and_call()
    lab.eventually(lambda: not ours(), 20, "the next helper has taken all of it back")


@pytest.mark.usefixtures("ufw")
def test_ufw_is_opened_and_opened_again_when_somebody_closes_it() -> None:
    place = "chain OUTPUT of table ip filter"
    assert findings()["firewall"] == f"unknown: The firewall may stop TCP port 1723 to the server: {place}."
    check_closed()
    open_the_firewall()
    lab.link("Connect")
    lab.link("Disconnect")
    assert ours() == [], "Disconnect has closed it"
    lab.link("Connect")
    assert lab.reaches()
    opened = ours()
    gre = ("-s", lab.SERVER, "-p", "gre", "-m", "comment", "--comment", f"cablecar {lab.LINK}", "-j", "ACCEPT")
    with lab.stopped(lab.helper_pid()):
        lab.run("iptables", "-D", "INPUT", *gre)
        assert not lab.reaches(), "conntrack takes none of GRE for an answer"
    again = lab.eventually(lambda: is_open_again(opened), 120, "it is open again")
    lab.run("ufw", "reload")
    print(f"open again {again:.2f} s after somebody closed it")
    lab.eventually(lambda: is_open_again(opened), 120, "and after a reload")
    kill_helper_and_call()
    lab.eventually(lambda: not ours(), 20, "the next helper has closed it")
