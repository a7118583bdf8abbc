"""The LACs of xl2tpd, with the options of pppd that they name, read as the settings of a link.

/etc/xl2tpd/xl2tpd.conf, with the files in /etc/ppp that it names
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from cablecar.helper import peers
from cablecar.helper.errors import PeerNotUsable
from cablecar.helper.foreign import HOST, Line, files, read

LAC: Final = "l2tp:"  # begins the id of a section of xl2tpd's configuration

_SECTION: Final = re.compile(r"\[(.*)\][ \t]*")
_OPTIONS_OF_LAC: Final = re.compile(r"/etc/ppp/([A-Za-z0-9._-]+)")


def sources(root: Path) -> dict[str, bytes]:
    """Return each LAC of xl2tpd by id: its lines, and behind a NUL the options of pppd that they name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for raw in (read(root / "etc/xl2tpd/xl2tpd.conf") or b"").decode("utf-8", "replace").splitlines():
        line = raw.partition(";")[0].strip()
        if match := _SECTION.fullmatch(line):
            kind, _, name = match[1].partition(" ")
            lines = []
            if kind == "lac" and name.strip() != "default" and name.isprintable():
                found[LAC + name.strip()] = lines
        else:
            lines.append(line)
    options = files(root / "etc/ppp") if found else {}
    return {lac: "\n".join(lines).encode() + b"\0" + _options_of(lines, options) for lac, lines in found.items()}


def _options_of(lines: Iterable[str], kept: Mapping[str, Path]) -> bytes:
    named = _OPTIONS_OF_LAC.fullmatch(_values(lines).get("pppoptfile", ""))
    return (read(kept[named[1]]) or b"") if named and named[1] in kept else b""


def line_of(lac: str, text: bytes) -> Line:
    """Return what a LAC says.

    Raises:
        PeerNotUsable: It does not say enough, or asks for what Cablecar does not do.
    """
    lines, _, rest = text.partition(b"\0")
    values = _values(lines.decode().splitlines())
    options, unknown = peers.parse(rest)
    if "name" in values:
        options.setdefault("user", [values["name"].encode()])
    server, _, port = values.get("lns", "").partition(":")
    if re.fullmatch(HOST, server) is None:
        raise PeerNotUsable("It does not say which server to dial.")
    if values.get("defaultroute") == "yes":
        options.setdefault("defaultroute", [])
    line = peers.options_line(lac.removeprefix(LAC), {"protocol": "l2tp", "server": server}, options, unknown)
    if port not in ("", "1701") or values.get("challenge") == "yes":
        line.left_out.append("Left out, for Cablecar has nothing like it: the port or the secret of the tunnel itself.")
    return line


def _values(lines: Iterable[str]) -> dict[str, str]:
    """Return what lines such as `lns = 203.0.113.7` say, the last one last."""
    pairs = (line.partition("=") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}
