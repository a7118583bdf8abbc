"""The settings of a link: the only place where a value from outside becomes a setting.

One vocabulary for the bus (`a{sv}`) and the file (TOML). `parse` takes plain Python values, refuses unknown keys
and values by name, and returns an immutable `Settings`. Pure: no file, no resolver, no interface is looked at.
"""

import dataclasses
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cablecar.helper.errors import InvalidName, InvalidPassword, InvalidSetting
from cablecar.helper.names import LINK_NAME

AUTHENTICATION_METHODS: Final = ("pap", "chap", "mschapv2")
ENCRYPTION: Final = ("no", "if-offered", "required")
MAX_TITLE: Final = 64  # characters; longer ones do not fit a menu
MAX_CREDENTIAL: Final = 255  # bytes; one length byte in PAP (RFC 1334) and pppd's MAXNAMELEN, MAXSECRETLEN
MTU_RANGE: Final = (576, 1500)  # bytes; RFC 791's minimum to Ethernet

# A host name as RFC 1123 has it. It is never given to a shell or an option file: only the address that it
# resolves to is. `\Z`-like anchoring by fullmatch.
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_INTERFACE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")  # IFNAMSIZ is 16 with the final NUL
_NO_CABLE: Final = ("lo", "all", "default")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is configured for one link. Field names are the keys of the file and of the bus.

    Attributes:
        server: Host name or IPv4 address of the PPTP server.
        user: The name at the provider, its suffix (`@C012`) included.
        protocol: `pptp`.
        title: Free text shown to people; empty means the link's name.
        authentication: The methods that the server may ask for; asking for another ends the call.
        encryption: MPPE: `no`, `if-offered` or `required`.
        interface: The cable's interface; empty means the one that the route to the server takes.
        autoconnect: Dial at boot.
        reconnect: Dial again after a drop.
        route: `all` sends the default route through the link, `none` leaves routing alone.
        mtu: Bytes; 0 means automatic.
        debug: Let pppd log every packet of the negotiation.
    """

    server: str
    user: str
    protocol: str = "pptp"
    title: str = ""
    authentication: tuple[str, ...] = ("pap", "chap", "mschapv2")
    encryption: str = "no"
    interface: str = ""
    autoconnect: bool = False
    reconnect: bool = True
    route: str = "all"
    mtu: int = 0
    debug: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults, as plain values; `parse` takes them back."""
        values = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.default is dataclasses.MISSING or value != field.default:
                values[field.name] = list(value) if isinstance(value, tuple) else value
        return values


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
        InvalidPassword: It is empty, longer than 255 bytes, or has control characters.
    """
    try:
        return _credential(password)
    except ValueError as error:
        raise InvalidPassword(f"The password {error}.") from None


def parse(values: Mapping[str, Any]) -> Settings:
    """Validate `values` and return them as settings.

    Raises:
        InvalidSetting: A key is unknown or missing, or a value is not one that the key takes.
    """
    checked: dict[str, Any] = {}
    for key, value in values.items():
        check = _CHECKS.get(key)
        if check is None:
            raise InvalidSetting(f"There is no setting {_shown(key)}. Known are: {', '.join(_CHECKS)}.")
        try:
            checked[key] = check(value)
        except ValueError as error:
            raise InvalidSetting(f"The setting `{key}` {error}.") from None
    for key in ("server", "user"):
        if key not in checked:
            raise InvalidSetting(f"The setting `{key}` is missing.")
    if checked.get("encryption") == "required" and "mschapv2" not in checked.get("authentication", ("mschapv2",)):
        raise InvalidSetting("The setting `encryption` = required needs `mschapv2` in `authentication` (RFC 3079).")
    return Settings(**checked)


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
    data = _plain(_text(value)).encode()
    if not 1 <= len(data) <= MAX_CREDENTIAL:
        raise ValueError(f"must have 1 to {MAX_CREDENTIAL} bytes of UTF-8")
    return data


def _user(value: object) -> str:
    return _credential(value).decode()


def _title(value: object) -> str:
    text = _plain(_text(value))
    if len(text) > MAX_TITLE:
        raise ValueError(f"must have at most {MAX_TITLE} characters")
    return text


def _server(value: object) -> str:
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
    if text and (_INTERFACE.fullmatch(text) is None or text in _NO_CABLE or re.match(r"ppp[0-9]", text)):
        raise ValueError("must be the name of the cable's network interface, such as eth0, or empty")
    return text


def _authentication(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value or any(item not in AUTHENTICATION_METHODS for item in value):
        raise ValueError(f"must be a list out of {', '.join(AUTHENTICATION_METHODS)}")
    return tuple(method for method in AUTHENTICATION_METHODS if method in value)


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


_CHECKS: Final[Mapping[str, Callable[[object], Any]]] = {
    "title": _title,
    "protocol": _one_of("pptp"),
    "server": _server,
    "user": _user,
    "authentication": _authentication,
    "encryption": _one_of(*ENCRYPTION),
    "interface": _interface,
    "autoconnect": _flag,
    "reconnect": _flag,
    "route": _one_of("all", "none"),
    "mtu": _mtu,
    "debug": _flag,
}
