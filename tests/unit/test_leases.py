"""Leases as each DHCP client leaves them: samples of the programs' own making, and hostile ones."""

import struct
from ipaddress import IPv4Address

import pytest

from cablecar.helper.leases import MOST, Lease, of_dhclient, of_dhcpcd, of_network_manager, of_networkd

# isc-dhcp-client 4.4.3
DHCLIENT = """default-duid "\\000\\001\\000\\0011\\224\\205\\022RT\\000\\0224V";
lease {
  interface "eth0";
  fixed-address 10.20.30.144;
  option subnet-mask 255.255.255.0;
  option routers 10.20.30.254;
  option dhcp-lease-time 3600;
  option dhcp-message-type 5;
  option dhcp-server-identifier 10.20.30.254;
  option domain-name-servers 10.20.30.254;
  renew 0 2026/11/22 16:00:00;
  rebind 0 2026/11/22 16:20:00;
  expire 0 2026/11/22 16:30:00;
}
lease {
  interface "eth0";
  fixed-address 10.20.30.145;
  filename "pxelinux.0";
  option subnet-mask 255.255.255.0;
  option routers 10.20.30.1,10.20.30.2;
  option dhcp-lease-time 3600;
  option dhcp-message-type 5;
  option domain-name-servers 10.99.0.53,10.99.0.54;
  option dhcp-server-identifier 10.99.0.1;
  option dhcp-renewal-time 1800;
  option broadcast-address 10.20.30.255;
  option domain-name "provider.example";
  renew 0 2026/11/22 16:29:48;
  rebind 0 2026/11/22 16:52:18;
  expire 0 2026/11/22 16:59:48;
}
lease {
  interface "wlan0";
  fixed-address 192.168.1.7;
  option dhcp-server-identifier 192.168.1.1;
}
"""
# systemd 252
NETWORKD = """# This is private data. Do not parse.
ADDRESS=10.20.30.145
NETMASK=255.255.255.0
ROUTER=10.20.30.1 10.20.30.2
SERVER_ADDRESS=10.99.0.1
NEXT_SERVER=10.99.0.1
BROADCAST=10.20.30.255
T1=1800
T2=3150
LIFETIME=3600
DNS=10.99.0.53 10.99.0.54
DOMAINNAME=provider.example
HOSTNAME=lab
CLIENTID=ffc77d2bd600020000ab11a6d2f2a1a2c3d4e5
"""
# NetworkManager 1.42, as `busctl get-property` shows the options
NETWORK_MANAGER: dict[str, object] = {
    "broadcast_address": "10.20.30.255",
    "dhcp_lease_time": "3600",
    "dhcp_server_identifier": "10.99.0.1",
    "domain_name": "provider.example",
    "domain_name_servers": "10.99.0.53 10.99.0.54",
    "expiry": "1795368000",
    "ip_address": "10.20.30.145",
    "requested_routers": "1",
    "routers": "10.20.30.1 10.20.30.2",
    "subnet_mask": "255.255.255.0",
}


def packed(*addresses: str) -> bytes:
    return b"".join(IPv4Address(address).packed for address in addresses)


def option(code: int, value: bytes) -> bytes:
    return bytes([code, len(value)]) + value


def message(*options: bytes, address: str = "10.20.30.145") -> bytes:
    """A DHCPACK as RFC 2131 has it, which is what dhcpcd 9 and 10 keep."""
    header = struct.pack("!BBBBIHH4s4s4s4s16s64s128s", 2, 1, 6, 0, 0x1234, 0, 0, bytes(4), packed(address), bytes(4),
                         bytes(4), bytes(16), bytes(64), bytes(128))  # fmt: skip
    return header + b"\x63\x82\x53\x63" + b"".join(options) + b"\xff"


DHCPCD = message(
    option(53, b"\x05"), option(54, packed("10.99.0.1")), option(51, b"\0\0\x0e\x10"), b"\0\0",
    option(3, packed("10.20.30.1", "10.20.30.2")), option(6, packed("10.99.0.53", "10.99.0.54")),
    option(15, b"provider.example"),
)  # fmt: skip


def expected(holder: str) -> Lease:
    return Lease(
        holder,
        IPv4Address("10.20.30.145"),
        (IPv4Address("10.20.30.1"), IPv4Address("10.20.30.2")),
        IPv4Address("10.99.0.1"),
        (IPv4Address("10.99.0.53"), IPv4Address("10.99.0.54")),
        "provider.example",
        (IPv4Address("10.20.30.254"),) if holder == "dhclient" else (),
    )


