"""Living with it at a shell: files, Reload, Update, names of servers, History, import, diagnosis, `pon` and `poff`."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lab
import oracle
import pytest

FILE = Path(f"/etc/cablecar/links/{lab.LINK}.toml")
NAME = "pptp.provider.example"
NAME_SERVER = "198.51.100.53"  # as the peer tells it


def answer(member: str, *arguments: str, link: bool = True) -> Any:
    target = ("org.cablecar1", lab.PATH, "org.cablecar1.Link") if link else lab.MANAGER
    return json.loads(lab.run("busctl", "--json=short", "call", *target, member, *arguments).output)["data"][0]


def values(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value["data"] for key, value in row.items()}


@pytest.mark.usefixtures("configured")
def test_a_server_is_found_by_its_name() -> None:
    lab.link("Update", "a{sv}", "1", "server", "s", NAME)
    lab.link("Connect")
    assert values(answer("Details"))["server"] == NAME
    assert lab.device_to(lab.SERVER) == "eth0"
    assert lab.reaches()
    lab.link("Disconnect")
    assert not [path for path in Path("/run/cablecar").iterdir() if path.suffix in (".lookup", ".addresses")]


@pytest.mark.usefixtures("configured")
def test_a_server_that_has_no_address_is_named() -> None:
    lab.link("Update", "a{sv}", "1", "server", "s", "nobody.provider.example")
    refused = lab.link("Connect", check=False)
    assert "could not be looked up" in refused.error
    assert lab.prop("Reason") == "server-not-found"
    lab.link("Disconnect")


@pytest.mark.usefixtures("configured")
def test_a_file_that_is_edited_holds_after_reload() -> None:
    FILE.write_text(FILE.read_text() + 'route = ["198.51.100.0/28"]  # only the office\n')
    lab.manager("Reload")
    lab.link("Connect")
    assert lab.device_to(lab.HOST) == "ppp0"
    assert lab.device_to("198.51.100.200") == "eth0"
    assert lab.reaches()
    lab.link("Update", "a{sv}", "1", "debug", "b", "true")
    assert "# only the office" in FILE.read_text()
    lab.link("Disconnect")


@pytest.mark.usefixtures("up")
def test_a_broken_file_is_named_with_its_line_and_harms_no_call() -> None:
    whole, call = FILE.read_text(), lab.pppd_pid()
    FILE.write_text(whole + "mtu = 3\n")
    line = len(FILE.read_text().splitlines())
    refused = lab.manager("Reload", check=False)
    assert f"{FILE}, line {line}" in refused.error
    lab.run("systemctl", "restart", "cablecar-helper.service")
    assert (lab.prop("State"), lab.pppd_pid()) == ("up", call)
    assert lab.reaches()
    assert f"{FILE}, line {line}" in lab.journal("-u", "cablecar-helper.service", "-n", "20")
    FILE.write_text(whole)
    lab.manager("Reload")


@pytest.mark.usefixtures("up")
def test_a_link_whose_file_is_removed_is_taken_down_by_reload() -> None:
    FILE.unlink()
    lab.manager("Reload")
    assert lab.call_processes() == []
    assert not Path(f"/etc/ppp/peers/{lab.LINK}").exists()
    lab.add_link()


@pytest.mark.usefixtures("up")
def test_history_tells_of_the_drop() -> None:
    lab.run("ping", "-c", "10", "-i", "0.05", "-q", lab.HOST)
    lab.isp("kill")
    lab.eventually(lambda: answer("History", "u", "5"), 15, "the drop is written down")
    (record,) = (values(row) for row in answer("History", "u", "5"))
    assert record["reason"] == "hangup"
    assert 0 < record["dialed"] < record["connected"] < record["ended"] <= time.time() * 1e6
    assert min(record["received"], record["sent"]) > 500  # ten pings of 84 bytes, as pppd counts them
    lab.eventually(lambda: lab.prop("State") == "up", 20, "back by itself")


@pytest.mark.usefixtures("up")
def test_diagnosis_of_a_link_that_is_up_is_good() -> None:
    findings = {row["id"]: row for row in map(values, answer("Diagnose", "s", lab.LINK, link=False))}
    assert {name: row["seen"] for name, row in findings.items() if row["verdict"] != "good"} == {}
    assert "eth0" in findings["cable"]["seen"]


@pytest.mark.usefixtures("configured")
def test_diagnosis_names_what_is_missing() -> None:
    Path(f"/etc/cablecar/secrets/{lab.LINK}").unlink()
    lab.isp("unplug")
    findings = {row["id"]: row for row in map(values, answer("Diagnose", "s", lab.LINK, link=False))}
    assert {name for name, row in findings.items() if row["verdict"] == "bad"} == {"password", "cable"}
    assert all(row["advice"] for row in findings.values() if row["verdict"] == "bad")


@pytest.fixture
def by_hand() -> Iterator[None]:
    """A peer as the HOWTO's readers made it."""
    peers, secrets = Path("/etc/ppp/peers/My-ISP"), Path("/etc/ppp/pap-secrets")
    before = secrets.read_bytes()
    peers.write_text(
        f'pty "/usr/sbin/pptp {lab.SERVER} --nolaunchpppd"\nuser {lab.USER}\nremotename myisp\nnoauth\n'
        "defaultroute\nusepeerdns\npersist\nplugin /tmp/p.so\n"
    )
    secrets.write_bytes(before + f'"{lab.USER}" myisp "{lab.PASSWORD}"\n'.encode())
    yield
    peers.unlink()
    secrets.write_bytes(before)


