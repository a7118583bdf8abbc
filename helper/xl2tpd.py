"""The LACs of xl2tpd, with the options of pppd and the secret of the tunnel that they name, read as a link's settings.

/etc/xl2tpd/xl2tpd.conf, /etc/xl2tpd/l2tp-secrets, with the files below /etc/ppp that the former names; and whether
strongSwan or Libreswan protects them: /etc/ipsec.conf, /etc/ipsec.d/*.conf, /etc/swanctl/
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from cablecar.helper import peers
from cablecar.helper.errors import InvalidSetting, PeerNotUsable
from cablecar.helper.foreign import HOST, IPSEC, Line, entries, files, read, shown
from cablecar.helper.settings import check

MAX_PATH: Final = 255  # characters that are shown of one
LAC: Final = "l2tp:"  # begins the id of a section of xl2tpd's configuration

_SECTION: Final = re.compile(r"\[([^\]]*)\]")  # whatever follows is no matter to xl2tpd
_OPTIONS: Final = "/etc/ppp/"
_SECRETS: Final = "/etc/xl2tpd/l2tp-secrets"
_MEANINGS: Final = {
    "defaultroute": "defaultroute",
    "ppp debug": "debug",
    "refuse pap": "refuse-pap",
    "refuse chap": "refuse-chap",
}
_SETTINGS: Final = {"autodial": "autoconnect", "redial": "reconnect"}
_LOST: Final = (
    "hidden bit", "hostname", "local ip", "refuse auth", "refuse authentication", "remote ip", "require auth",
    "require authentication",
)  # fmt: skip
_PROTECTED: Final = "protected by ipsec"  # a key of our own, that no LAC can have
_L2TP_BY_IPSEC: Final = re.compile(r"\b(?:17|udp)/(?:1701|l2tp)\b")
_OFF: Final = ("no", "n", "false")
_SPACE: Final = bytes(range(33))  # xl2tpd's


class _Section(NamedTuple):
    kind: str
    name: str
    lines: list[str]


def sources(root: Path) -> dict[str, bytes]:
    """Return each LAC of xl2tpd by id: its lines, and behind a NUL the options of pppd that they name, if any."""
    found: dict[str, list[str]] = {}
    for kind, name, lines in _sections(root):
        if kind == "lac" and name.lower() != "default" and name.isprintable():
            found.setdefault(LAC + name, []).extend(lines)
    protected = _servers_by_ipsec(root)
    for lines in found.values():
        if any(key == "lns" and value.partition(":")[0].lower() in protected for key, value in _pairs(lines)):
            lines.append(f"{_PROTECTED} = yes")
    return {lac: _encoded(lines) + _options_of(root, dict(_pairs(lines))) for lac, lines in found.items()}


def _sections(root: Path) -> Iterator[_Section]:
    """Yield the sections of xl2tpd's configuration with their lines, which have neither comments nor NULs."""
    section = _Section("", "", [])
    # Not UTF-8 stays what it is: whether that does harm is seen where a value is used.
    for raw in _decoded(read(root / "etc/xl2tpd/xl2tpd.conf") or b""):
        line = re.split("[;\0]", raw, maxsplit=1)[0].strip()
        if match := _SECTION.match(line):
            yield section
            kind, _, name = match[1].partition(" ")
            section = _Section(kind.lower(), name.strip(), [])
        else:
            section.lines.append(line)
    yield section


def _servers_by_ipsec(root: Path) -> set[str]:
    """Return whom IPsec is configured to talk to, where it is to protect L2TP at all."""
    paths = [root / "etc/ipsec.conf", root / "etc/swanctl/swanctl.conf"]
    for folder in ("etc/ipsec.d", "etc/swanctl/conf.d"):
        paths += [path for name, path in files(root / folder).items() if name.endswith(".conf")]
    lines = [line.partition("#")[0] for path in paths for line in _decoded(read(path) or b"")]
    if not any(map(_L2TP_BY_IPSEC.search, lines)):
        return set()
    return {
        server
        for key, value in _pairs(lines)
        if key in ("right", "remote_addrs")
        for server in re.split(r"[\s,]+", value.lower())
    }


def _options_of(root: Path, values: Mapping[str, str]) -> bytes:
    """Return a NUL and what is in the file of options that a LAC names; nothing where it is none below /etc/ppp."""
    named = values.get("pppoptfile", "")
    *folders, name = named.removeprefix(_OPTIONS).split("/")
    path = root / "etc/ppp"
    if not named.startswith(_OPTIONS):
        return b""
    for folder in folders:
        if not any(entry.name == folder and entry.is_dir(follow_symlinks=False) for entry in entries(path)):
            return b""
        path /= folder
    text = read(kept) if (kept := files(path).get(name)) else None
    return b"" if text is None else b"\0" + text


