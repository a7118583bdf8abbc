"""The throughput of the last two minutes as a picture that moves: received filled, sent dashed.

Owns the arithmetic from byte counters to rates and the drawing; is told the counters and asks nobody. Time runs from
left to right in every language: that is how figures, and the graphs of Hebrew and Arabic newspapers, are read. What
stands around the picture is mirrored: the numbers of the scale are where reading begins.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from PyQt6.QtCore import QLocale, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from cablecar.applet import colours, figures, words
from cablecar.applet.i18n import _

SPAN: Final = 120.0  # seconds
_LEAST_TOP: Final = 1000.0  # bytes per second: below that every trickle would look like a flood

# AlignLeft means "where reading begins" to Qt unless it is absolute.
_START: Final = Qt.AlignmentFlag.AlignLeft
_END: Final = Qt.AlignmentFlag.AlignRight
_LEFT: Final = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignAbsolute
_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignAbsolute


@dataclass(frozen=True, slots=True)
class Sample:
    """What went through in a second, in bytes, between two readings.

    Attributes:
        begin: When it was read before, in seconds of any clock.
        end: When it was read now.
        received: Bytes per second in between.
        sent: Likewise.
    """

    begin: float
    end: float
    received: float
    sent: float


class Meter:
    """Turns byte counters into rates."""

    def __init__(self) -> None:
        self._last: tuple[float, int, int] | None = None

    def read(self, moment: float, received: int, sent: int) -> Sample | None:
        """Take a reading; None for the first, and for the first of a new call, whose counters begin anew."""
        last, self._last = self._last, (moment, received, sent)
        if last is None or moment <= last[0] or received < last[1] or sent < last[2]:
            return None
        time = moment - last[0]
        return Sample(last[0], moment, (received - last[1]) / time, (sent - last[2]) / time)

    def forget(self) -> None:
        """Begin anew: nobody knows how what comes next is spread over the time since."""
        self._last = None


class Plot(QWidget):
    """Draws samples."""

    def __init__(self) -> None:
        super().__init__()
        self._samples: deque[Sample] = deque()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(_("Throughput"))
        self._describe()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What is shown, the newest last."""
        return tuple(self._samples)

    def add(self, sample: Sample) -> None:
        """Show one more sample, and no longer what is too old for the picture."""
        self._samples.append(sample)
        while self._samples[0].end < sample.end - SPAN:
            self._samples.popleft()
        self._describe()
        self.update()

    def _describe(self) -> None:
        self.setAccessibleDescription(
            _("Received {received} at the moment, sent {sent}; at most {most} in the last {time}.").format(
                received=figures.rate(self._now().received),
                sent=figures.rate(self._now().sent),
                most=figures.rate(self._most()),
                time=words.duration(SPAN),
            )
            if self._samples
            else _("Nothing has been measured yet.")
        )

    def _now(self) -> Sample:
        return self._samples[-1] if self._samples else Sample(0, 0, 0, 0)

    def _most(self) -> float:
        return max((max(sample.received, sample.sent) for sample in self._samples), default=0.0)

    def sizeHint(self) -> QSize:
        """As wide as a line of text, and a third as high."""
        return self._cells(44, 9)

    def minimumSizeHint(self) -> QSize:
        """So small that the scale can still be read."""
        return self._cells(26, 6)

    def _cells(self, columns: int, lines: int) -> QSize:
        metrics = self.fontMetrics()
        return QSize(columns * metrics.averageCharWidth(), lines * metrics.height())

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw everything."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = self.fontMetrics().height()
        top = round_up(max(self._most(), _LEAST_TOP))
        scale = [figures.rate(top * step / 2) for step in (0, 1, 2)]
        margin = max(self.fontMetrics().horizontalAdvance(text) for text in scale) + line / 2
        mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        area = QRectF(self.rect()).adjusted(
            0 if mirrored else margin, 1.7 * line, -margin if mirrored else 0, -1.2 * line
        )
        area.adjust(1, 0, -1, 0)
        self._draw_legend(painter, line)
        self._draw_grid(painter, area, scale, margin, mirrored)
        self._draw_samples(painter, area, top)

    def _draw_legend(self, painter: QPainter, line: int) -> None:
        now, width = self._now(), self.width() / 2
        mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        entries = (
            (self._received_pen(), True, _("Received {rate}").format(rate=figures.rate(now.received))),
            (self._sent_pen(), False, _("Sent {rate}").format(rate=figures.rate(now.sent))),
        )
        for number, (pen, filled, text) in enumerate(entries):
            left = width * ((1 - number) if mirrored else number)
            sign = QRectF(left + (width - 2 * line if mirrored else 0), line * 0.25, 2 * line, line * 0.6)
            if filled:
                painter.fillRect(sign, _translucent(pen.color()))
            painter.setPen(pen)
            y = sign.top() if filled else sign.center().y()
            painter.drawLine(QPointF(sign.left(), y), QPointF(sign.right(), y))
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            room = QRectF(left if mirrored else left + 2.5 * line, 0, width - 2.5 * line, 1.1 * line)
            painter.drawText(room, int(_START | Qt.AlignmentFlag.AlignVCenter), self._elided(text, room.width()))

    def _draw_grid(self, painter: QPainter, area: QRectF, scale: list[str], margin: float, mirrored: bool) -> None:
        line = self.fontMetrics().height()
        painter.fillRect(area, self.palette().color(QPalette.ColorRole.Base))
        for step, text in enumerate(scale):
            y = area.bottom() - area.height() * step / 2
            painter.setPen(QPen(colours.faint(self.palette()), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            room = QRectF(area.right() + line / 4 if mirrored else 0, y - line / 2, margin - line / 4, line)
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            painter.drawText(room, int(_END | Qt.AlignmentFlag.AlignVCenter), text)
        below = QRectF(area.left(), area.bottom() + line * 0.1, area.width(), line * 1.1)
        ago = _("{m} min ago").format(m=QLocale().toString(round(SPAN / 60)))
        painter.drawText(below, int(_LEFT | Qt.AlignmentFlag.AlignVCenter), ago)
        painter.drawText(below, int(_RIGHT | Qt.AlignmentFlag.AlignVCenter), _("now"))

    def _draw_samples(self, painter: QPainter, area: QRectF, top: float) -> None:
        if not self._samples:
            return
        painter.setClipRect(area.adjusted(0, -2, 0, 2))
        end = self._samples[-1].end

        def point(moment: float, amount: float) -> QPointF:
            return QPointF(
                area.right() - area.width() * (end - moment) / SPAN, area.bottom() - area.height() * amount / top
            )

        for run in _runs(self._samples):
            received = [point(run[0].begin, run[0].received), *(point(one.end, one.received) for one in run)]
            sent = [point(run[0].begin, run[0].sent), *(point(one.end, one.sent) for one in run)]
            ground = [point(run[-1].end, 0), point(run[0].begin, 0)]
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(_translucent(self._received_pen().color()))
            painter.drawPolygon(QPolygonF([*received, *ground]))
            painter.setPen(self._received_pen())
            painter.drawPolyline(QPolygonF(received))
            painter.setPen(self._sent_pen())
            painter.drawPolyline(QPolygonF(sent))

    def _received_pen(self) -> QPen:
        return QPen(self.palette().color(QPalette.ColorRole.Highlight), self.fontMetrics().height() / 8)

    def _sent_pen(self) -> QPen:
        return QPen(colours.text(self.palette()), self.fontMetrics().height() / 9, Qt.PenStyle.DashLine)

    def _elided(self, text: str, width: float) -> str:
        return self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(width))


def round_up(amount: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten: the end of a scale whose half is round too."""
    power = 10.0 ** math.floor(math.log10(amount))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= amount * (1 - 1e-9))


def _runs(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Return the samples in pieces without a gap."""
    runs: list[list[Sample]] = []
    for sample in samples:
        if runs and runs[-1][-1].end == sample.begin:
            runs[-1].append(sample)
        else:
            runs.append([sample])
    return runs


def _translucent(colour: QColor) -> QColor:
    result = QColor(colour)
    result.setAlphaF(0.3)
    return result