def test_each_client_is_understood() -> None:
    assert of_dhclient(DHCLIENT, "eth0") == expected("dhclient")
    assert of_networkd(NETWORKD) == expected("systemd-networkd")
    assert of_dhcpcd(DHCPCD) == expected("dhcpcd")
    assert of_network_manager(NETWORK_MANAGER) == expected("NetworkManager")


def test_earlier_routers_are_remembered() -> None:
    found = of_dhclient(DHCLIENT, "eth0")
    assert found is not None
    assert found.former == (IPv4Address("10.20.30.254"),)
    same = of_dhclient(DHCLIENT.replace("10.20.30.254", "10.20.30.1"), "eth0")
    assert same is not None
    assert same.former == ()


def test_the_last_lease_of_our_interface_counts() -> None:
    other = of_dhclient(DHCLIENT, "wlan0")
    assert other is not None
    assert (str(other.address), str(other.server), other.dns) == ("192.168.1.7", "192.168.1.1", ())
    assert of_dhclient(DHCLIENT, "eth1") is None


def test_a_lease_that_is_being_written_does_not_count_yet() -> None:
    begun = DHCLIENT + 'lease {\n  interface "eth0";\n  fixed-address 10.20.30.99;\n'
    assert of_dhclient(begun, "eth0") == expected("dhclient")


@pytest.mark.parametrize("start", range(0, 400, 7))
def test_the_end_of_a_file_is_enough(start: int) -> None:
    found = of_dhclient(DHCLIENT[start:], "eth0")
    assert found is not None
    assert found._replace(former=()) == expected("dhclient")._replace(former=())


@pytest.mark.parametrize(
    "name",
    [
        '"; } lease { interface "eth0"; fixed-address 10.20.30.145; option dhcp-server-identifier 1.1.1.1; }',
        "}\\n",
        "lease {",
        "x;y",
        "\\\\",
    ],
)
def test_a_text_of_the_servers_ends_no_lease(name: str) -> None:
    quoted = name.replace('"', '\\"')  # as dhclient writes it
    text = DHCLIENT.replace("pxelinux.0", quoted)
    assert of_dhclient(text, "eth0") == expected("dhclient")


@pytest.mark.parametrize("name", ["a b", "x\nnameserver 1.1.1.1", "-x", "é", "", "x" * 254, "a..b\x00"])
def test_a_domain_that_is_none_is_left_out(name: str) -> None:
    found = of_network_manager(NETWORK_MANAGER | {"domain_name": name})
    assert found is not None
    assert found.domain == ""


@pytest.mark.parametrize(
    "text", ["", "lease {", "}" * 1000, '"' * 1000, "lease { lease { ; } }", "\x00\xff", "a" * 65536]
)
def test_nonsense_is_no_lease(text: str) -> None:
    assert of_dhclient(text, "eth0") is None
    assert of_networkd(text) is None
    assert of_dhcpcd(text.encode()) is None
    assert of_network_manager({"ip_address": text}) is None


@pytest.mark.parametrize("length", range(0, len(DHCPCD), 9))
def test_a_message_that_is_cut_harms_nobody(length: int) -> None:
    found = of_dhcpcd(DHCPCD[:length])
    assert found is None or found.holder == "dhcpcd"


def test_a_domain_that_ends_as_in_c_is_one() -> None:
    found = of_dhcpcd(message(option(15, b"provider.example\0")))
    assert found is not None
    assert found.domain == "provider.example"


@pytest.mark.parametrize("end", [".", "\\000"])
def test_a_domain_is_the_same_however_it_ends(end: str) -> None:
    found = of_dhclient(DHCLIENT.replace('"provider.example"', f'"provider.example{end}"'), "eth0")
    assert found is not None
    assert found.domain == "provider.example"


def test_no_more_addresses_are_taken_than_anybody_needs() -> None:
    many = " ".join(f"10.0.0.{number}" for number in range(200))
    found = of_networkd(f"ADDRESS=10.20.30.145\nDNS={many}\nROUTER=x 999.1.1.1 ::1\n")
    assert found is not None
    assert (len(found.dns), found.routers) == (MOST, ())
    raw = of_dhcpcd(message(option(6, packed(*many.split()[:60]))))
    assert raw is not None
    assert len(raw.dns) == MOST
