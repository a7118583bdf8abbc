"""What a DHCP client keeps of its lease, read from its file or its properties: pure functions on text and bytes.

    dhclient            /var/lib/dhcp/dhclient*.leases       dhclient.leases(5): the last lease of an interface is valid
    systemd-networkd    /run/systemd/netif/leases/IFINDEX    KEY=VALUE lines
    dhcpcd              /var/lib/dhcpcd/IF*.lease            the server's last message as it came (RFC 2131)
    NetworkManager      property Options of its DHCP4Config  dhclient's names of the options

udhcpc keeps no file, and its script (Debian's) writes of a lease only the name servers, into a resolv.conf that others
write too. Its address and its router are the kernel's to tell; it needs no pin to its server, since it asks by
broadcast one that is not on its own wire (1.35, measured).

All of it was said by whoever answers DHCP on the cable: only addresses and one host name are taken from it, and whether
an address can be believed is `plan.py`'s business.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import Final, NamedTuple

MOST: Final = 8  # addresses of one kind; nobody needs more, and each becomes a route

_TOKEN: Final = re.compile(r'"(?P<string>(?:[^"\\\n]|\\.)*)"|(?P<mark>[{};])|(?P<word>[^\s"{};]+)')
_DOMAIN_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_HEADER: Final = 236  # bytes of a DHCP message before its options
_YOUR_ADDRESS: Final = slice(16, 20)
_COOKIE: Final = b"\x63\x82\x53\x63"
_PAD, _END = 0, 255
_ROUTERS, _DNS, _DOMAIN, _SERVER = 3, 6, 15, 54


class Lease(NamedTuple):
    """What an interface was given.

    Attributes:
        holder: The program that has it, as it is called.
        address: The interface's address.
        routers: The ways out, the first being the one to use.
        server: The DHCP server; None when it is not told.
        dns: The name servers.
        former: Ways out that earlier leases of the same file named and this one does not.
        domain: What short names are completed with; empty when nothing usable was given.
    """

    holder: str
    address: IPv4Address
    routers: tuple[IPv4Address, ...] = ()
    server: IPv4Address | None = None
    dns: tuple[IPv4Address, ...] = ()
    domain: str = ""
    former: tuple[IPv4Address, ...] = ()


def of_dhclient(text: str, interface: str) -> Lease | None:
    """Return the last whole lease of an interface in a file of dhclient's."""
    own = [values for values in _dhclient_leases(text) if values.get("interface") == interface]
    last = own[-1] if own else {}
    lease = _lease(
        "dhclient",
        last.get("fixed-address", ""),
        last.get("option routers", ""),
        last.get("option dhcp-server-identifier", ""),
        last.get("option domain-name-servers", ""),
        last.get("option domain-name", ""),
    )
    earlier = _addresses(" ".join(values.get("option routers", "") for values in own[:-1]))
    return lease and lease._replace(former=tuple(router for router in earlier if router not in lease.routers))


def of_networkd(text: str) -> Lease | None:
    """Return the lease in a file of systemd-networkd's; such a file is of one interface."""
    values = {key: value.strip('"') for key, _, value in (line.partition("=") for line in text.splitlines())}
    return _lease(
        "systemd-networkd",
        values.get("ADDRESS", ""),
        values.get("ROUTER", ""),
        values.get("SERVER_ADDRESS", ""),
        values.get("DNS", ""),
        values.get("DOMAINNAME", ""),
    )


def of_dhcpcd(data: bytes) -> Lease | None:
    """Return the lease in a file of dhcpcd's; such a file is of one interface."""
    if len(data) < _HEADER + len(_COOKIE) or data[_HEADER : _HEADER + len(_COOKIE)] != _COOKIE:
        return None
    options = dict(_options(data[_HEADER + len(_COOKIE) :]))
    servers = _packed(options.get(_SERVER, b""))
    return Lease(
        "dhcpcd",
        IPv4Address(data[_YOUR_ADDRESS]),
        _packed(options.get(_ROUTERS, b"")),
        servers[0] if servers else None,
        _packed(options.get(_DNS, b"")),
        _name(options.get(_DOMAIN, b"").rstrip(b"\0").decode("ascii", "replace")),  # RFC 2132, 2: some end it so
    )


def of_network_manager(options: Mapping[str, object]) -> Lease | None:
    """Return the lease in the property `Options` of a DHCP4Config of NetworkManager's."""
    keys = ("ip_address", "routers", "dhcp_server_identifier", "domain_name_servers", "domain_name")
    return _lease("NetworkManager", *(str(options.get(key, "")) for key in keys))


def _lease(holder: str, address: str, routers: str, server: str, dns: str, domain: str) -> Lease | None:
    own, servers = _addresses(address), _addresses(server)
    if not own:
        return None
    server_or_none = servers[0] if servers else None
    return Lease(holder, own[0], _addresses(routers), server_or_none, _addresses(dns), _name(domain))


def _name(text: str) -> str:
    text = text.removesuffix("\\000").removesuffix(".")  # a NUL as dhclient writes it; the root of all names
    return text if len(text) <= 253 and _DOMAIN_NAME.fullmatch(text) else ""


def _addresses(text: str) -> tuple[IPv4Address, ...]:
    found = []
    for word in re.split(r"[\s,]+", text):
        try:
            found.append(IPv4Address(word))
        except AddressValueError:
            continue  # nothing, or nothing of ours to understand
    return tuple(dict.fromkeys(found))[:MOST]


def _dhclient_leases(text: str) -> Iterator[Mapping[str, str]]:
    """Yield each whole lease: its statements' last words by the words before them."""
    values: dict[str, str] | None = None
    statement: list[str] = []
    for token in _TOKEN.finditer(text):
        mark = token["mark"]
        if mark is None:
            statement.append(token["word"] if token["string"] is None else token["string"])
        elif mark == ";":
            if values is not None and statement:
                length = 2 if statement[0] == "option" else 1
                values[" ".join(statement[:length])] = " ".join(statement[length:])
            statement = []
        elif mark == "{":
            values = {} if statement == ["lease"] else None
            statement = []
        else:
            if values is not None:
                yield values
            values, statement = None, []


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 1 < len(data) and data[position] != _END:
        if data[position] == _PAD:
            position += 1
            continue
        end = position + 2 + data[position + 1]
        yield data[position], data[position + 2 : end]
        position = end


def _packed(data: bytes) -> tuple[IPv4Address, ...]:
    whole = [data[start : start + 4] for start in range(0, len(data) - 3, 4)]
    return tuple(dict.fromkeys(map(IPv4Address, whole)))[:MOST]
