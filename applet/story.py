"""What is worth a notification, told from one snapshot to the next. Knows no widget.

Told: a link that dropped, one that came back, one that needs somebody, a click that did not work. Not told: what
the user has just done and sees, and what was so before the applet looked; a line that drops again and again is told
once. One story per link: each notice takes the place of the one before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final

from cablecar.applet import words
from cablecar.applet.i18n import _
from cablecar.applet.model import CallError, Helper, Link, Snapshot, Verb, View
from cablecar.helper import names, reasons

_NOT_UP = (names.WAITING, names.DIALING, names.FAILED, names.DOWN)
_TRYING = (names.WAITING, names.DIALING)

# A line flaps when it drops more often than this in so many seconds; it is calm again when they are over.
FLAPPING_DROPS: Final = 3
FLAPPING_SECONDS: Final = 600

_PASSWORD_ERRORS: Final = tuple(names.ERROR_PREFIX + reasons.BY_ID[id].error for id in words.ANOTHER_PASSWORD)


class Urgency(IntEnum):
    """As in the notification specification."""

    NORMAL = 1
    CRITICAL = 2  # stays until somebody has read it


class Kind(Enum):
    """What a notice is about; a person may want some kinds and not others."""

    DROPPED = "dropped"
    BACK = "back"
    FAILED = "failed"
    ANSWER = "answer"  # to a click: always told


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to be told.

    Attributes:
        topic: A link's path or another fixed word: a later notice replaces an earlier one.
        title: One line.
        body: Sentences; plain text.
        picture: Which picture goes with it.
        kind: What it is about.
        urgency: How much it is in the way.
        actions: What its buttons do to the link, and what they are called.
    """

    topic: str
    title: str
    body: str
    picture: str
    kind: Kind
    urgency: Urgency = Urgency.NORMAL
    actions: tuple[tuple[Verb | View, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Over:
    """What was told of this topic is so no longer, and the user knows."""

    topic: str


@dataclass(slots=True)
class _Chapter:
    """What has happened to one link so far."""

    state: str
    clicks: int = 0
    dropped_at: float | None = None
    told: bool = False  # of some trouble: then the good end is told too
    drops: list[float] = field(default_factory=list)  # the times of the last ones


class Story:
    """Turns snapshots and the outcome of clicks into notices.

    Args:
        clock: Seconds that also pass while the machine is suspended.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._chapters: dict[str, _Chapter] = {}

    def clicked(self, path: str) -> None:
        """Take note that a person has asked something of a link: what follows is no surprise."""
        if chapter := self._chapters.get(path):
            chapter.clicks += 1

    def answered(self, path: str) -> None:
        """Take note that what was asked is done."""
        if chapter := self._chapters.get(path):
            chapter.clicks = max(0, chapter.clicks - 1)

    def refused(self, snapshot: Snapshot, path: str, error: CallError) -> Notice | None:
        """Tell that what was asked did not work, in the error's words."""
        self.answered(path)
        link, chapter = snapshot.link(path), self._chapters.get(path)
        if link is None or chapter is None or not words.needs_saying(error):
            return None
        chapter.told = True
        return _trouble(link, words.error(error), _("Trying again…"), Kind.ANSWER, error.name in _PASSWORD_ERRORS)

    def update(self, snapshot: Snapshot) -> list[Notice | Over]:
        """Compare with what was before and return what is to be told."""
        if snapshot.helper is not Helper.RUNNING:
            return []
        gone = [Over(path) for path in self._chapters if snapshot.link(path) is None]
        self._chapters = {p: c for p, c in self._chapters.items() if snapshot.link(p) is not None}
        notices = [self._link_changed(link) for link in snapshot.links if not link.partial]
        return [*gone, *(notice for notice in notices if notice is not None)]

    def _link_changed(self, link: Link) -> Notice | Over | None:
        chapter = self._chapters.setdefault(link.path, _Chapter(link.state))
        if link.state == names.STOPPING:
            return None  # on the way to what it will be: only then is there a reason to tell
        before, chapter.state = chapter.state, link.state
        return self._notice(chapter, before, link)

    def _notice(self, chapter: _Chapter, before: str, link: Link) -> Notice | Over | None:
        # Who has sent the machine to sleep needs no telling either.
        asked = bool(chapter.clicks) or link.reason in (reasons.REQUESTED.id, reasons.SUSPENDED.id)
        if link.state == names.UP:
            return self._came_up(chapter, before, link, asked)
        if link.state == names.DOWN and (before != names.UP or asked):
            over, chapter.dropped_at, chapter.told = chapter.told, None, False
            return Over(link.path) if over else None
        if asked:
            return None  # a click that fails is told by its own error
        if before == names.UP and link.state in _NOT_UP:
            return self._dropped(chapter, link)
        if link.state == names.FAILED and before != names.FAILED:
            chapter.told = True
            return _failed(link)
        return None

    def _dropped(self, chapter: _Chapter, link: Link) -> Notice | None:
        now = self._clock()
        chapter.dropped_at, chapter.told = now, True
        chapter.drops = [*_recent(chapter.drops, now), now][-FLAPPING_DROPS - 2 :]
        if link.state == names.FAILED:
            return _failed(link)
        if len(chapter.drops) > FLAPPING_DROPS + 1 and link.state in _TRYING:
            return None
        sentence = words.reason(link.reason, brief=link.state in _TRYING) or _("The connection was lost.")
        trying = _("Reconnecting…")
        if len(chapter.drops) > FLAPPING_DROPS:
            trying += " " + _("This happens again and again; you will not be told each time until the line is calm.")
        return _trouble(link, sentence, trying, Kind.DROPPED)

    def _came_up(self, chapter: _Chapter, before: str, link: Link, asked: bool) -> Notice | Over | None:
        if before == names.UP or not chapter.told:
            return None
        now, dropped_at = self._clock(), chapter.dropped_at
        chapter.dropped_at, chapter.told = None, False
        if asked:
            return Over(link.path)
        if len(_recent(chapter.drops, now)) > FLAPPING_DROPS + 1:
            return Over(link.path)  # of its drops nobody was told; but maybe that it had failed
        text = _("Connected.")
        if dropped_at is not None:
            text = _("Connected again after {time}.").format(time=words.duration(now - dropped_at))
        return Notice(link.path, link.title, text, "up", Kind.BACK)


def _recent(drops: list[float], now: float) -> list[float]:
    return [drop for drop in drops if now - drop < FLAPPING_SECONDS]


def _failed(link: Link) -> Notice:
    return _trouble(link, words.reason(link.reason) or _("The call failed."), "", Kind.FAILED)


def _trouble(link: Link, sentence: str, trying: str, kind: Kind, password: bool = False) -> Notice:
    log = (View.LOG, _("Show log"))
    if link.state in _TRYING:
        actions = ((Verb.RECONNECT, _("Reconnect now")), log)
        return Notice(link.path, link.title, f"{sentence} {trying}".strip(), "dialing", kind, Urgency.NORMAL, actions)
    if link.state == names.UP:
        return Notice(link.path, link.title, sentence, "up", kind, Urgency.NORMAL, (log,))
    cure: tuple[Verb | View, str] = (Verb.CONNECT, _("Connect"))
    if password or link.reason in words.ANOTHER_PASSWORD:
        cure = (View.PASSWORD, _("Change password"))
    return Notice(link.path, link.title, sentence, "failed", kind, Urgency.CRITICAL, (cure, log))
