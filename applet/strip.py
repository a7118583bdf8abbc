"""The last days as a strip of up and down: a row for each day, a mark for each drop.

First the pure arithmetic from the helper's records to stretches of time and drops, then the widget that draws them.
Time runs from left to right in every language, as in plot.py, and so do the arrow keys; the names of the days stand
where reading begins.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from typing import Final

from PyQt6.QtCore import QDate, QEvent, QLocale, QPointF, QRectF, QSize, Qt, QTime, pyqtSignal
from PyQt6.QtGui import (
    QBrush,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
)
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from cablecar.applet import colours, figures, words
from cablecar.applet.i18n import _, ngettext
from cablecar.applet.model import Link, Record
from cablecar.helper import names, reasons

DAYS: Final = 7
_ROW: Final = 1.6  # lines of text from one day to the next
_MIDDLE: Final = Qt.AlignmentFlag.AlignVCenter

# After a call that ended for one of these the link was not wanted up.
_WISHED: Final = frozenset({reasons.REQUESTED.id, reasons.HUNG_UP_HERE.id, reasons.IDLE.id, reasons.TRAFFIC_LIMIT.id})
_TRYING: Final = (names.WAITING, names.DIALING, names.FAILED)


class Course(Enum):
    """What a link did for some time."""

    UP = "up"
    DOWN = "down"  # wanted, and not there
    OFF = "off"  # not wanted


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in seconds since the epoch."""

    begin: float
    end: float
    course: Course


