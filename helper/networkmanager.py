"""NetworkManager's profiles of PPTP, L2TP and PPPoE, read as the settings of a link.

/etc/NetworkManager/system-connections/*
"""

import configparser
import contextlib
import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from cablecar.helper.errors import PeerNotUsable
from cablecar.helper.foreign import (
    HOST,
    IPSEC,
    Line,
    files,
    names,
    one_line,
    read,
    shown,
    take_methods,
    take_mtu,
    take_password,
)

MAX_LINE: Final = 1024  # bytes of a keyfile: configparser takes quadratic time for a long line
PROFILE: Final = "nm:"  # begins the id of a profile of NetworkManager

_SUFFIX: Final = ".nmconnection"
_NO_PROFILES: Final = ("~", ".pem", ".der")  # as NetworkManager has it
_SERVICES: Final = {f"org.freedesktop.NetworkManager.{protocol}": protocol for protocol in ("pptp", "l2tp")}
_METHODS: Final = {"refuse-pap": "pap", "refuse-chap": "chap", "refuse-mschapv2": "mschapv2"}
_SETTLED: Final = names(
    "service-type gateway user domain password-flags mtu mru refuse-eap refuse-mschap require-mppe require-mppe-40 "
    "require-mppe-128 nobsdcomp nodeflate no-vj-comp noaccomp nopcomp lcp-echo-failure lcp-echo-interval "
    "user-auth-type ipsec-enabled"
)
_PPPOE_SETTLED: Final = names("parent service username password password-flags")
_OFF: Final = ("false", "no", "0")
_KEYFILE_ESCAPES: Final = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def sources(root: Path) -> dict[str, bytes]:
    """Return the text of each profile by id."""
    found = files(root / "etc/NetworkManager/system-connections")
    # Those of before NetworkManager 1.14 have no suffix, and go on being read.
    paths = {
        PROFILE + name.removesuffix(_SUFFIX): path for name, path in found.items() if not name.endswith(_NO_PROFILES)
    }
    return {profile: text for profile, path in paths.items() if (text := read(path)) is not None}


def line_of(peer: str, text: bytes) -> Line:
    """Return what a profile says.

    Raises:
        PeerNotUsable: It does not say enough, or asks for what Cablecar does not do.
    """
    keyfile = _keyfile(text)
    if _text(keyfile, "connection", "type") == "pppoe":
        return _pppoe_line(peer, keyfile)
    if (protocol := _SERVICES.get(_text(keyfile, "vpn", "service-type"))) is None:
        raise PeerNotUsable("It is neither a VPN by PPTP or L2TP nor a connection by PPPoE.")
    if _is_on(keyfile, "vpn", "ipsec-enabled"):
        raise PeerNotUsable(IPSEC)
    if _text(keyfile, "vpn", "user-auth-type") not in ("", "password"):
        raise PeerNotUsable("It logs in by a certificate; Cablecar logs in by a password only.")
    server = _text(keyfile, "vpn", "gateway")
    user = "\\".join(filter(None, (_text(keyfile, "vpn", key) for key in ("domain", "user"))))
    if re.fullmatch(HOST, server) is None or not _text(keyfile, "vpn", "user"):
        raise PeerNotUsable("It does not say which server to dial, or who the user is.")
    line = Line(_text(keyfile, "connection", "id") or peer.removeprefix(PROFILE), {})
    line.settings |= {"protocol": protocol, "server": server, "user": user, **_routing(keyfile)}
    line.profile = _text(keyfile, "connection", "uuid")
    _take_ppp(line, keyfile, "vpn")
    password = _text(keyfile, "vpn-secrets", "password")
    take_password(line, password.encode() if password else None)
    return line


