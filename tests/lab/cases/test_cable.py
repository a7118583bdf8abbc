"""The cable's lease: what it names stays on the cable while a call is up, and is followed when it changes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from holders import DHCP_SERVER, DNS, HOLDERS, Holder

LEASES = Path("/var/lib/dhcp/dhclient.eth0.leases")
REPAIRED_WITHIN, REDIALED_WITHIN = 5, 15  # seconds after a lease
NEW_LEASE = "systemctl restart cable-lease.service"


def pins() -> dict[str, str]:
    """Our host routes: destination and router."""
    rows = lab.run("ip", "-4", "route", "show", "table", "main", "proto", "201").output.splitlines()
    return {words[0]: words[words.index("via") + 1] for words in (row.split() for row in rows) if "via" in words}


def findings() -> dict[str, str]:
    """What Diagnose says: verdict and what was seen, by check."""
    text = lab.run(*("busctl", "--json=short", "--timeout=120", "call", *lab.MANAGER, "Diagnose", "s", lab.LINK)).output
    rows = [{key: value["data"] for key, value in row.items()} for row in json.loads(text)["data"][0]]
    for row in rows:
        print(row)
    return {row["id"]: f"{row['verdict']}: {row['seen']}" for row in rows}


def goes_through() -> bool:
    """Whether there is traffic by the tunnel."""
    return lab.device_to(lab.HOST).startswith("ppp") and lab.reaches()


def renewals(since: str) -> int:
    return lab.journal("-u", "isp-metro.service", "--since", since).count("DHCPACK(")


@pytest.fixture
def distant(configured: None) -> Iterator[None]:
    """A lease from a DHCP server beyond the cable's router; afterwards the usual one again."""
    lab.isp("relay")
    lab.run("sh", "-c", NEW_LEASE)
    yield
    lab.link("Disconnect")
    lab.isp("reset")
    lab.run("sh", "-c", NEW_LEASE)


@pytest.fixture(params=["systemd-networkd", "NetworkManager"])
def holder(configured: None, request: pytest.FixtureRequest) -> Iterator[Holder]:
    """Some DHCP client holds a lease of the distant server; afterwards dhclient holds the usual one again."""
    lab.isp("relay")
    holder = HOLDERS[request.param]
    holder.take()
    if holder.name == "dhclient":
        holder.restart()  # a lease of that server
    yield holder
    lab.link("Disconnect")
    lab.isp("reset")
    holder.leave()


def test_whoever_holds_the_lease_is_understood(holder: Holder) -> None:
    lab.link("Connect")
    assert pins() == dict.fromkeys((lab.SERVER, DHCP_SERVER, DNS), "10.20.30.1")
    assert f"from {holder.name}; the router is 10.20.30.1" in findings()["lease"]


@pytest.mark.whole
def test_whoever_holds_the_lease_is_followed(holder: Holder) -> None:
    lab.isp("renew", "5")
    holder.restart()
    lab.link("Connect")
    everywhere = dict.fromkeys((lab.SERVER, DHCP_SERVER, DNS), "10.20.30.1")
    for what, work in (("restarted", holder.restart), ("told to set the cable up anew", holder.set_up_anew)):
        call = lab.pppd_pid()
        work()
        flows = lab.eventually(goes_through, REDIALED_WITHIN, "traffic flows")
        is_kept = lab.pppd_pid() == call  # with the address that it has a call may end; then another one is dialed
        assert flows < REPAIRED_WITHIN or not is_kept
        print(
            f"{holder.name} was {what}: traffic {flows:.1f} s after the lease, by {'that' if is_kept else 'a new'} call"
        )
        lab.eventually(lambda: pins() == everywhere, REPAIRED_WITHIN, "the pins are there")
    lab.isp("router", "10.20.30.2")
    begin = time.monotonic()
    moved = dict.fromkeys(everywhere, "10.20.30.2")
    lab.eventually(lambda: pins() == moved, 30, "the pins have moved")
    assert lab.reaches()
    print(f"another router, in a lease that is due every 5 s: traffic by it after {time.monotonic() - begin:.1f} s")


# systemd-networkd takes the address away at once, and pptp ends by the next packet that it cannot send.
@pytest.mark.whole
@pytest.mark.parametrize("holder", ["NetworkManager"], indirect=True)
@pytest.mark.usefixtures("holder")
def test_a_short_loss_of_carrier_costs_no_call_whoever_keeps_the_address() -> None:
    lab.link("Connect")
    lab.check_a_short_loss_of_carrier(1, 20)


