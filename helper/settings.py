"""The settings of a link: the only place where a value from outside becomes a setting.

One vocabulary for the bus (`a{sv}`) and the file (TOML). `parse` takes plain Python values, refuses unknown keys
and values by name, and returns an immutable `Settings`. Pure: no file, no resolver, no interface is looked at.
What the vocabulary has and this version does not do yet is refused by name as well: nothing is taken and ignored.
"""

import dataclasses
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cablecar.helper.carriers import BY_PROTOCOL, PROTOCOLS
from cablecar.helper.errors import InvalidName, InvalidPassword, InvalidSetting
from cablecar.helper.names import LINK_NAME

AUTHENTICATION_METHODS: Final = ("pap", "chap", "mschapv2", "eap")  # the weakest first
# EAP only when asked for by name: a hole in pppd's EAP code once was open before authentication (CVE-2020-8597).
OFFERED_BY_DEFAULT: Final = ("pap", "chap", "mschapv2")
ENCRYPTION: Final = ("no", "required")
MAX_TITLE: Final = 64  # characters; longer ones do not fit a menu
MAX_PPPOE_NAME: Final = 255  # bytes of the name of a concentrator or a service; what a word of pppd's files holds
MAX_CREDENTIAL: Final = 255  # bytes; one length byte in PAP (RFC 1334) and pppd's MAXNAMELEN, MAXSECRETLEN
MTU_RANGE: Final = (576, 1500)  # bytes; RFC 791's minimum to Ethernet
MAX_VLAN: Final = 4094  # IEEE 802.1Q, without the reserved 0 and 4095
MAX_PREFIXES: Final = 64  # of `route`, and of `strict`
MAX_SHARED: Final = 16  # interfaces of `share`
DNS: Final = ("peer", "cable", "none")
MAX_SERVERS: Final = 3  # of `dns`; resolv.conf(5) has no use for more
MAX_OPTIONS: Final = 32  # of `ppp_options`
PRESET_KEYS: Final = ("protocol", "server", "vlan", "authentication", "encryption", "mtu")  # what a preset fills in
# pppd options can run programs as root: only who can edit root's file sets them.
FILE_ONLY: Final = ("ppp_options",)
SECRET: Final = "tunnel_secret"  # goes in by a method of its own, and never comes out again

# A host name as RFC 1123 has it. It is never given to a shell or an option file: only the address that it
# resolves to is. `\Z`-like anchoring by fullmatch.
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_INTERFACE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")  # IFNAMSIZ is 16 with the final NUL
_NO_CABLE: Final = ("lo", "all", "default")
_OF_CALLS: Final = re.compile(r"(?:ppp|cablecar)[0-9]")  # pppd's, and the VLANs that are made for a call (`plan.py`)
# Private (RFC 1918), of a provider's own (RFC 6598), link-local.
_LOCAL: Final = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"))
)
_PROVIDER: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_BIDI: Final = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # Unicode's Bidi_Control