def _pppoe_line(peer: str, keyfile: configparser.RawConfigParser) -> Line:
    user = _text(keyfile, "pppoe", "username")
    if not user:
        raise PeerNotUsable("It does not say who the user is.")
    line = Line(_text(keyfile, "connection", "id") or peer.removeprefix(PROFILE), {})
    cable = _text(keyfile, "pppoe", "parent") or _text(keyfile, "connection", "interface-name")
    line.settings |= {"protocol": "pppoe", "server": "", "service": _text(keyfile, "pppoe", "service"), "user": user}
    line.settings |= {**({"interface": cable} if cable else {}), **_routing(keyfile)}
    # NetworkManager's default, for what is no VPN (nm-settings(5)): it dials as soon as the cable is there.
    if _text(keyfile, "connection", "autoconnect").strip().lower() not in _OFF:
        line.settings["autoconnect"] = True
    line.profile = _text(keyfile, "connection", "uuid")
    _take_ppp(line, keyfile, "ppp")
    other = [key for key in _keys(keyfile, "pppoe") if key not in _PPPOE_SETTLED]
    # A provider may know its customer by the address of the network card.
    other += [key for key in ("mac-address", "cloned-mac-address") if _text(keyfile, "ethernet", key)]
    if other:
        line.left_out.append(f"Left out, for Cablecar has nothing like it: {shown(other)}.")
    password = _text(keyfile, "pppoe", "password")
    take_password(line, password.encode() if password else None)
    return line


def _take_ppp(line: Line, keyfile: configparser.RawConfigParser, section: str) -> None:
    """Take what a section of a profile says about PPP itself."""
    take_methods(line, [method for key, method in _METHODS.items() if not _is_on(keyfile, section, key)])
    if any(_is_on(keyfile, section, f"require-mppe{bits}") for bits in ("", "-40", "-128")):
        line.settings["encryption"] = "required"
    take_mtu(line, _text(keyfile, section, "mtu"))
    if other := [key for key in _keys(keyfile, section) if key not in _SETTLED | _METHODS.keys()]:
        line.left_out.append(f"Left out, for Cablecar has nothing like it: {shown(other)}.")


def _routing(keyfile: configparser.RawConfigParser) -> dict[str, object]:
    """Return what the profile says about routes and DNS servers."""
    found: dict[str, object] = {}
    if _is_on(keyfile, "ipv4", "never-default"):
        keys = [key for key in _keys(keyfile, "ipv4") if re.fullmatch(r"routes?[0-9]+", key)]  # of old, with an s
        found["route"] = [*filter(None, (_network(_text(keyfile, "ipv4", key)) for key in keys))] or "none"
    if servers := [server for server in _text(keyfile, "ipv4", "dns").split(";") if server]:
        found["dns"] = servers
    elif _is_on(keyfile, "ipv4", "ignore-auto-dns"):
        found["dns"] = "none"
    return found


def _network(route: str) -> str:
    """Return where a route leads, empty for one that NetworkManager does not understand either."""
    try:
        return str(IPv4Network(route.partition(",")[0], strict=False))  # it takes no offence at host bits
    except ValueError:
        return ""


def _keyfile(text: bytes) -> configparser.RawConfigParser:
    keyfile = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=("#",), strict=False, empty_lines_in_values=False, default_section="\0"
    )
    keyfile.optionxform = str  # type: ignore[method-assign, assignment]
    try:
        if max(map(len, text.splitlines()), default=0) > MAX_LINE:
            raise PeerNotUsable(f"It has lines of more than {MAX_LINE} bytes.")
        text.decode()
        # GLib's white space is ASCII's: of Unicode's, the parser would take some off a password.
        keyfile.read_string(text.decode("ascii", "surrogateescape"))
    except (UnicodeDecodeError, configparser.Error):
        # The cause would quote a line, which may be a secret.
        raise PeerNotUsable("It is no keyfile that NetworkManager could read.") from None
    return keyfile


def _keys(keyfile: configparser.RawConfigParser, section: str) -> list[str]:
    return [key for key in keyfile.options(section) if key.isprintable()] if keyfile.has_section(section) else []


def _text(keyfile: configparser.RawConfigParser, section: str, key: str) -> str:
    raw = keyfile.get(section, key, fallback="").encode("ascii", "surrogateescape").decode()
    text = re.sub(r"\\(.)", lambda match: _KEYFILE_ESCAPES.get(match[1], match[0]), raw)
    return one_line(text, f"value of `{key}`")


def _is_on(keyfile: configparser.RawConfigParser, section: str, key: str) -> bool:
    return _text(keyfile, section, key).lower() in ("yes", "true", "1")


def secondaries(sources: Mapping[str, bytes]) -> set[str]:
    """Return the UUIDs of the VPNs that NetworkManager brings up together with another connection."""
    found: set[str] = set()
    for peer, text in sources.items():
        if peer.startswith(PROFILE):
            with contextlib.suppress(PeerNotUsable):
                found.update(_text(_keyfile(text), "connection", "secondaries").split(";"))
    return found - {""}
