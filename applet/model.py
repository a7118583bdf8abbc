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

UNKNOWN: Final = "unknown"  # stands in for a state, a phase or a verdict that this applet has never heard of
GOOD: Final = "good"
BAD: Final = "bad"
MAX_LINKS: Final = 256
MAX_TITLE: Final = 60
MAX_TEXT: Final = 300
MAX_ENTRIES: Final = 1000  # of any list

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


class View(Enum):
    """What can be looked at of a link, each in a window of its own."""

    STATUS = "status"
    LOG = "log"
    DIAGNOSIS = "diagnosis"
    SETTINGS = "settings"
    PASSWORD = "password"


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
class Details:
    """What `Details` says of a link; empty or 0 for what it does not say.

    Attributes:
        server: As in the settings.
        user: Likewise.
        interface: The ppp interface, while up.
        local_address: Our end of the tunnel.
        remote_address: The provider's end.
        dns: The provider's DNS servers.
        received: Bytes so far.
        sent: Likewise.
        others: Name and value of whatever else there is, to be shown generically.
    """

    server: str = ""
    user: str = ""
    interface: str = ""
    local_address: str = ""
    remote_address: str = ""
    dns: tuple[str, ...] = ()
    received: int = 0
    sent: int = 0
    others: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, answer: object) -> "Details":
        """Make sense of what was answered, whatever it is."""
        values = _mapping(answer)
        return cls(
            server=clean(values.get("server")),
            user=clean(values.get("user")),
            interface=clean(values.get("interface")),
            local_address=clean(values.get("local_address")),
            remote_address=clean(values.get("remote_address")),
            dns=_texts(values.get("dns")),
            received=_count(values.get("received")),
            sent=_count(values.get("sent")),
            others=_others(values, cls.__slots__),
        )


@dataclass(frozen=True, slots=True)
class Provider:
    """A preset: what is publicly known about a provider.

    Attributes:
        id: The value of the setting `provider`.
        title: What people call it.
        country: Two letters of ISO 3166.
        region: City or network; empty for the whole country.
        protocols: What it offers, the best first.
        servers: Protocol and server of each that is known; `{user}` in a name stands for the user name.
        login: How the user name is written: `{user}` and perhaps `{domain}`.
        remarks: A paragraph for people.
        verify: How old all this is.
        sources: Who said so.
        others: Name and value of whatever else is known, to be shown generically.
    """

    id: str
    title: str
    country: str = ""
    region: str = ""
    protocols: tuple[str, ...] = ()
    servers: tuple[tuple[str, str], ...] = ()
    login: str = ""
    remarks: str = ""
    verify: str = ""
    sources: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse_all(cls, answer: object) -> tuple["Provider", ...]:
        """Make sense of what `Providers` answered; a preset without an id or a title is left out."""
        found = [cls._parse(values) for values in _mappings(answer)]
        return tuple(provider for provider in found if provider.id and provider.title)

    @classmethod
    def _parse(cls, values: Mapping[str, object]) -> "Provider":
        protocols = _texts(values.get("protocols"))
        servers = [(protocol, clean(values.get(f"server_{protocol}"))) for protocol in protocols]
        known = (*cls.__slots__, *(f"server_{protocol}" for protocol in protocols))
        return cls(
            id=_verbatim(values.get("id")),
            title=clean(values.get("title"), MAX_TITLE),
            country=clean(values.get("country"), 2),
            region=clean(values.get("region"), MAX_TITLE),
            protocols=protocols,
            servers=tuple((protocol, server) for protocol, server in servers if server),
            login=clean(values.get("login"), MAX_TITLE),
            remarks=clean(values.get("remarks"), 4 * MAX_TEXT),
            verify=clean(values.get("verify")),
            sources=_texts(values.get("sources")),
            others=_others(values, known),
        )

    def server(self, protocol: str) -> str:
        """Return the server for a protocol; empty when none is known."""
        return dict(self.servers).get(protocol, "")


@dataclass(frozen=True, slots=True)
class Concentrator:
    """Somebody who answers by PPPoE; whoever is on the line can claim to be one.

    Attributes:
        interface: The cable on which it answers.
        name: What it calls itself, as the setting `server` takes it.
        services: What it offers, as the setting `service` takes it.
    """

    interface: str
    name: str
    services: tuple[str, ...] = ()

    @classmethod
    def parse_all(cls, answer: object) -> tuple["Concentrator", ...]:
        """Make sense of what `Discover` answered; one without an interface or a name is left out."""
        found = [
            cls(
                interface=_verbatim(values.get("interface")),
                name=_verbatim(values.get("concentrator")),
                services=tuple(filter(None, map(_verbatim, _list(values.get("services"))))),
            )
            for values in _mappings(answer)
        ]
        return tuple(one for one in found if one.interface and one.name)


