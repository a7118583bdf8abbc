"""What the applet knows: frozen values, parsed from what the bus says. Free of Qt.

Whatever arrives is looked at with suspicion: a wrong type counts as absent, an unknown state or reason is kept as
unknown and shown generically, text loses its control characters and its excess length. Decides nothing.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from cablecar.helper import names

UNKNOWN: Final = "unknown"  # stands in for a state or a phase that this applet has never heard of
MAX_LINKS: Final = 256
MAX_TITLE: Final = 60
MAX_TEXT: Final = 300

# Control characters, invisible formatting such as a switch of the writing direction, halves of a surrogate pair,
# line and paragraph separators.
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class Helper(Enum):
    """Whether the helper can be asked."""

    ASKING = "asking"
    RUNNING = "running"
    GONE = "gone"  # it was there and has left the bus; what we knew may still be true
    ABSENT = "absent"  # it could not be reached at all


class Verb(Enum):
    """What can be asked of a link; the value is the D-Bus method."""

    CONNECT = "Connect"
    DISCONNECT = "Disconnect"
    RECONNECT = "Reconnect"


@dataclass(frozen=True, slots=True)
class CallError:
    """A call that failed: D-Bus error name and the text that came with it (a sentence for people, not trusted)."""

    name: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """One link as it was last heard of.

    Attributes:
        path: Object path, the link's identity.
        name: The link's name, of the grammar in `names.LINK_NAME`.
        title: What people call it; plain text.
        state: One of `names.STATES`, or UNKNOWN.
        phase: One of `names.PHASES`, UNKNOWN, or empty.
        reason: Id of the reason for not being up; may be one that we do not know.
        since: When the state began, in seconds since the epoch; 0 when unknown.
        next_retry: When the next try begins, likewise.
        partial: Only name and state are known so far.
    """

    path: str
    name: str
    title: str
    state: str
    phase: str = ""
    reason: str = ""
    since: float = 0
    next_retry: float = 0
    partial: bool = False

    @property
    def wanted(self) -> bool:
        """Whether a click means: disconnect."""
        return self.state in (names.WAITING, names.DIALING, names.UP, names.STOPPING)

    @classmethod
    def parse(cls, path: object, properties: Mapping[str, object], *, partial: bool = False) -> "Link | None":
        """Make sense of a link's properties; None when the path is not that of a link."""
        name = link_name(path)
        if name is None or not isinstance(path, str):
            return None
        return cls(
            path=path,
            name=name,
            title=clean(properties.get("Title"), MAX_TITLE) or name,
            state=_one_of(properties.get("State"), names.STATES) or UNKNOWN,
            phase=_one_of(properties.get("Phase"), names.PHASES),
            reason=clean(properties.get("Reason"), MAX_TITLE),
            since=_seconds(properties.get("Since")),
            next_retry=_seconds(properties.get("NextRetry")),
            partial=partial,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is shown, at one moment."""

    helper: Helper = Helper.ASKING
    links: tuple[Link, ...] = ()
    problem: CallError = field(default_factory=lambda: CallError(""))

    def link(self, path: str) -> Link | None:
        """Return the link of that object path."""
        return next((link for link in self.links if link.path == path), None)

    def focus(self, last_used: str) -> Link | None:
        """Return the link that a click on the icon is about: the only one, or the one used last (by name)."""
        if len(self.links) == 1:
            return self.links[0]
        return next((link for link in self.links if link.name == last_used), None)


def link_name(path: object) -> str | None:
    """Return the name in the object path of a link, or None when it is none."""
    if not isinstance(path, str) or not path.startswith(names.LINK_PATH_PREFIX):
        return None
    name = path.removeprefix(names.LINK_PATH_PREFIX)
    return name if names.LINK_NAME.fullmatch(name) else None


def parse_list(links: object) -> dict[str, dict[str, object]]:
    """Make sense of what ListLinks answered: path → the properties known so far, in the given order."""
    known: dict[str, dict[str, object]] = {}
    for entry in links if isinstance(links, list) else []:
        if isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) == 3:
            _name, path, state = entry
            if link_name(path) is not None and len(known) < MAX_LINKS:
                known[path] = {"State": state}
    return known


def clean(text: Any, limit: int = MAX_TEXT) -> str:
    """Return `text` as one short line of printable characters; empty when it is no text at all."""
    if not isinstance(text, str):
        return ""
    # Cut before looking at each character: a megabyte of text is not worth a pause.
    head = text[: 4 * limit]
    line = " ".join("".join(" " if unicodedata.category(c) in _UNPRINTABLE else c for c in head).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _one_of(value: object, known: Sequence[str]) -> str:
    if not isinstance(value, str) or not value:
        return ""
    return value if value in known else UNKNOWN


def _seconds(microseconds: object) -> float:
    # bool is an int to Python and never a time; the upper limit is the year 9999, where `datetime` ends.
    if type(microseconds) is not int or not 0 < microseconds < 253_402_300_799_000_000:
        return 0
    return microseconds / 1_000_000
