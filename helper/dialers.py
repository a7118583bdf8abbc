"""What dials by itself beside Cablecar: cron's tables, and ifupdown's stanzas.

/etc/crontab, /etc/cron.d/*, root's crontab, /etc/network/interfaces, /etc/network/interfaces.d/*
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from cablecar.helper.foreign import files, names, read, shown

_WORD: Final = re.compile(r"[^\s;&|()<>`\"']+")
_DIALERS: Final = names("pon check-ppp-connection")  # the latter is the HOWTO's
_IFUP: Final = names("ifup")
_DEFAULT_PEER: Final = "provider"  # of pon and of ifupdown
_COMMANDS: Final = names("up post-up pre-up")  # of /etc/network/interfaces
_SYSTEM_FILE: Final = re.compile(r"[A-Za-z0-9_-]+")  # cron and ifupdown read no others


class Stanza(NamedTuple):
    """An `iface` of /etc/network/interfaces: where it stands, and what it says."""

    place: str
    interface: str
    method: str
    automatic: bool
    options: list[tuple[str, str]]

    @property
    def commands(self) -> list[str]:
        """Its shell lines."""
        return [value for key, value in self.options if key in _COMMANDS]

    @property
    def calls(self) -> set[str]:
        """The peers that it dials."""
        dialed = {peer for command in self.commands for peer in _called(command, _DIALERS)}
        if self.method == "ppp":
            dialed.add(next((value for key, value in self.options if key == "provider"), _DEFAULT_PEER))
        return dialed


def stanzas(root: Path) -> tuple[Stanza, ...]:
    """Return what ifupdown would bring up."""
    folder = root / "etc/network/interfaces.d"
    texts = {"/etc/network/interfaces": read(root / "etc/network/interfaces")}
    texts |= {f"/etc/network/interfaces.d/{name}": read(path) for name, path in files(folder).items()}
    found: list[Stanza] = []
    automatic: set[str] = set()
    for file, text in texts.items():
        options: list[tuple[str, str]] = []
        for number, line in _shell_lines(text):
            key, _, rest = line.partition(" ")
            if key == "iface" and len(words := rest.split()) >= 3:
                options = []
                found.append(Stanza(f"{file}, line {number},", words[0], words[2], False, options))
            elif key == "auto" or key.startswith("allow-"):
                automatic.update(rest.split())
                options = []
            else:
                options.append((key, rest.strip()))
    return tuple(stanza._replace(automatic=stanza.interface in automatic) for stanza in found)


def cron(root: Path, peers: set[str], interfaces: set[str]) -> Iterator[str]:
    """Yield a sentence for each of cron's lines that dials one of `peers`, or brings one of `interfaces` up."""
    tables = {"/etc/crontab": root / "etc/crontab"}
    folder = files(root / "etc/cron.d")
    tables |= {f"/etc/cron.d/{name}": path for name, path in folder.items() if _SYSTEM_FILE.fullmatch(name)}
    tables["/var/spool/cron/crontabs/root"] = root / "var/spool/cron/crontabs/root"
    for table, path in tables.items():
        for number, line in _shell_lines(read(path)):
            if called := {*_called(line, _DIALERS)} & peers | {*_called(line, _IFUP)} & interfaces:
                yield (
                    f"{table}, line {number}, dials {shown(called)} time and again: remove this line, the link"
                    " redials by itself."
                )


def _shell_lines(text: bytes | None) -> Iterator[tuple[int, str]]:
    """Yield the lines that are no comments, continued ones joined, with the number of the first."""
    begun, start = "", 0
    for number, raw in enumerate((text or b"").split(b"\n"), 1):
        line = "".join(char if char.isprintable() else " " for char in raw.decode("utf-8", "replace"))
        start = start if begun else number
        begun += line.rstrip()
        if begun.endswith("\\"):
            begun = begun[:-1] + " "
            continue
        if begun.strip() and not begun.lstrip().startswith("#"):
            yield start, begun.strip()
        begun = ""


def _called(command: str, programs: frozenset[str]) -> Iterator[str]:
    """Yield what a shell line calls `programs`, or `pppd call`, with: names of peers or interfaces."""
    words = _WORD.findall(command)
    program = ""
    for number, word in enumerate(words):
        rest = (following for following in words[number + 1 :] if not following.startswith("-"))
        if (name := word.rpartition("/")[2]) in programs:
            yield next(rest, _DEFAULT_PEER)
        elif word == "call" and program == "pppd" and programs is _DIALERS:
            yield next(rest, "")
        program = "pppd" if name == "pppd" else program


def pins(stanzas: Iterable[Stanza], server: object) -> Iterator[str]:
    """Yield a sentence for each stanza that sets a route to the server by hand."""
    for stanza in stanzas:
        if any({"route", str(server)} <= {*command.split()} for command in stanza.commands):
            yield f"{stanza.place} sets a route to the server. The link does so itself; that line may go or stay."