@pytest.mark.usefixtures("distant")
def test_a_distant_dhcp_server_and_dns_are_pinned_and_released() -> None:
    lab.link("Connect")
    assert pins() == {lab.SERVER: "10.20.30.1", DHCP_SERVER: "10.20.30.1", DNS: "10.20.30.1"}
    for address in (DHCP_SERVER, DNS, lab.SERVER):
        assert lab.device_to(address) == "eth0"
    assert lab.device_to(lab.HOST) == "ppp0"
    lab.run("ip", "route", "flush", "proto", "201")
    print(f"flushed pins are back after {lab.eventually(lambda: len(pins()) == 3, 2, 'repaired'):.2f} s")
    found = findings()
    assert {name: text for name, text in found.items() if not text.startswith("good")} == {}
    lab.link("Disconnect")
    assert lab.our_routes_and_rules() == []


@pytest.mark.usefixtures("distant")
def test_a_lease_is_renewed_by_the_distant_server_while_a_call_is_up() -> None:
    lab.isp("renew", "5")
    lab.run("sh", "-c", NEW_LEASE)
    lab.link("Connect")
    begin = time.strftime("%F %T")
    # A renewal is sent to the server's own address: it gets there by the cable or not at all. The server tells of each,
    # the file of dhclient's of one in 15 seconds.
    waited = lab.eventually(lambda: renewals(begin) > 1, 40, "the lease is renewed, twice", pause=0.5)
    print(f"renewed twice within {waited:.0f} s")
    assert lab.prop("State") == "up"


@pytest.mark.usefixtures("distant")
def test_a_renewal_with_another_router_is_followed() -> None:
    lab.isp("renew", "5")
    lab.run("sh", "-c", NEW_LEASE)
    lab.link("Connect")
    lab.isp("router", "10.20.30.2")
    lab.eventually(lambda: "routers 10.20.30.2" in LEASES.read_text(), 30, "the lease is renewed", pause=0.02)
    begin = time.monotonic()
    everywhere = dict.fromkeys((lab.SERVER, DHCP_SERVER, DNS), "10.20.30.2")
    lab.eventually(lambda: pins() == everywhere, 2, "the pins have moved", pause=0.02)
    print(f"pins follow {time.monotonic() - begin:.2f} s after the lease")
    assert lab.prop("State") == "up"
    assert lab.reaches()


@pytest.mark.usefixtures("distant")
def test_the_name_is_asked_of_the_cables_dns_while_a_tunnel_is_up() -> None:
    lab.link("Update", "a{sv}", "1", "server", "s", "pptp.provider.example")
    lab.link("Connect")
    # From now on the machine itself would ask somebody else.
    lab.run("resolvectl", "dns", "eth0", "10.20.30.1")
    begin = time.strftime("%F %T")
    lab.link("Reconnect")
    assert findings()["server-name"] == f"good: The server is {lab.SERVER}."
    assert "query[A] pptp.provider.example from 10.20.30." in lab.journal("-u", "isp-metro.service", "--since", begin)
    assert list(Path("/run/cablecar").glob("*.resolv")) == []


@pytest.mark.whole
@pytest.mark.parametrize("holder", list(HOLDERS), indirect=True)
def test_a_cable_under_another_name_is_followed(holder: Holder) -> None:
    lab.link("Update", "a{sv}", "1", "interface", "s", "eth0")
    lab.link("Connect")
    try:
        for old, new in (("eth0", "usb0"), ("usb0", "eth0")):
            holder.rename(old, new)
            back = lab.eventually(lambda: lab.prop("State") == "up" and lab.reaches(), 40, f"traffic flows by {new}")
            print(f"{holder.name}: traffic flows {back:.1f} s after the lease of {new}")
            assert lab.device_to(lab.SERVER) == new
            assert findings()["cable"] == f"good: The cable is {new}, and it has a carrier."
    finally:
        if Path("/sys/class/net/usb0").exists():
            holder.rename("usb0", "eth0")


@pytest.mark.usefixtures("configured")
def test_the_server_is_tried_and_the_firewall_is_read() -> None:
    assert findings()["server"] == f"good: {lab.SERVER} takes connections to TCP port 1723."
    lab.isp("stop")
    assert findings()["server"] == f"bad: {lab.SERVER} refuses connections to TCP port 1723."
    lab.isp("cut")
    rules = "add table inet wall; add chain inet wall in { type filter hook input priority 0; policy drop; }"
    lab.run("nft", rules)
    try:
        found = findings()
    finally:
        lab.run("nft", "delete table inet wall")
    assert found["server"] == f"bad: {lab.SERVER} does not answer on TCP port 1723."
    assert found["firewall"] == "bad: The firewall stops TCP port 1723 from the server: chain in of table inet wall."
