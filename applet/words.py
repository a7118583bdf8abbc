"""States, reasons and errors in words, with times as the user's country writes them. Knows no widget.

The reasons' sentences are the helper's (`cablecar.helper.reasons`); here is what the applet says of its own.
"""

import time
from typing import Final

from PyQt6.QtCore import QDateTime

from cablecar.applet import figures
from cablecar.applet.i18n import _, said
from cablecar.applet.model import UNKNOWN, CallError, Details, Helper, Link, Snapshot, clean
from cablecar.helper import names, reasons

GONE: Final = _("This link does not exist any more.")
_STATES: Final = {
    names.DOWN: _("Disconnected"),
    names.WAITING: _("Waiting"),
    names.DIALING: _("Connecting…"),
    names.UP: _("Connected"),
    names.STOPPING: _("Disconnecting…"),
    names.FAILED: _("Not connected"),
}
_PHASES: Final = {
    names.PREPARING: _("Preparing the call"),
    names.CONNECTING: _("Calling the provider's server"),
    names.AUTHENTICATING: _("Logging in"),
    names.CONFIGURING: _("Receiving the address"),
}

# The bus daemon's and QtDBus's ways of saying that nobody answers, with what to tell about each.
_BUS = "org.freedesktop.DBus.Error."
_NOT_INSTALLED: Final = _("The Cablecar helper is not installed, or cannot be started.")
_NOT_ANSWERING: Final = _("The Cablecar helper does not answer.")
_ABSENT: Final = {
    _BUS + "ServiceUnknown": _NOT_INSTALLED,
    _BUS + "NameHasNoOwner": _NOT_INSTALLED,
    _BUS + "FileNotFound": _("The system bus cannot be reached."),
    _BUS + "NoServer": _("The system bus cannot be reached."),
    _BUS + "Disconnected": _("The system bus cannot be reached."),
    _BUS + "AccessDenied": _("The system does not let this user speak to the Cablecar helper."),
    _BUS + "NoReply": _NOT_ANSWERING,
    _BUS + "Timeout": _NOT_ANSWERING,
    _BUS + "TimedOut": _NOT_ANSWERING,
}

# The person has just said no, or has just disconnected.
_DECLINED: Final = frozenset({names.ERROR_PREFIX + "Cancelled", names.ERROR_PREFIX + "NotAuthorizedDismissed"})
# Errors of a click on a link's verb after which nothing needs saying either: the helper was restarted under the call,
# or the call took minutes. The wish goes on, and the icon shows how.
_QUIET: Final = _DECLINED | {_BUS + "NoReply", _BUS + "Timeout", _BUS + "TimedOut"}
_ERRORS: Final = {
    **{names.ERROR_PREFIX + reason.error: _(reason.sentence) for reason in reasons.ALL if reason.sentence},
    names.ERROR_PREFIX + "NotAuthorized": _("You are not allowed to do this."),
    names.ERROR_PREFIX + "NotAuthorizedCanObtain": _("This needs a password, and nobody could be asked for it."),
    names.ERROR_PREFIX + "NoSuchLink": GONE,
}


# Reasons that another password may cure.
ANOTHER_PASSWORD: Final = (reasons.NO_PASSWORD.id, reasons.AUTHENTICATION_FAILED.id, reasons.PASSWORD_EXPIRED.id)


def is_absence(error: CallError) -> bool:
    """Whether the error means that there is no helper to speak to."""
    return error.name in _ABSENT or error.name.startswith(_BUS + "Spawn.")


def is_declined(error: CallError) -> bool:
    """Whether a person has said no to it, or has undone it, and knows."""
    return error.name in _DECLINED


def needs_saying(error: CallError) -> bool:
    """Whether the person who clicked on a link's verb has to be told."""
    return error.name not in _QUIET


def problem(error: CallError) -> str:
    """Say why the helper cannot be spoken to."""
    return _ABSENT.get(error.name, _NOT_INSTALLED if is_absence(error) else _NOT_ANSWERING)


def error(error: CallError) -> str:
    """Say what went wrong with a call, in a sentence: ours for a known error, else what came with it."""
    if is_absence(error):
        return problem(error)
    return _ERRORS.get(error.name) or said(clean(error.text)) or _("It did not work.")


def reason(reason_id: str, *, brief: bool = False) -> str:
    """Say why a link is not up; empty when there is nothing to say. Brief is what happened, not what to do about it."""
    if reason_id in ("", reasons.REQUESTED.id):
        return ""
    known = reasons.BY_ID.get(reason_id)
    if known is None:
        return _("The reason is not known to this applet: {reason}.").format(reason=reason_id)
    text = _(known.sentence)
    return text.split(". ", 1)[0] + "." if brief and ". " in text else text


def state(link: Link, *, dated: bool = False) -> str:
    """Say a link's state, and since when it is up; `dated` is for a text that may be read tomorrow."""
    text = _STATES.get(link.state, _("In a state that this applet does not know"))
    if link.state == names.UP and link.since:
        return _("Connected since {time}").format(time=_clock(link.since, dated=dated))
    return text


def detail(link: Link, *, brief: bool = False) -> str:
    """Say what else there is to know: the phase while dialing, else the reason and the next try.

    Brief is what happened without what to do about it, for a line of a menu.
    """
    if link.state == names.DIALING:
        return _PHASES.get(link.phase, "")
    if link.state in (names.UP, names.STOPPING, UNKNOWN):
        return ""
    text = reason(link.reason, brief=brief)
    if link.state == names.WAITING and link.next_retry > time.time():
        next_try = _("Next try at {time}.").format(time=figures.clock(link.next_retry))
        return f"{text} {next_try}".strip()
    return text


def traffic(link: Link, details: Details | None) -> str:
    """Say for how long the link has been up and what it has carried, as far as that is known."""
    if link.state != names.UP:
        return ""
    if details is None:
        # At once and not with the details: a menu that grows while it is open does not fit any more.
        return _("For {time}").format(time=duration(time.time() - link.since)) if link.since else ""
    received, sent = figures.size(details.received), figures.size(details.sent)
    if not link.since:
        return _("{received} received, {sent} sent").format(received=received, sent=sent)
    up = duration(time.time() - link.since)
    return _("For {time}: {received} received, {sent} sent").format(time=up, received=received, sent=sent)


def helper(snapshot: Snapshot) -> str:
    """Say why the links cannot be shown; empty when they can."""
    match snapshot.helper:
        case Helper.ASKING:
            return _("Asking the Cablecar helper…")
        case Helper.GONE:
            return _("The Cablecar helper is not running.")
        case Helper.ABSENT:
            return problem(snapshot.problem)
        case Helper.RUNNING:
            return ""


def duration(seconds: float) -> str:
    """Say how long something took, in units short enough to need no plural; the smaller one when it says something."""
    whole = max(1, round(seconds))
    d, h, m, s = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if d:
        text = _("{d} d {h} h") if h else _("{d} d")
    elif h:
        text = _("{h} h {m} min") if m else _("{h} h")
    elif m:
        text = _("{m} min {s} s") if s else _("{m} min")
    else:
        text = _("{s} s")
    return text.format(d=d, h=h, m=m, s=s)


def _clock(seconds: float, *, dated: bool = False) -> str:
    then = QDateTime.fromMSecsSinceEpoch(round(seconds * 1000))
    today = then.date() == QDateTime.currentDateTime().date()
    clock = figures.hour_and_minute(then.time())
    return clock if today and not dated else f"{figures.date(seconds)} {clock}"