class Preset(Protocol):
    """What `fill` needs of a provider's preset (`providers.py`)."""

    def defaults(self, protocol: str) -> Mapping[str, object]:
        """Return what the preset says of the keys `PRESET_KEYS`; an empty `protocol` means its first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is configured for one link. Field names are the keys of the file and of the bus.

    Attributes:
        server: Host name or IPv4 address of the server. By PPPoE the name of the access concentrator; empty means
            whichever answers.
        user: The name at the provider, its suffix (`@C012`) included.
        protocol: `pptp`, `l2tp` or `pppoe`.
        service: The name of the PPPoE service that is asked for; empty means any.
        vlan: The number of the VLAN (IEEE 802.1Q) on the cable that PPPoE calls on; 0 means none.
        title: Free text shown to people; empty means the link's name.
        provider: The id of the preset that filled in what was left out; empty means none.
        authentication: The methods that the server may ask for; asking for another ends the call. Empty means
            automatic: all but EAP; after the first success by CHAP or MS-CHAPv2 (pppd does not tell which) these two
            alone, so that the server cannot ask for PAP any more.
        encryption: MPPE: `no` or `required`.
        interface: The cable's interface; empty means the one that the route to the server takes.
        autoconnect: Dial at boot.
        reconnect: Dial again after a drop.
        route: `all` sends the default route through the link, `none` leaves routing alone; or the prefixes that
            alone go through it, such as `198.51.100.0/24`.
        strict: While the link is wanted, let nothing but its call leave this machine; or the prefixes of local networks
            that alone stay reachable beside it.
        dns: `peer` takes the provider's DNS servers, `cable` those of the cable's lease, `none` leaves DNS alone; or
            the addresses of others.
        firewall: `leave` leaves the firewall alone, `open` lets the call through where a rule is in its way.
        share: Internal interfaces whose hosts use the link too.
        mtu: Bytes; 0 means automatic.
        ipv6: Let the peer negotiate IPv6 as well.
        debug: Let pppd log every packet of the negotiation.
        ppp_options: Lines added to the peer file as they are.
        tunnel_secret: What an L2TP server wants to hear before it takes a tunnel; empty where it wants nothing.
    """

    server: str
    user: str
    protocol: str = "pptp"
    service: str = ""
    vlan: int = 0
    title: str = ""
    provider: str = ""
    authentication: tuple[str, ...] = ()
    encryption: str = "no"
    interface: str = ""
    autoconnect: bool = False
    reconnect: bool = True
    route: str | tuple[str, ...] = "all"
    strict: bool | tuple[str, ...] = False
    dns: str | tuple[str, ...] = "peer"
    firewall: str = "leave"
    share: tuple[str, ...] = ()
    mtu: int = 0
    ipv6: bool = False
    debug: bool = False
    ppp_options: tuple[str, ...] = ()
    tunnel_secret: str = ""

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of authentication that the server may ask for."""
        return self.authentication or OFFERED_BY_DEFAULT

    def as_dict(self) -> dict[str, Any]:
        """Return what a file of these settings says, as plain values; `parse` takes them back.

        Left out is what equals the default, unless a preset could fill in something else.
        """
        values = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in ("server", "user") or value != field.default or self._filled(field.name):
                values[field.name] = list(value) if isinstance(value, tuple) else value
        return values

    def _filled(self, key: str) -> bool:
        return bool(self.provider) and key in PRESET_KEYS and key not in meaningless(self.protocol)


def full_dict(settings: Settings) -> dict[str, Any]:
    """Return every setting that may be shown on the bus, defaults included."""
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if key not in (*FILE_ONLY, SECRET)
    }


def check_name(name: str) -> str:
    """Return `name` when it can name a link.

    Raises:
        InvalidName: It is outside the grammar `[a-z][a-z0-9_]{0,30}`.
    """
    if LINK_NAME.fullmatch(name) is None:
        raise InvalidName(
            "A link's name has lower-case letters, digits and underscores, at most 31, and begins with a letter."
        )
    return name


def check_password(password: str) -> bytes:
    """Return the password as the bytes that PPP carries.

    Raises:
        InvalidPassword: It is empty, longer than 255 bytes, or has control characters, those of direction among them.
    """
    try:
        return _credential(password)
    except ValueError as error:
        raise InvalidPassword(f"The password {error}.") from None


def check(key: str, value: object, protocol: str = "") -> Any:
    """Return the value of one setting as `Settings` has it; while no `protocol` is known, any server's name may be one.

    Raises:
        InvalidSetting: There is no such setting, or it does not take this value.
    """
    if (convert := _CHECKS.get(key)) is None:
        raise InvalidSetting(f"There is no setting {_shown(key)}. Known are: {', '.join(_CHECKS)}.", key)
    if key == "server" and protocol in BY_PROTOCOL and BY_PROTOCOL[protocol].over_ip:
        convert = _host
    try:
        return convert(value)
    except ValueError as error:
        raise InvalidSetting(f"The setting `{key}` {error}.", key) from None


def check_from_bus(values: Mapping[str, Any], *, changes: bool = False) -> None:
    """Make sure that values from the bus are each allowed; together they may still be incomplete.

    Args:
        values: The settings of a new link.
        changes: They are for a link that there is: what protocol it has is not known here.

    Raises:
        InvalidSetting: A key is unknown or not for the bus, or a value is not one that the key takes.
    """
    protocol = _protocol_of({"protocol": "", **values} if changes else values)
    for key, value in values.items():
        _check_one(key, value, protocol)


def _check_one(key: str, value: object, protocol: str) -> None:
    if key in FILE_ONLY:
        raise InvalidSetting(f"The setting `{key}` can only be set in the link's file, by root.", key)
    if key == SECRET:
        raise InvalidSetting(f"The setting `{key}` is a secret: the method SetTunnelSecret takes it.", key)
    check(key, value, protocol)


def _protocol_of(values: Mapping[str, Any]) -> str:
    """Return the protocol that values which may be incomplete or wrong speak of, empty when that is not known."""
    protocol = values.get("protocol", "" if "provider" in values else PROTOCOLS[0])
    return protocol if protocol in PROTOCOLS else ""


def faults(values: Mapping[str, Any], presets: Mapping[str, Preset]) -> dict[str, str]:
    """Return a sentence for each key whose value is wrong; under the empty key what concerns the settings together."""
    found = {}
    for key, value in values.items():
        try:
            _check_one(key, value, _protocol_of(values))
        except InvalidSetting as error:
            found[key] = str(error)
    if not found:
        try:
            parse(fill(values, presets))
        except InvalidSetting as error:
            found[error.key] = str(error)
    return found


def fill(values: Mapping[str, Any], presets: Mapping[str, Preset]) -> dict[str, Any]:
    """Return `values` with what the preset they name says of the keys that they leave out.

    Raises:
        InvalidSetting: There is no such preset.
    """
    if not (wanted := values.get("provider", "")):
        return dict(values)
    if (preset := presets.get(check("provider", wanted))) is None:
        raise InvalidSetting("The setting `provider` names no preset. The method Providers lists them.", "provider")
    return {
        **preset.defaults(check("protocol", values.get("protocol", "pptp")) if "protocol" in values else ""),
        **values,
    }


def merge(settings: Settings, values: Mapping[str, Any], presets: Mapping[str, Preset]) -> dict[str, Any]:
    """Return the values of `settings` with `values` in their place; another provider's preset replaces what it knows.

    Another protocol replaces what it does not know, a server's address among it where it calls none, and of what the
    preset has filled in for the old protocol what it says otherwise of the new one: some have a server for each.
    """
    lost = _not_for(values.get("protocol"), settings.protocol)
    kept = {key: value for key, value in settings.as_dict().items() if key not in lost}
    provider = values.get("provider", settings.provider)
    if (preset := presets.get(provider)) is None:
        return {**kept, **values}
    known = preset.defaults(values.get("protocol", ""))
    if provider != settings.provider:
        kept = {key: value for key, value in kept.items() if key not in known}
    elif "protocol" in values:
        before = preset.defaults(settings.protocol)
        kept |= {key: value for key, value in known.items() if key in kept and kept[key] == before.get(key)}
    return {**kept, **values}


def _not_for(wanted: object, present: str) -> frozenset[str]:
    """Return the settings of one protocol that another has no use for."""
    if not isinstance(wanted, str) or wanted not in BY_PROTOCOL or wanted == present:
        return frozenset()
    new, old = BY_PROTOCOL[wanted], BY_PROTOCOL[present]
    return old.own_settings | ({"server"} if new.over_ip != old.over_ip else set())


def parse(values: Mapping[str, Any]) -> Settings:
    """Validate `values` and return them as settings.

    Raises:
        InvalidSetting: A key is unknown or missing, or a value is not one that the key takes.
    """
    protocol = check("protocol", values.get("protocol", PROTOCOLS[0]))
    checked = {key: check(key, value, protocol) for key, value in values.items()}
    if not BY_PROTOCOL[protocol].over_ip:
        checked.setdefault("server", "")
    for key in meaningless(protocol) & checked.keys():
        if checked[key]:
            raise InvalidSetting(
                f"The setting `{key}` means nothing to {BY_PROTOCOL[protocol].title}. Make it empty.", key
            )
    for key in ("server", "user"):
        if key not in checked:
            raise InvalidSetting(f"The setting `{key}` is missing.", key)
    settings = Settings(**checked)
    if settings.encryption == "required" and "mschapv2" not in settings.methods:
        raise InvalidSetting(
            "The setting `encryption` = required needs `mschapv2` in `authentication` (RFC 3079).", "encryption"
        )
    if settings.strict is not False and settings.route != "all":
        raise InvalidSetting("The setting `strict` needs `route` = all: it lets nothing out beside the link.", "strict")
    if settings.interface and settings.interface in settings.share:
        raise InvalidSetting("The setting `share` must not name the cable: only interfaces of the inside.", "share")
    return settings


def meaningless(protocol: str) -> frozenset[str]:
    """Return the settings that have a meaning by another protocol only."""
    carrier = BY_PROTOCOL[protocol]
    return frozenset[str]().union(*(other.own_settings for other in BY_PROTOCOL.values() if other is not carrier))


def _shown(key: object) -> str:
    return f"`{key}`" if isinstance(key, str) and LINK_NAME.fullmatch(key) else "of this name"


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("must be text")
    return value


def _plain(text: str) -> str:
    """Refuse what could forge a line, a terminal sequence or the direction of text (C0, C1, DEL, bidi, separators)."""
    for char in text:
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            raise ValueError("must not have control, formatting or line-breaking characters")
    return text


def _credential(value: object) -> bytes:
    text = _text(value)
    # Nobody sees it in a menu or between other words. What joins letters or parts them belongs to people's writing.
    for char in text:
        if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _BIDI:
            raise ValueError("must not have characters that control, break lines or turn the direction of text")
    data = text.encode()
    if not data:
        raise ValueError("must not be empty")
    if len(data) > MAX_CREDENTIAL:
        raise ValueError(f"must have at most {MAX_CREDENTIAL} bytes of UTF-8")
    return data


def _user(value: object) -> str:
    return _credential(value).decode()


def _title(value: object) -> str:
    text = _plain(_text(value))
    if len(text) > MAX_TITLE:
        raise ValueError(f"must have at most {MAX_TITLE} characters")
    return text


def _tunnel_secret(value: object) -> str:
    text = _text(value)
    if re.fullmatch(r"[!\"$-:<-~]{0,64}", text) is None:  # neither # nor ; as xl2tpd's file has no way to quote them
        raise ValueError("must have at most 64 characters of ASCII, without white space, # and ;")
    return text


def _pppoe_name(value: object) -> str:
    text = _plain(_text(value))
    if len(text.encode()) > MAX_PPPOE_NAME:
        raise ValueError(f"must have at most {MAX_PPPOE_NAME} bytes of UTF-8")
    return text


def _host(value: object) -> str:
    text = _text(value)
    if re.fullmatch(r"[0-9.]*", text):
        try:
            address = ipaddress.IPv4Address(text)
        except ValueError:
            raise ValueError("must be a host name or an IPv4 address") from None
        return check_server_address(address)
    if len(text) > 253 or _HOST.fullmatch(text) is None or text.rstrip(".").rsplit(".", 1)[-1].isdigit():
        raise ValueError("must be a host name or an IPv4 address")
    if re.match(r"0[xX]", text) or text.rstrip(".").lower() == "localhost":
        raise ValueError("must name another machine")
    return text


def check_server_address(address: ipaddress.IPv4Address) -> str:
    """Return the address's text when a server can have it.

    Raises:
        ValueError: It is loopback, unspecified, multicast, broadcast, link-local or reserved.
    """
    if (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or address.is_reserved
        or address.is_link_local
        or address in ipaddress.IPv4Network("0.0.0.0/8")
    ):
        raise ValueError("must be an address that a server can have")
    return str(address)


def _interface(value: object) -> str:
    text = _text(value)
    if text and not _is_cable(text):
        raise ValueError("must be the name of the cable's network interface, such as eth0, or empty")
    return text


def _is_cable(name: str) -> bool:
    """Return whether an interface that is none of ours can be called so."""
    return _INTERFACE.fullmatch(name) is not None and name not in _NO_CABLE and not _OF_CALLS.match(name)


def _authentication(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or any(item not in AUTHENTICATION_METHODS for item in value):
        raise ValueError(f"must be a list out of {', '.join(AUTHENTICATION_METHODS)}, or empty")
    return tuple(method for method in AUTHENTICATION_METHODS if method in value)


def _encryption(value: object) -> str:
    if value == "if-offered":
        # ccp.c of pppd 2.4.9 and 2.5 rejects MPPE that was not required: taken, the value would be ignored.
        raise ValueError("must be no or required: pppd cannot leave encryption to the provider")
    return _one_of(*ENCRYPTION)(value)


def _provider(value: object) -> str:
    text = _text(value)
    if text and _PROVIDER.fullmatch(text) is None:
        raise ValueError("must be the id of a preset, or empty")
    return text


def _route(value: object) -> str | tuple[str, ...]:
    if value in ("all", "none"):
        return str(value)
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_PREFIXES:
        raise ValueError(f"must be all, none, or a list of 1 to {MAX_PREFIXES} IPv4 prefixes")
    return tuple(dict.fromkeys(_prefix(item) for item in value))


def _prefix(value: object) -> str:
    text = _text(value)
    try:
        prefix = ipaddress.IPv4Network(text)
    except ValueError:
        raise ValueError("must have IPv4 prefixes without host bits, such as 198.51.100.0/24") from None
    if prefix.prefixlen == 0:
        raise ValueError("must say all instead of 0.0.0.0/0")
    return str(prefix)


def _strict(value: object) -> bool | tuple[str, ...]:
    if type(value) is bool:
        return value
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_PREFIXES:
        raise ValueError(f"must be true, false, or a list of 1 to {MAX_PREFIXES} prefixes of local networks")
    return tuple(dict.fromkeys(_local_prefix(item) for item in value))


def _local_prefix(value: object) -> str:
    text = _prefix(value)
    # A larger one, or one of the Internet's, would be a hole: who gives the lease chooses what is local.
    if not any(ipaddress.IPv4Network(text).subnet_of(local) for local in _LOCAL):
        raise ValueError(f"must have prefixes out of {', '.join(map(str, _LOCAL))}")
    return text


def _share(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_SHARED:
        raise ValueError(f"must be a list of at most {MAX_SHARED} internal interfaces, such as eth1")
    return tuple(dict.fromkeys(_internal(item) for item in value))


def _internal(value: object) -> str:
    text = _text(value)
    if not _is_cable(text):
        raise ValueError("must have names of internal network interfaces, such as eth1")
    return text


def _dns(value: object) -> str | tuple[str, ...]:
    if value in DNS:
        return str(value)
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_SERVERS:
        raise ValueError(f"must be peer, cable, none, or a list of 1 to {MAX_SERVERS} IPv4 addresses")
    return tuple(dict.fromkeys(_name_server(item) for item in value))


def _name_server(value: object) -> str:
    try:
        return check_server_address(ipaddress.IPv4Address(_text(value)))
    except ValueError:
        raise ValueError("must have IPv4 addresses of other machines, such as 192.0.2.53") from None


def _ppp_options(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_OPTIONS:
        raise ValueError(f"must be a list of at most {MAX_OPTIONS} pppd options")
    for item in value:
        # One option a line, and the line ends where it should: a comment or an open quote would take more with it.
        if not 1 <= len(_plain(_text(item))) <= 255 or not item.isascii() or not _is_closed(item):
            raise ValueError("must have one pppd option each, in ASCII, without # \\ and '; quotes must be closed")
    return tuple(value)


def _is_closed(option: str) -> bool:
    return not set("#\\'") & set(option) and option.count('"') % 2 == 0


def _one_of(*choices: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if type(value) is not str or value not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return value

    return check


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError("must be true or false")
    return value


def _mtu(value: object) -> int:
    low, high = MTU_RANGE
    if type(value) is not int or (value != 0 and not low <= value <= high):
        raise ValueError(f"must be 0 or from {low} to {high}")
    return value


def _vlan(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_VLAN:
        raise ValueError(f"must be from 1 to {MAX_VLAN}, or 0 for none")
    return value


_CHECKS: Final[Mapping[str, Callable[[object], Any]]] = {
    "title": _title,
    "provider": _provider,
    "protocol": _one_of(*PROTOCOLS),
    "server": _pppoe_name,
    "service": _pppoe_name,
    "vlan": _vlan,
    "user": _user,
    "authentication": _authentication,
    "encryption": _encryption,
    "interface": _interface,
    "autoconnect": _flag,
    "reconnect": _flag,
    "route": _route,
    "strict": _strict,
    "dns": _dns,
    "firewall": _one_of("leave", "open"),
    "share": _share,
    "mtu": _mtu,
    "ipv6": _flag,
    "debug": _flag,
    "ppp_options": _ppp_options,
    "tunnel_secret": _tunnel_secret,
}