@dataclass(frozen=True, slots=True)
class Record:
    """One call that is over.

    Attributes:
        dialed: When it was dialed, in seconds since the epoch; 0 when that is not known.
        connected: When it came up; 0 when it never did.
        ended: When it ended.
        reason: Id of the reason for it; may be one that we do not know.
        received: Bytes that came through it.
        sent: Bytes that went through it.
    """

    dialed: float = 0
    connected: float = 0
    ended: float = 0
    reason: str = ""
    received: int = 0
    sent: int = 0

    @classmethod
    def parse_all(cls, answer: object) -> tuple["Record", ...]:
        """Make sense of what `History` answered, the newest last; a call that never ended is left out."""
        found = [
            cls(
                dialed=_seconds(values.get("dialed")),
                connected=_seconds(values.get("connected")),
                ended=_seconds(values.get("ended")),
                reason=clean(values.get("reason"), MAX_TITLE),
                received=_count(values.get("received")),
                sent=_count(values.get("sent")),
            )
            for values in _mappings(answer)
        ]
        return tuple(record for record in found if record.ended)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check of the diagnosis found.

    Attributes:
        id: Which check; may be one that we do not know.
        verdict: GOOD, BAD or UNKNOWN.
        seen: What was seen, in English; plain text.
        advice: What to do, likewise; empty when nothing.
    """

    id: str
    verdict: str
    seen: str = ""
    advice: str = ""

    @classmethod
    def parse_all(cls, answer: object) -> tuple["Finding", ...]:
        """Make sense of what `Diagnose` answered, in its order; what says neither what nor why is left out."""
        found = [
            cls(
                id=clean(values.get("id"), MAX_TITLE),
                verdict=_one_of(values.get("verdict"), (GOOD, BAD)) or UNKNOWN,
                seen=clean(values.get("seen"), 2 * MAX_TEXT),
                advice=clean(values.get("advice"), 2 * MAX_TEXT),
            )
            for values in _mappings(answer)
        ]
        return tuple(finding for finding in found if finding.id or finding.seen)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is shown, at one moment."""

    helper: Helper = Helper.ASKING
    links: tuple[Link, ...] = ()
    problem: CallError = field(default_factory=lambda: CallError(""))

    def link(self, path: str) -> Link | None:
        """Return the link of that object path."""
        return next((link for link in self.links if link.path == path), None)

    def is_askable(self, path: str) -> bool:
        """Whether the helper can be asked about the link of that object path."""
        return self.helper is Helper.RUNNING and self.link(path) is not None

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


def parse_settings(answer: object) -> dict[str, Any]:
    """Make sense of what `Settings` answered: text, numbers, flags and lists of text, by key.

    A value of another type is left out. Text keeps its spaces, because it may be sent back.
    """
    settings: dict[str, Any] = {}
    for key, value in _mapping(answer).items():
        if isinstance(value, str):
            settings[key] = _verbatim(value)
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            settings[key] = [_verbatim(item) for item in value[:MAX_ENTRIES]]
        elif type(value) in (bool, int):
            settings[key] = value
    return settings


def clean(text: Any, limit: int = MAX_TEXT) -> str:
    """Return `text` as one short line of printable characters; empty when it is no text at all."""
    if not isinstance(text, str):
        return ""
    # Cut before looking at each character: a megabyte of text is not worth a pause.
    head = text[: 4 * limit]
    line = " ".join("".join(" " if unicodedata.category(c) in _UNPRINTABLE else c for c in head).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _verbatim(text: object) -> str:
    """Return `text` without what cannot be shown, and otherwise as it is."""
    if not isinstance(text, str):
        return ""
    return "".join(c for c in text[:MAX_TEXT] if unicodedata.category(c) not in _UNPRINTABLE)


def _mapping(value: object) -> dict[str, object]:
    return {key: item for key, item in value.items() if isinstance(key, str)} if isinstance(value, dict) else {}


def _mappings(value: object) -> list[dict[str, object]]:
    return [_mapping(item) for item in _list(value)]


def _list(value: object) -> list[object]:
    return value[:MAX_ENTRIES] if isinstance(value, list) else []


def _texts(value: object) -> tuple[str, ...]:
    return tuple(filter(None, map(clean, _list(value))))


def _others(values: Mapping[str, object], known: Sequence[str]) -> tuple[tuple[str, str], ...]:
    shown = [(clean(key, MAX_TITLE), _shown(value)) for key, value in values.items() if key not in known]
    return tuple((key, value) for key, value in shown if key and value)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return clean(", ".join(_texts(value)))
    return clean(value) if isinstance(value, str) else str(value) if type(value) in (bool, int, float) else ""


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def _one_of(value: object, known: Sequence[str]) -> str:
    if not isinstance(value, str) or not value:
        return ""
    return value if value in known else UNKNOWN


def _seconds(microseconds: object) -> float:
    # bool is an int to Python and never a time; the upper limit is the year 9999, where `datetime` ends.
    if type(microseconds) is not int or not 0 < microseconds < 253_402_300_799_000_000:
        return 0
    return microseconds / 1_000_000
