"""What is worth a notification, told from one snapshot to the next. Free of Qt.

Told: a link that dropped, one that came back, one that needs somebody, a click that did not work. Not told: what
the user has just done and sees, and what was so before the applet looked. One story per link: each notice takes the
place of the one before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from cablecar.applet import words
from cablecar.applet.i18n import _
from cablecar.applet.model import CallError, Helper, Link, Snapshot, Verb
from cablecar.helper import names, reasons

_NOT_UP = (names.WAITING, names.DIALING, names.FAILED, names.DOWN)
_TRYING = (names.WAITING, names.DIALING)


class Urgency(IntEnum):
    """As in the notification specification."""

    LOW = 0
    NORMAL = 1
    CRITICAL = 2  # stays until somebody has read it


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to be told. `topic` is a link's path or another fixed word: a later notice replaces an earlier."""

    topic: str
    title: str
    body: str
    picture: str
    urgency: Urgency = Urgency.NORMAL
    action: tuple[Verb, str] | None = None


@dataclass(slots=True)
class _Chapter:
    """What has happened to one link so far."""

    state: str
    clicks: int = 0
    dropped_at: float | None = None
    told: bool = False  # of some trouble: then the good end is told too


class Story:
    """Turns snapshots and the outcome of clicks into notices."""

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
        return _trouble(link, words.error(error), _("Trying again…"))

    def update(self, snapshot: Snapshot) -> list[Notice]:
        """Compare with what was before and return what is to be told."""
        if snapshot.helper is not Helper.RUNNING:
            return []
        self._chapters = {p: c for p, c in self._chapters.items() if snapshot.link(p) is not None}
        notices = [self._link_changed(link) for link in snapshot.links if not link.partial]
        return [notice for notice in notices if notice is not None]

    def _link_changed(self, link: Link) -> Notice | None:
        chapter = self._chapters.setdefault(link.path, _Chapter(link.state))
        if link.state == names.STOPPING:
            return None  # on the way to what it will be: only then is there a reason to tell
        before, chapter.state = chapter.state, link.state
        return self._notice(chapter, before, link)

    def _notice(self, chapter: _Chapter, before: str, link: Link) -> Notice | None:
        if link.state == names.UP:
            return self._came_up(chapter, before, link)
        if link.state == names.DOWN and before != names.UP:
            chapter.dropped_at, chapter.told = None, False
            return None
        if chapter.clicks or link.reason == reasons.REQUESTED.id:
            return None  # somebody asked for it; a click that fails is told by its own error
        if before == names.UP and link.state in _NOT_UP:
            chapter.dropped_at, chapter.told = self._clock(), True
            sentence = words.reason(link.reason) or _("The connection was lost.")
            return _trouble(link, sentence, _("Reconnecting…"))
        if link.state == names.FAILED and before != names.FAILED:
            chapter.told = True
            return _trouble(link, words.reason(link.reason) or _("The call failed."), "")
        return None

    def _came_up(self, chapter: _Chapter, before: str, link: Link) -> Notice | None:
        if before == names.UP or not chapter.told:
            return None
        text = _("Connected.")
        if chapter.dropped_at is not None:
            text = _("Connected again after {time}.").format(time=words.duration(self._clock() - chapter.dropped_at))
        chapter.dropped_at, chapter.told = None, False
        return Notice(link.path, link.title, text, "up")


def _trouble(link: Link, sentence: str, trying: str) -> Notice:
    if link.state in _TRYING:
        body = f"{sentence} {trying}"
        return Notice(link.path, link.title, body, "dialing", Urgency.NORMAL, (Verb.RECONNECT, _("Reconnect now")))
    return Notice(link.path, link.title, sentence, "failed", Urgency.CRITICAL, (Verb.CONNECT, _("Connect")))