@pytest.mark.usefixtures("by_hand")
def test_a_hand_made_peer_is_taken_over_and_connects() -> None:
    assert answer("ListPeers", link=False) == ["My-ISP"]
    path = answer("ImportPeer", "s", "My-ISP", link=False)
    before = oracle.foreign_files()
    target = ("org.cablecar1", path, "org.cablecar1.Link")
    lab.bus(*target, "Connect")
    assert lab.reaches()
    lab.bus(*target, "Disconnect")
    name = path.rpartition("/")[2]
    text = Path(f"/etc/cablecar/links/{name}.toml").read_text()
    assert "plugin" in text
    lab.manager("RemoveLink", "s", name)
    oracle.check(None, before)


@pytest.mark.usefixtures("configured")
def test_pon_and_poff_are_seen_and_routed() -> None:
    lab.link("Connect")
    lab.link("Disconnect")
    with lab.listening() as signals:
        lab.run("pon", lab.LINK)
        lab.eventually(lambda: lab.prop("State") == "up", 20, "the call that was dialed by hand is shown")
        assert lab.device_to(lab.HOST) == "ppp0"
        assert lab.device_to(lab.SERVER) == "eth0"
        assert lab.reaches()
        lab.run("poff", lab.LINK)
        lab.eventually(lambda: lab.prop("State") == "down", 20, "poff ends it")
    assert signals.names() == ["Connected", "Disconnected"]
    assert lab.our_routes_and_rules() == []
    lab.stays(lambda: not lab.call_processes(), 4, "nobody asked for it to be kept up")


@pytest.mark.usefixtures("configured")
def test_a_call_by_hand_is_taken_over_after_a_crash_and_hung_up_by_disconnect() -> None:
    lab.link("Connect")
    lab.link("Disconnect")
    lab.run("pon", lab.LINK)
    lab.eventually(lambda: lab.prop("State") == "up", 20, "it is shown")
    os.kill(lab.helper_pid(), signal.SIGKILL)
    lab.eventually(lambda: lab.prop("State") == "up", 20, "it is taken over")
    assert lab.device_to(lab.HOST) == "ppp0"
    lab.link("Disconnect")
    assert lab.call_processes() == []


@pytest.mark.usefixtures("configured")
def test_a_server_that_has_shown_chap_may_not_ask_for_pap() -> None:
    lab.isp("auth", "chap")
    lab.link("Connect")
    assert 'authentication = ["chap", "mschapv2"]' in FILE.read_text()
    lab.link("Disconnect")
    lab.isp("auth", "pap")
    refused = lab.link("Connect", check=False)
    assert not refused.ok
    assert lab.prop("Reason") == "method-refused"
    assert lab.prop("State") == "failed"


@contextmanager
def another(name: str, *settings: str) -> Iterator[tuple[str, str, str]]:
    """A second link that is up meanwhile; where it is on the bus."""
    pairs = ("server", "s", lab.SERVER, "user", "s", lab.USER, *settings)
    lab.manager("AddLink", "sa{sv}", name, "3" if settings else "2", *pairs)
    target = ("org.cablecar1", f"/org/cablecar1/link/{name}", "org.cablecar1.Link")
    try:
        lab.bus(*target, "SetPassword", "s", lab.PASSWORD)
        lab.bus(*target, "Connect")
        yield target
    finally:
        lab.manager("RemoveLink", "s", name)


@pytest.mark.usefixtures("up")
def test_two_links_beside_each_other() -> None:
    """The second takes one network, the first keeps the rest."""
    with another("office", "route", "as", "1", "198.51.100.0/28") as target:
        through = lab.device_to(lab.HOST)
        assert {through, lab.device_to("198.51.100.200")} == {"ppp0", "ppp1"}
        assert lab.reaches()
        lab.bus(*target, "Disconnect")
        assert lab.device_to(lab.HOST) == "ppp0"
        assert lab.device_to(lab.SERVER) == "eth0", "the pin stays as long as one link needs it"


@pytest.mark.usefixtures("up")
def test_of_two_links_that_take_everything_the_first_wins_also_when_the_helper_starts_again() -> None:
    helper, winner = lab.helper_pid(), lab.device_to(lab.HOST)
    with another("attic"):  # systemd lists it before the first
        assert lab.device_to(lab.HOST) == winner
        os.kill(helper, signal.SIGKILL)
        lab.eventually(lambda: lab.helper_pid() not in (0, helper), 20, "systemd starts it again")
        assert lab.prop("State") == "up"
        assert lab.device_to(lab.HOST) == winner
        lab.link("Disconnect")
        assert lab.device_to(lab.HOST) not in (winner, "eth0"), "the other one takes its place"
        assert lab.reaches()


@pytest.mark.usefixtures("configured")
def test_a_link_that_leaves_routing_alone_has_its_name_servers_asked_all_the_same() -> None:
    lab.link("Update", "a{sv}", "1", "route", "s", "none")
    lab.link("Connect")
    assert lab.device_to(lab.HOST) == "eth0"
    assert lab.device_to(NAME_SERVER) == "ppp0"
    lab.link("Disconnect")
    assert lab.device_to(NAME_SERVER) == "eth0"
