"""What dials by itself beside Cablecar: cron's tables, ifupdown's stanzas, and what a boot runs.

/etc/crontab, /etc/cron.d/*, root's crontab, /etc/network/interfaces, /etc/network/interfaces.d/*, /etc/ppp/*.conf,
/etc/rc.local, /etc/systemd/system/*.service
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from cablecar.helper.foreign import files, names, read, shown
from cablecar.helper.xl2tpd import LAC

_WORD: Final = re.compile(r"[^\s;&|()<>`\"']+")
_SEPARATOR: Final = re.compile(r"[;&|()`]+")
_REDIRECTION: Final = re.compile(r"(?:(?<=\s)[0-9]+)?[<>]+[&|]?[ \t]*[\"']?[^\s;&|()<>`\"']*")
_COMMENT: Final = re.compile(r"\s#")
_DIALERS: Final = names("pon check-ppp-connection")  # the latter is the HOWTO's
_PPPOE_DIALERS: Final = names("pppoe-start adsl-start")  # rp-pppoe's
_PPPOE_CONFIGURATION: Final = "/etc/ppp/pppoe.conf"  # theirs, where they are told none
_CONNECTING: Final = names("connect connect-lac")  # of xl2tpd-control
_DEFAULT_PEER: Final = "provider"  # of pon and of ifupdown
_COMMANDS: Final = names("up post-up pre-up")  # of /etc/network/interfaces
_STARTS: Final = re.compile(r"ExecStart(?:Pre|Post)?\s*=\s*[-@:+!]*(.*)")  # systemd.service(5)
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
        """What it dials, as `_dialed` has it."""
        dialed = {peer for command in self.commands for peer in _dialed(command)}
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
            if called := _called(line, peers, interfaces):
                yield (
                    f"{table}, line {number}, dials {shown(called)} time and again: remove this line, the link"
                    " redials by itself."
                )


def boot(root: Path, peers: set[str], interfaces: set[str]) -> Iterator[str]:
    """Yield a sentence for each line run at boot that dials one of `peers`, or brings one of `interfaces` up."""
    places = {"/etc/rc.local": root / "etc/rc.local"}
    units = files(root / "etc/systemd/system")
    places |= {f"/etc/systemd/system/{name}": path for name, path in units.items() if name.endswith(".service")}
    for place, path in places.items():
        for number, line in _shell_lines(read(path)):
            command = _started(line) if path.suffix == ".service" else line
            if called := _called(command, peers, interfaces):
                yield (
                    f"{place}, line {number}, dials {shown(called)} at boot: remove this line and let the link's own"
                    " setting `autoconnect` do it."
                )


def _called(line: str, peers: set[str], interfaces: set[str]) -> set[str]:
    """Return those of the peers that a shell line dials, and of the interfaces that it brings up."""
    return {*_dialed(line)} & peers | {*_brought_up(line)} & interfaces


def _started(line: str) -> str:
    """Return what a line of a unit starts, empty when it says something else."""
    starts = _STARTS.match(line)
    return starts[1] if starts else ""


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
            yield start, _without_comment(begun).strip()
        begun = ""


def _without_comment(line: str) -> str:
    """Return a shell line without a comment behind it; what has quotes may be none."""
    comment = _COMMENT.search(line, max(line.rfind("'"), line.rfind('"')) + 1)
    return line[: comment.start()] if comment else line


def _dialed(line: str) -> Iterator[str]:
    """Yield what a shell line dials: names of peers, ids of LACs, paths of configurations of pppoe-start."""
    for words in _commands(line):
        is_pppd = False
        for number, word in enumerate(words):
            program = word.rpartition("/")[2]
            is_pppd |= program == "pppd"
            if program in _DIALERS:
                yield _argument(words, number + 1) or _DEFAULT_PEER
            elif word == "call" and is_pppd:
                yield _argument(words, number + 1)
            elif program in _PPPOE_DIALERS:
                yield next((each for each in words[number + 1 :] if each.startswith("/etc/")), _PPPOE_CONFIGURATION)
                break
            elif program == "xl2tpd-control":
                yield from (LAC + lac for verb, lac in itertools.pairwise(words) if verb.lower() in _CONNECTING)
                break
    words = _WORD.findall(line)
    if any(word.rpartition("/")[2] == "l2tp-control" for word in words):  # xl2tpd's pipe
        yield from (LAC + lac.removesuffix("\\n") for verb, lac in itertools.pairwise(words) if verb == "c")


def _brought_up(line: str) -> Iterator[str]:
    """Yield the interfaces that a shell line has ifupdown bring up."""
    for words in _commands(line):
        yield from (
            _argument(words, number) for number, word in enumerate(words, 1) if word.rpartition("/")[2] == "ifup"
        )


def _commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command in a shell line, without its redirections."""
    for command in _SEPARATOR.split(_REDIRECTION.sub(" ", line)):
        yield _WORD.findall(command)


def _argument(words: Sequence[str], start: int) -> str:
    """Return the first of the words from `start` on that is no option, empty when there is none."""
    return next((words[number] for number in range(start, len(words)) if not words[number].startswith("-")), "")


def pppoe_starts(root: Path, user: object) -> set[str]:
    """Return the paths of the configurations by which pppoe-start calls for this user; they are not run, as it does."""
    kept = files(root / "etc/ppp")
    return {f"/etc/ppp/{name}" for name, path in kept.items() if name.endswith(".conf") and _user_of(path) == user}


def _user_of(configuration: Path) -> str:
    user = ""
    for line in (read(configuration) or b"").decode("utf-8", "replace").split("\n"):
        key, _, value = line.partition("=")
        if key.strip() == "USER":
            user = re.split(r"\s#", value, maxsplit=1)[0].strip().strip("\"'")
    return user


def pins(stanzas: Iterable[Stanza], server: object) -> Iterator[str]:
    """Yield a sentence for each stanza that sets a route to the server by hand."""
    for stanza in stanzas:
        if any({"route", str(server)} <= {*command.split()} for command in stanza.commands):
            yield f"{stanza.place} sets a route to the server. The link does so itself; that line may go or stay."