@dataclass(frozen=True, slots=True)
class Drop:
    """A connection that was lost, or could not be made.

    Attributes:
        moment: When.
        reason: Id of the reason.
        was_up: It was lost; else it could not be made.
        back: When the link was up again; 0 when it is not, or nobody knows.
    """

    moment: float
    reason: str
    was_up: bool = True
    back: float = 0

    def sentence(self) -> str:
        """Say it in words."""
        when = figures.date_and_clock(self.moment)
        why = words.reason(self.reason) or _("The connection was lost.")
        text = _("{time}: {reason}") if self.was_up else _("{time}, not connected: {reason}")
        said = text.format(time=when, reason=why)
        if self.back:
            said += " " + _("Connected again after {time}.").format(time=words.duration(self.back - self.moment))
        return said


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of the past, the oldest first."""

    spans: tuple[Span, ...] = ()
    drops: tuple[Drop, ...] = ()

    def share(self, begin: float, end: float) -> float | None:
        """Return how much of the time that the link was wanted between these it was up; None when it never was."""
        total = {Course.UP: 0.0, Course.DOWN: 0.0, Course.OFF: 0.0}
        for span in self.spans:
            total[span.course] += max(0.0, min(span.end, end) - max(span.begin, begin))
        wanted = total[Course.UP] + total[Course.DOWN]
        return total[Course.UP] / wanted if wanted else None

    def since(self, begin: float) -> "Past":
        """Return the part that has not ended before `begin`."""
        return Past(
            tuple(span for span in self.spans if span.end > begin),
            tuple(drop for drop in self.drops if drop.moment >= begin),
        )

    def summary(self, now: float) -> str:
        """Say it all in a line."""
        share = self.share(0, now)
        if share is None:
            return _("Nothing is known of the last days yet.")
        number = len(self.drops)
        said = _("Connected for {share} of the time that it should have been.").format(share=figures.percent(share))
        count = ngettext("{number} interruption.", "{number} interruptions.", number)
        return f"{said} {count.format(number=QLocale().toString(number))}"


def tell(records: Sequence[Record], link: Link | None, now: float) -> Past:
    """Make stretches and drops of the calls that are over and of what the link does at present."""
    teller = _Teller()
    for record in sorted(records, key=lambda record: record.ended):
        if record.ended <= now:  # else the clock has been put back since
            teller.call(record)
    if link is not None and link.state == names.UP and 0 < link.since <= now:
        teller.came_up(link.since)
        teller.stretch(now, Course.UP)
    elif link is not None and link.state in (*_TRYING, names.DOWN):
        teller.stretch(now, Course.DOWN if link.state in _TRYING else Course.OFF)
    return Past(tuple(teller.spans), tuple(teller.drops))


class _Teller:
    """Puts stretch after stretch, the oldest first; nothing is told of the time before the first call."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.drops: list[Drop] = []
        self._end = 0.0
        self._after = Course.OFF  # what the link has done after that

    def call(self, record: Record) -> None:
        if record.connected:
            self.came_up(record.connected)
        else:
            self.stretch(record.dialed or record.ended, self._after)
        self.stretch(record.ended, Course.UP if record.connected else Course.DOWN)
        after = Course.OFF if record.reason in _WISHED else Course.DOWN
        # Of tries that fail one after the other the first is told, or the drop before them.
        if after is Course.DOWN and (record.connected or self._after is Course.OFF):
            self.drops.append(Drop(record.ended, record.reason, bool(record.connected)))
        self._after = after

    def came_up(self, moment: float) -> None:
        self.stretch(moment, self._after)
        if self._after is Course.DOWN and self.drops and not self.drops[-1].back:
            self.drops[-1] = replace(self.drops[-1], back=max(moment, self.drops[-1].moment))

    def stretch(self, until: float, course: Course) -> None:
        begin = self._end or until
        if until > begin:
            self.spans.append(Span(begin, until, course))
        self._end = max(self._end, until)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the calendar here; 23 or 25 hours long when the clocks change."""

    date: date
    begin: float
    end: float


def last_days(now: float) -> list[Day]:
    """Return the days that are shown, today last."""
    today = date.fromtimestamp(now)
    dates = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    return [Day(one, _local(one), _local(one + timedelta(days=1))) for one in dates]


def _local(day: date, hour: int = 0) -> float:
    return time.mktime((day.year, day.month, day.day, hour, 0, 0, 0, 0, -1))


class Strip(QWidget):
    """Draws the past.

    Signals:
        told: The drop that was chosen, in words; empty when none is.
    """

    told = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._days: list[Day] = []
        self._past = Past()
        self._chosen: Drop | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(_("The last days"))

    @property
    def chosen(self) -> Drop | None:
        """The drop that is told about."""
        return self._chosen

    @property
    def drops(self) -> tuple[Drop, ...]:
        """What the keyboard can reach, the oldest first."""
        return self._past.drops

    def show_past(self, past: Past, now: float) -> None:
        """Show what has happened until now."""
        self._now, self._days = now, last_days(now)
        self._past = past.since(self._days[0].begin)
        # The same drop may have ended by now.
        moment = self._chosen.moment if self._chosen else 0.0
        self._choose(next((drop for drop in self._past.drops if drop.moment == moment), None))
        self.updateGeometry()
        self.update()

    def _choose(self, drop: Drop | None) -> None:
        self._chosen = drop
        said = drop.sentence() if drop else ""
        summary = self._past.summary(self._now)
        self.setAccessibleDescription(f"{said} {summary}".strip())
        self.told.emit(said)
        self.update()

    def sizeHint(self) -> QSize:
        """A row for each day, one for the hours, one for the legend."""
        metrics = self.fontMetrics()
        return QSize(56 * metrics.averageCharWidth(), round((DAYS * _ROW + 1.2 + 1.8) * metrics.height()))

    def minimumSizeHint(self) -> QSize:
        """As high as it is, and not too narrow for four hours' names."""
        return QSize(36 * self.fontMetrics().averageCharWidth(), self.sizeHint().height())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Go from drop to drop: with the arrows to the one before and after, Home and End to the first and last."""
        assert event is not None
        drops = self._past.drops
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Home: -len(drops), Qt.Key.Key_End: len(drops)}
        step = steps.get(Qt.Key(event.key()))
        if step is None or not drops:
            super().keyPressEvent(event)
            return
        at = drops.index(self._chosen) if self._chosen else len(drops)
        self._choose(drops[min(max(at + step, 0), len(drops) - 1)])

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """Begin with the last drop, which is the one that people ask about."""
        if self._chosen is None and self._past.drops:
            self._choose(self._past.drops[-1])
        super().focusInEvent(event)
        self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Choose the drop under the pointer."""
        assert event is not None
        if (drop := self._drop_at(event.position())) is not None:
            self._choose(drop)
        super().mousePressEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Tell what is under the pointer."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.text_at(QPointF(event.pos()))
            if text:
                QToolTip.showText(event.globalPos(), figures.tooltip(text), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def text_at(self, place: QPointF) -> str:
        """Return what is to be said of a place: its drop, else its stretch of time."""
        if (drop := self._drop_at(place)) is not None:
            return drop.sentence()
        moment = self._moment_at(place)
        span = next((span for span in self._past.spans if span.begin <= moment < span.end), None)
        if span is None:
            return ""
        text = _("{state} from {begin} to {end}")
        until = _("now") if span.end >= self._now else figures.date_and_clock(span.end)
        return text.format(state=_courses()[span.course], begin=figures.date_and_clock(span.begin), end=until)

    def place_of(self, drop: Drop) -> QPointF:
        """Return where a drop's mark is."""
        row = next((row for row, day in enumerate(self._days) if day.begin <= drop.moment < day.end), 0)
        area = self._area(row)
        return QPointF(self._x(area, self._days[row], drop.moment), area.center().y())

    def _drop_at(self, place: QPointF) -> Drop | None:
        reach = self.fontMetrics().height() / 2
        near = [
            (abs(self.place_of(drop).x() - place.x()), drop) for drop in self._past.drops if self._in_row(drop, place)
        ]
        distance, drop = min(near, key=lambda one: one[0], default=(reach + 1, None))
        return drop if distance <= reach else None

    def _in_row(self, drop: Drop, place: QPointF) -> bool:
        return abs(self.place_of(drop).y() - place.y()) <= _ROW * self.fontMetrics().height() / 2

    def _moment_at(self, place: QPointF) -> float:
        for row, day in enumerate(self._days):
            area = self._area(row)
            if area.contains(place):
                return day.begin + (day.end - day.begin) * (place.x() - area.left()) / area.width()
        return 0.0

    def _area(self, row: int) -> QRectF:
        """Return where a day is drawn."""
        line = self.fontMetrics().height()
        before = max(self.fontMetrics().horizontalAdvance(_name(day, self._now)) for day in self._days) + line / 2
        after = self.fontMetrics().horizontalAdvance(figures.percent(0.999)) + line / 2
        left, right = (after, before) if self.layoutDirection() == Qt.LayoutDirection.RightToLeft else (before, after)
        return QRectF(left, (row * _ROW + 0.25) * line, max(1.0, self.width() - left - right), 1.1 * line)

    def _x(self, area: QRectF, day: Day, moment: float) -> float:
        part = (moment - day.begin) / (day.end - day.begin)
        return area.left() + area.width() * min(max(part, 0.0), 1.0)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw everything."""
        if not self._days:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, day in enumerate(self._days):
            self._draw_day(painter, self._area(row), day)
        for drop in self._past.drops:
            self._draw_drop(painter, drop)
        self._draw_hours(painter)
        self._draw_legend(painter)

    def _draw_day(self, painter: QPainter, area: QRectF, day: Day) -> None:
        line = self.fontMetrics().height()
        mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        name = QRectF(0, area.top(), area.left() - line / 2, area.height())
        share = QRectF(area.right() + line / 2, area.top(), self.width() - area.right() - line / 2, area.height())
        if mirrored:
            name, share = share, name
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.drawText(name, int(Qt.AlignmentFlag.AlignLeft | _MIDDLE), _name(day, self._now))
        if (part := self._past.share(day.begin, day.end)) is not None:
            painter.drawText(share, int(Qt.AlignmentFlag.AlignRight | _MIDDLE), figures.percent(part))
        painter.fillRect(area, self.palette().color(QPalette.ColorRole.Base))
        for span in self._past.spans:
            if span.begin < day.end and span.end > day.begin:
                left = self._x(area, day, span.begin)
                right = self._x(area, day, span.end)
                self._draw_span(painter, QRectF(left, area.top(), max(right - left, 1.0), area.height()), span.course)
        painter.setPen(QPen(colours.faint(self.palette()), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(area)

    def _draw_span(self, painter: QPainter, room: QRectF, course: Course) -> None:
        """Up is a block, down a low one with hatching above it, off a thin line."""
        match course:
            case Course.UP:
                painter.fillRect(room, colours.good(self.palette()))
            case Course.DOWN:
                colour = colours.bad(self.palette())
                painter.fillRect(room, QBrush(colour, Qt.BrushStyle.BDiagPattern))
                low = room.height() * 0.4
                painter.fillRect(QRectF(room.left(), room.bottom() - low, room.width(), low), colour)
            case Course.OFF:
                painter.setPen(QPen(colours.faint(self.palette()), 2))
                y = room.center().y()
                painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))

    def _draw_drop(self, painter: QPainter, drop: Drop) -> None:
        place, line = self.place_of(drop), self.fontMetrics().height()
        self._draw_mark(painter, place, line)
        if drop == self._chosen:
            frame = QRectF(place.x() - 0.45 * line, place.y() - 0.75 * line, 0.9 * line, 1.5 * line)
            colour = QPalette.ColorRole.Highlight if self.hasFocus() else QPalette.ColorRole.WindowText
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(self.palette().color(colour), line / 8))
            painter.drawRoundedRect(frame, line / 6, line / 6)

    def _draw_mark(self, painter: QPainter, place: QPointF, line: float) -> None:
        """A nail: a line with a head, in the colour of text."""
        x, y, wide = place.x(), place.y(), line / 3.5
        colour, edge = colours.text(self.palette()), self.palette().color(QPalette.ColorRole.Base)
        painter.setPen(QPen(edge, 1))
        painter.setBrush(colour)
        head = [QPointF(x - wide, y - 0.65 * line), QPointF(x + wide, y - 0.65 * line), QPointF(x, y - 0.1 * line)]
        painter.drawPolygon(QPolygonF(head))
        painter.setPen(QPen(colour, max(1.5, line / 10)))
        painter.drawLine(QPointF(x, y - 0.2 * line), QPointF(x, y + 0.55 * line))

    def _draw_hours(self, painter: QPainter) -> None:
        line, today, area = self.fontMetrics().height(), self._days[-1], self._area(DAYS - 1)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        for hour in (0, 6, 12, 18, 24):
            moment = _local(today.date, hour)
            text = _hour(hour)
            width = self.fontMetrics().horizontalAdvance(text)
            x = min(max(self._x(area, today, moment) - width / 2, area.left()), area.right() - width)
            painter.drawText(QPointF(x, area.bottom() + 0.3 * line + self.fontMetrics().ascent()), text)

    def _draw_legend(self, painter: QPainter) -> None:
        line = self.fontMetrics().height()
        mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        top = (DAYS * _ROW + 1.6) * line
        entries: list[tuple[Course | None, str]] = [*_courses().items(), (None, _("Interruption"))]
        x = 0.0
        for course, text in entries:
            wide = 1.8 * line + self.fontMetrics().horizontalAdvance(text)
            left = self.width() - x - wide if mirrored else x
            sign = QRectF(left + wide - 1.4 * line if mirrored else left, top, 1.4 * line, line)
            if course is None:
                self._draw_mark(painter, sign.center(), line)
            else:
                self._draw_span(painter, sign, course)
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            painter.drawText(QPointF(left if mirrored else left + 1.8 * line, top + self.fontMetrics().ascent()), text)
            x += wide + line


def _courses() -> dict[Course, str]:
    return {Course.UP: _("Connected"), Course.DOWN: _("Not connected"), Course.OFF: _("Not wanted")}


def _name(day: Day, now: float) -> str:
    if day.begin <= now < day.end:
        return _("Today")
    return QLocale().toString(QDate(day.date.year, day.date.month, day.date.day), "ddd d")


def _hour(hour: int) -> str:
    """Name an hour as the user's country does; the last midnight is written like the first."""
    return figures.hour_and_minute(QTime(hour % 24, 0))
