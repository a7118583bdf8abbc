"""Amounts and times as the user's country writes them."""

import html
import re
from typing import Final

from PyQt6.QtCore import QDateTime, QLocale, Qt, QTime
from PyQt6.QtGui import QGuiApplication

from cablecar.applet.i18n import _

# Of our own: the system's word for bytes comes without the forms that go with numbers.
_UNITS: Final = (_("{number} B"), _("{number} kB"), _("{number} MB"), _("{number} GB"), _("{number} TB"))
_SHORT: Final = QLocale.FormatType.ShortFormat
_ZONE: Final = re.compile(r",? ?[(\[]?(?<![\w'])t{1,4}(?![\w'])[)\]]?")  # of a long time: `14:05:09 (CET)`


def size(amount: float) -> str:
    """Say how many bytes, in units of a thousand as networks count, with three digits at most."""
    unit = 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    digits = f"{amount:#.3g}" if unit and amount < 1000 else f"{amount:.0f}"
    return isolated(_UNITS[unit].format(number=_number(float(digits))))


def rate(amount: float) -> str:
    """Say how many bytes in a second."""
    return isolated(_("{size}/s").format(size=size(amount)))


def percent(part: float) -> str:
    """Say how much of the whole, rounded so that only the whole is 100 %."""
    digits = 1000 if part >= 1 else min(999, round(part * 1000))
    return isolated(_("{number} %").format(number=_number(digits / 10)))


def clock(seconds: float) -> str:
    """Say the time of day, with the seconds."""
    # Not of the short format: what stands before the seconds, and behind them, is another thing in each country.
    long = QLocale().timeFormat(QLocale.FormatType.LongFormat)
    return QLocale().toString(_moment(seconds).time(), _ZONE.sub("", long).strip())


def hour_and_minute(time: QTime) -> str:
    """Say the time of day without the seconds."""
    return QLocale().toString(time, _minutes())


def _minutes() -> str:
    # In the locale C older Qt has the seconds in the short format too.
    return QLocale().timeFormat(_SHORT).replace(":ss", "")


def date(seconds: float) -> str:
    """Say the day."""
    return QLocale().toString(_moment(seconds).date(), _SHORT)


def date_and_clock(seconds: float) -> str:
    """Say the day and the time of day."""
    return f"{date(seconds)} {clock(seconds)}"


def isolated(text: str) -> str:
    """Keep a text in its own order within a line from right to left, such as a number beside its unit."""
    mirrored = QGuiApplication.layoutDirection() == Qt.LayoutDirection.RightToLeft
    return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}" if mirrored else text


def tooltip(text: str) -> str:
    """Return plain text as a tooltip that wraps its lines; Qt takes some plain texts for markup."""
    return f"<qt>{html.escape(text)}</qt>"


def _number(number: float) -> str:
    """Write a number by locale, with as few digits as it has."""
    return QLocale().toString(number, "f", QLocale.FloatingPointPrecisionOption.FloatingPointShortest.value)


def _moment(seconds: float) -> QDateTime:
    return QDateTime.fromMSecsSinceEpoch(round(seconds * 1000))
