"""The window of the diagnosis: has the helper look, and shows each check with what was seen and what to do.

Owns the titles of the checks; a check that it does not know is shown under its id. What was seen and what to do come
from the helper, as plain text. A verdict is a shape and a word, and only then a colour.
"""

from typing import Any, Final

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QGuiApplication, QPainter, QPaintEvent, QPalette, QPen, QPolygonF, QShowEvent
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QGridLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QStyle,
    QStyleOptionFocusRect,
    QVBoxLayout,
    QWidget,
)

from cablecar.applet import colours, figures, labels, model, windowsize, words
from cablecar.applet.client import Client
from cablecar.applet.i18n import _, said
from cablecar.applet.model import BAD, GOOD, UNKNOWN, CallError, Finding, Snapshot
from cablecar.helper import names

_TITLES: Final = {
    "programs": _("Programs"),
    "kernel": _("Kernel"),
    "settings": _("Settings file"),
    "password": _("Password"),
    "peer-file": _("pppd's file"),
    "cable": _("Cable"),
    "lease": _("Address on the cable"),
    "dhcp-server": _("DHCP server"),
    "server-name": _("Server's name"),
    "server": _("Server"),
    "gre": _("Tunnel (GRE)"),
    "mtu": _("Size of packets"),
    "pins": _("Way to the server"),
    "default-route": _("Way of all traffic"),
    "dns": _("DNS"),
    "firewall": _("Firewall"),
    "last-call": _("Last call"),
    "double-dialers": _("Other programs that dial"),
}
_VERDICTS: Final = {GOOD: _("In order"), BAD: _("Not in order"), UNKNOWN: _("Not known")}
_ORDER: Final = (BAD, UNKNOWN, GOOD)


def title(check: str) -> str:
    """Name a check."""
    return _TITLES.get(check) or (_("Check “{id}”").format(id=check) if check else _("A check"))


def summary(findings: tuple[Finding, ...]) -> str:
    """Say in a line what came out."""
    if not findings:
        return _("The helper knows no checks for this link.")
    bad = sum(finding.verdict == BAD for finding in findings)
    if not bad:
        return _("Nothing was found that needs mending.")
    return _("To be mended: {bad} of {all} checks.").format(bad=bad, all=len(findings))


def as_text(link: str, findings: tuple[Finding, ...]) -> str:
    """Return the findings as plain text."""
    parts = [_("Cablecar: diagnosis of {title}").format(title=link), summary(findings), ""]
    for finding in findings:
        parts.append(f"[{_VERDICTS[finding.verdict]}] {title(finding.id)}")
        parts += [f"    {line}" for line in (said(finding.seen), _what_to_do(finding)) if line]
    return "\n".join(parts) + "\n"


def _what_to_do(finding: Finding) -> str:
    return _("What to do: {advice}").format(advice=figures.isolated(said(finding.advice))) if finding.advice else ""


class DiagnosisWindow(QDialog):
    """Runs the diagnosis when it is shown, and again when asked."""

    def __init__(self, client: Client, path: str) -> None:
        super().__init__(None, Qt.WindowType.Window)
        self._client = client
        self._path = path
        self._name = model.link_name(path) or ""
        self._title = self._name
        self._findings: tuple[Finding, ...] | None = None
        self._trouble = ""
        self._running = False
        self._build()
        client.changed.connect(self._follow)
        client.checked.connect(self._checked)
        self._follow(client.snapshot)

    def _build(self) -> None:
        self._said = labels.plain()
        self._progress = QProgressBar()
        self._progress.setRange(0, 0)
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName(_("The helper is looking"))
        self._progress.setVisible(False)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.setAccessibleName(_("Checks"))
        buttons = QDialogButtonBox()
        close = QPushButton(_("&Close"))  # not Qt's own: its key is the desktop's to choose
        buttons.addButton(close, QDialogButtonBox.ButtonRole.RejectRole)
        self._again, self._copy = QPushButton(_("&Again")), QPushButton(_("Cop&y as text"))
        for button, does in ((self._again, self.run), (self._copy, self._copy_text)):
            button.clicked.connect(does)
            buttons.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for part in (self._said, self._progress, self._area, buttons):
            layout.addWidget(part)
        layout.setStretchFactor(self._area, 1)
        close.setDefault(True)  # only now: a button outside a dialog is the default of none
        windowsize.fit(self, 38, 30)

    def run(self) -> None:
        """Ask the helper to look."""
        if self._running or not self._client.snapshot.is_askable(self._path):
            return
        self._running = True
        self._findings = None
        self._fill(())
        self._show()
        # Whoever opens this window has asked for it: polkit may ask for a password where it has to.
        self._client.ask(
            names.MANAGER_PATH,
            names.MANAGER_INTERFACE,
            "Diagnose",
            [self._name],
            "aa{sv}",
            self._answered,
            clicked=True,
        )

    def showEvent(self, event: QShowEvent | None) -> None:
        """Look as soon as somebody wants to see it."""
        super().showEvent(event)
        if event is not None and not event.spontaneous():
            self.run()

    def _checked(self, name: str, finding: Finding) -> None:
        """Show one check as soon as it is done; in its place among the others when all are."""
        page = self._area.widget()
        rows = page.layout() if page is not None else None
        if self._running and name == self._name and isinstance(rows, QVBoxLayout):
            rows.insertWidget(rows.count() - 1, Row(finding))  # above the stretch

    def _answered(self, result: list[Any] | CallError) -> None:
        self._running = False
        if isinstance(result, CallError):
            self._trouble = words.error(result)
        else:
            self._trouble = ""
            # What is to be mended stands first; among its like, what the helper looks at first.
            self._findings = tuple(sorted(Finding.parse_all(result[0]), key=lambda one: _ORDER.index(one.verdict)))
            self._fill(self._findings)
        self._show()

    def _follow(self, snapshot: Snapshot) -> None:
        if link := snapshot.link(self._path):
            self._title = link.title
        self.setWindowTitle(_("{title}: diagnosis").format(title=self._title))
        self._show()

    def _show(self) -> None:
        snapshot = self._client.snapshot
        is_askable = snapshot.is_askable(self._path)
        if not is_askable:
            text = words.helper(snapshot) or words.GONE
        elif self._running:
            text = _("The helper is looking. A name that is not answered for can take a quarter of a minute.")
        else:
            text = self._trouble or ("" if self._findings is None else summary(self._findings))
        self._said.setText(text)
        self._progress.setVisible(self._running)
        self._again.setEnabled(not self._running and is_askable)
        self._copy.setEnabled(bool(self._findings) and not self._running)

    def _fill(self, findings: tuple[Finding, ...]) -> None:
        page = QWidget()
        rows = QVBoxLayout(page)
        rows.setSpacing(0)
        for finding in findings:
            rows.addWidget(Row(finding))
        rows.addStretch(1)
        self._area.setWidget(page)  # which deletes the one before

    def _copy_text(self) -> None:
        if (clipboard := QGuiApplication.clipboard()) is not None:
            clipboard.setText(as_text(self._title, self._findings or ()))
            self._said.setText(_("Copied."))