def line_of(lac: str, text: bytes) -> Line:
    """Return what a LAC says.

    Raises:
        PeerNotUsable: It does not say enough, or asks for what Cablecar does not do.
    """
    lines, was_read, rest = text.partition(b"\0")
    pairs = _pairs(_decoded(lines))
    values = dict(pairs)
    if _PROTECTED in values:
        raise PeerNotUsable(IPSEC)
    unread = "" if was_read else values.get("pppoptfile", "")
    servers = [value for key, value in pairs if key == "lns"]  # xl2tpd dials the first one first
    server, _, port = servers[0].partition(":") if servers else ("", "", "")
    if re.fullmatch(HOST, server) is None:
        raise PeerNotUsable("It does not say which server to dial.")
    if unread and "name" not in values:
        raise PeerNotUsable("It does not say who the user is, and its `pppoptfile` is no plain file below /etc/ppp.")
    found, unknown = peers.parse(rest)
    # The file's are the last ones that pppd is given.
    options = {option: said for option, said in _own_options(values).items() if option not in found} | found
    line = peers.options_line(lac.removeprefix(LAC), {"protocol": "l2tp", "server": server}, options, unknown)
    line.settings |= {setting: _is_on(values, key) for key, setting in _SETTINGS.items() if key in values}
    if unread:  # whether that has a `defaultroute` is not known
        line.left_out = [sentence for sentence in line.left_out if sentence != peers.NO_ROUTE]
        line.left_out.append(
            f"The options in {_shown_path(unread)} were left out, for that is no plain file below /etc/ppp: see what "
            "they say of the password, `mtu` and `defaultroute`."
        )
    if port not in ("", "1701"):
        line.left_out.append("Left out, for Cablecar has nothing like it: a port of the server other than 1701.")
    if len(servers) > 1:
        line.left_out.append(
            "Left out, for Cablecar has nothing like it: the servers that `lns` names after the first."
        )
    if lost := [key for key in _LOST if key in values and values[key].lower() not in _OFF]:
        line.left_out.append(f"Left out, for Cablecar has nothing like it: {shown(lost)}.")
    return line


def _own_options(values: Mapping[str, str]) -> dict[str, list[bytes]]:
    """Return the options that xl2tpd gives pppd of its own accord (`start_pppd`)."""
    named = {"name": [_encoded([values["name"]])]} if "name" in values else {}
    return named | {option: [] for key, option in _MEANINGS.items() if _is_on(values, key)}


def take_secret(root: Path, line: Line, text: bytes) -> None:
    """Find the secret of a LAC's tunnel as xl2tpd does, as far as that goes before a server has told its name."""
    values = dict(_pairs(_decoded(text.partition(b"\0")[0])))
    said = dict(pair for section in _sections(root) if section.kind == "global" for pair in _pairs(section.lines))
    if (named := said.get("auth file", _SECRETS)) != _SECRETS:
        line.left_out.append(
            f"The secrets in {_shown_path(named)} were not read: where the server wants a secret of the tunnel, set"
            " `tunnel_secret` in the link's settings file."
        )
        return
    own = (_encoded([values["hostname"]]) if "hostname" in values else read(root / "etc/hostname") or b"").strip()
    secrets = _secrets(read(root / _SECRETS[1:]) or b"", own.lower())
    if len(secrets) > 1:
        line.left_out.append(
            "/etc/xl2tpd/l2tp-secrets has several secrets that may be this tunnel's, and none was taken: set"
            " `tunnel_secret` in the link's settings file."
        )
    elif secrets:
        try:
            line.settings["tunnel_secret"] = check("tunnel_secret", secrets.pop().decode("latin-1"))
        except InvalidSetting as error:
            line.left_out.append(f"Not taken over: {error}")
    elif _is_on(values, "challenge"):
        line.left_out.append(
            "/etc/xl2tpd/l2tp-secrets has no secret of this tunnel: set `tunnel_secret` in the link's settings file."
        )
    if _is_on(values, "challenge"):
        line.left_out.append(
            "`challenge` was left out: Cablecar proves to the server that it knows the tunnel's secret, and asks for no"
            " proof in return."
        )


def _secrets(text: bytes, own: bytes) -> set[bytes]:
    """Return the secrets that xl2tpd may take, by the name that the server will tell, where we are called `own`."""
    found = set()
    for raw in text.split(b"\n"):
        words = re.split(rb"[\x01-\x20]+", re.split(rb"[#;\0]", raw, maxsplit=1)[0].strip(_SPACE), maxsplit=2)
        if len(words) == 3 and words[0].lower() in (b"*", own):
            found.add(words[2])
            if words[1] == b"*":
                break  # what follows is not looked at any more
    return found


def _encoded(lines: Iterable[str]) -> bytes:
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _decoded(lines: bytes) -> list[str]:
    return lines.decode("utf-8", "surrogateescape").split("\n")


def _pairs(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Return what lines such as `lns = 203.0.113.7` say."""
    parts = (line.partition("=") for line in lines)
    return [(key.strip().lower(), value.strip()) for key, _, value in parts]


def _is_on(values: Mapping[str, str], key: str) -> bool:
    return values.get(key, "").lower() in ("yes", "y", "true")


def _shown_path(path: str) -> str:
    """Return a path as it stands in a sentence, which has one line."""
    return shown(["".join(char if char.isprintable() else "?" for char in path[:MAX_PATH])])
