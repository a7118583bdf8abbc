"""What the status window shows, as rows and as plain text for a support mail. Free of widgets.

There is no password in it: the helper gives none out, and masks it in the log. The user name can be left out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cablecar.applet import figures, logview, words
from cablecar.applet.i18n import _
from cablecar.applet.model import Details, Link
from cablecar.applet.strip import Past
from cablecar.helper import names


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a link at one moment.

    Attributes:
        link: What was last heard of its state.
        trouble: Why that may not be so any more; empty when it is.
        details: Addresses and counters.
        past: The last days.
        lines: The log.
        now: The moment.
    """

    link: Link
    trouble: str = ""
    details: Details = field(default_factory=Details)
    past: Past = field(default_factory=Past)
    lines: tuple[str, ...] = ()
    now: float = 0

    def facts(self) -> list[tuple[str, str]]:
        """Return what each fact is called, and the fact; only those that there are."""
        details = self.details
        rows = [
            (_("Connected since"), self._since()),
            (_("Server"), details.server),
            (_("User name"), details.user),
            (_("Network interface"), details.interface),
            (_("Address"), details.local_address),
            (_("Provider's address"), details.remote_address),
            (_("DNS servers"), ", ".join(details.dns)),
            (_("Received"), figures.size(details.received) if details.interface else ""),
            (_("Sent"), figures.size(details.sent) if details.interface else ""),
            *details.others,
        ]
        return [(label, value) for label, value in rows if value]

    def text(self, *, with_user: bool = True) -> str:
        """Return all of it as text."""
        detail = "" if self.trouble else words.detail(self.link)
        parts = [
            [_("Cablecar: {title}").format(title=self.link.title), figures.date_and_clock(self.now)],
            [self.trouble or words.state(self.link), *([detail] if detail else [])],
            [_("{name}: {value}").format(name=name, value=value) for name, value in self.facts()],
            [self.past.summary(self.now), *(f"  {drop.sentence()}" for drop in self.past.drops)],
            [_("Log:"), *_with_meanings(self.lines)],
        ]
        text = "\n\n".join("\n".join(part) for part in parts if part) + "\n"
        return text if with_user else without(text, self.details.user)

    def _since(self) -> str:
        if self.link.state != names.UP or not self.link.since:
            return ""
        return _("{time} ({duration})").format(
            time=figures.date_and_clock(self.link.since), duration=words.duration(self.now - self.link.since)
        )


def without(text: str, user: str) -> str:
    """Return `text` without the user name, also where the log has it or the part before its suffix."""
    account = user.partition("@")[0]
    variants = {user, user.replace("\\", "\\\\"), account, account.replace("\\", "\\\\")}
    for variant in sorted(variants, key=len, reverse=True):
        # One or two letters stand in many words; those would be mutilated.
        pattern = re.escape(variant) if len(variant) > 2 else rf"\b{re.escape(variant)}\b"
        if variant:
            text = re.sub(pattern, lambda _match: _("[left out]"), text, flags=re.IGNORECASE)
    return text


def _with_meanings(lines: Sequence[str]) -> list[str]:
    result: list[str] = []
    for line in lines:
        result.append(f"  {line}")
        if meaning := logview.explain(line):
            result.append(f"    — {meaning}")
    return result