class Row(QFrame):
    """One finding; a stop of the Tab key, so that the keyboard and a screen reader get there."""

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        verdict, check = _VERDICTS[finding.verdict], title(finding.id)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(_("{verdict}: {check}").format(verdict=verdict, check=check))
        self.setAccessibleDescription(" ".join(part for part in (said(finding.seen), _what_to_do(finding)) if part))
        heading = labels.plain(_("{verdict}: {check}").format(verdict=verdict, check=check), bold=True)
        layout = QGridLayout(self)
        layout.setColumnStretch(1, 1)
        layout.addWidget(Mark(finding.verdict), 0, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(heading, 0, 1)
        for number, text in enumerate((said(finding.seen), _what_to_do(finding)), start=1):
            if text:
                layout.addWidget(labels.plain(text), number, 1)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Show where the keyboard is."""
        super().paintEvent(event)
        style = self.style()
        if self.hasFocus() and style is not None:
            option = QStyleOptionFocusRect()
            option.initFrom(self)
            style.drawPrimitive(QStyle.PrimitiveElement.PE_FrameFocusRect, option, QPainter(self), self)


class Mark(QWidget):
    """The shape of a verdict: a disc with a tick, a square with a cross, a ring with a question mark."""

    def __init__(self, verdict: str) -> None:
        super().__init__()
        self._verdict = verdict
        self.setAccessibleName(_VERDICTS[verdict])

    def sizeHint(self) -> QSize:
        """Somewhat larger than a line of text."""
        return QSize(1, 1) * round(1.4 * self.fontMetrics().height())

    minimumSizeHint = sizeHint

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side = min(self.width(), self.height()) - 2.0
        room = QRectF((self.width() - side) / 2, (self.height() - side) / 2, side, side)
        match self._verdict:
            case model.GOOD:
                self._draw_good(painter, room)
            case model.BAD:
                self._draw_bad(painter, room)
            case _:
                self._draw_unknown(painter, room)

    def _draw_good(self, painter: QPainter, room: QRectF) -> None:
        _fill(painter, colours.good(self.palette()))
        painter.drawEllipse(room)
        self._stroke(painter, room.width())
        painter.drawPolyline(QPolygonF([_at(room, 0.27, 0.53), _at(room, 0.44, 0.7), _at(room, 0.75, 0.33)]))

    def _draw_bad(self, painter: QPainter, room: QRectF) -> None:
        _fill(painter, colours.bad(self.palette()))
        painter.drawRoundedRect(room, room.width() / 6, room.width() / 6)
        self._stroke(painter, room.width())
        painter.drawLine(_at(room, 0.32, 0.32), _at(room, 0.68, 0.68))
        painter.drawLine(_at(room, 0.68, 0.32), _at(room, 0.32, 0.68))

    def _draw_unknown(self, painter: QPainter, room: QRectF) -> None:
        colour = self.palette().color(QPalette.ColorRole.WindowText)
        painter.setPen(QPen(colour, room.width() / 12))
        painter.drawEllipse(room.adjusted(1, 1, -1, -1))
        font = self.font()
        font.setBold(True)
        painter.setFont(font)
        painter.drawText(room, int(Qt.AlignmentFlag.AlignCenter), "?")

    def _stroke(self, painter: QPainter, side: float) -> None:
        colour = self.palette().color(QPalette.ColorRole.Base)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, side / 8, cap=Qt.PenCapStyle.RoundCap, join=Qt.PenJoinStyle.RoundJoin))


def _fill(painter: QPainter, colour: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)


def _at(room: QRectF, x: float, y: float) -> QPointF:
    return QPointF(room.left() + x * room.width(), room.top() + y * room.height())
