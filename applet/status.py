"""The window about one link: what is up, since when, its addresses, its throughput, its last days, its log.

Asks the helper when something has changed, and by a timer only while somebody can see the window: once a second for
the byte counters while the link is up, every three seconds for the log while it is being dialed. Decides nothing.
"""

import time
from functools import partial
from typing import Any, Final

from PyQt6.QtCore import QEvent, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from cablecar.applet import labels, logview, model, pictures, strip, windowsize, words
from cablecar.applet.client import Client
from cablecar.applet.i18n import _
from cablecar.applet.logview import LogView
from cablecar.applet.menu import describe
from cablecar.applet.mnemonics import literal
from cablecar.applet.model import CallError, Details, Helper, Link, Record, Snapshot, Verb, View
from cablecar.applet.plot import Meter, Plot
from cablecar.applet.report import Report
from cablecar.applet.strip import Strip
from cablecar.applet.wire import uint32
from cablecar.helper import names

UP_MS: Final = 1000
DIALING_MS: Final = 3000
_CALLS: Final = 300  # of the past, as many as the helper keeps
_MINUTE: Final = 60
_NOT_ALLOWED: Final = names.ERROR_PREFIX + "NotAuthorized"


class StatusWindow(QDialog):
    """Follows one link for as long as it is shown.

    Signals:
        diagnoses: The link's diagnosis is asked for.
        mends: Another password is to be typed.
    """

    diagnoses = pyqtSignal()
    mends = pyqtSignal()

    def __init__(self, client: Client, path: str) -> None:
        super().__init__(flags=Qt.WindowType.Window)
        self._client = client
        self._path = path
        name = model.link_name(path) or ""
        self._link = Link(path, name, name, model.UNKNOWN, partial=True)
        self._seen: tuple[Helper, Link | None] | None = None
        self._details = Details()
        self._records: tuple[Record, ...] = ()
        self._lines: tuple[str, ...] = ()
        self._meter = Meter()
        self._asked: set[str] = set()
        self._ask_again: dict[str, bool] = {}  # with whether somebody has clicked for it
        self._troubles: dict[str, CallError] = {}
        self._past_shown = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self._build()
        client.changed.connect(self._follow)
        client.refused.connect(self._refused)
        self._follow(client.snapshot)

    def show_log(self) -> None:
        """Turn to the page with the log."""
        self._pages.setCurrentWidget(self._log)

    # What is shown.

    def _build(self) -> None:
        self._picture = QLabel()
        self._title, self._state, self._detail = labels.plain(), labels.plain(), labels.plain()
        self._trouble, self._done = labels.plain(), labels.plain()
        for label in (self._trouble, self._done):
            _say(label, "")
        self._permission = QPushButton(_("Ask for per&mission…"))
        self._permission.setVisible(False)
        self._permission.clicked.connect(lambda: self._ask("Details", clicked=True))
        self._verbs = {verb: QPushButton() for verb in (Verb.CONNECT, Verb.RECONNECT, Verb.DISCONNECT)}
        self._build_pages()
        layout = QVBoxLayout(self)
        layout.addLayout(self._build_head())
        layout.addWidget(self._trouble)
        layout.addWidget(self._permission, 0, Qt.AlignmentFlag.AlignLeading)
        layout.addWidget(self._pages, 1)
        layout.addWidget(self._done)
        layout.addWidget(self._build_foot())
        self._close.setDefault(True)  # only now: a button outside a dialog is the default of none
        windowsize.fit(self, 44, 38)
        self._pages.setFocus()  # and not a button: Enter or Space must not hang up

    def _build_head(self) -> QLayout:
        head, said, buttons = QHBoxLayout(), QVBoxLayout(), QHBoxLayout()
        font = self._title.font()
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * 1.3)
        self._title.setFont(font)
        for part in (self._title, self._state, self._detail):
            said.addWidget(part)
        self._mend = QPushButton(_("Change &password…"))
        self._mend.clicked.connect(self.mends)
        buttons.addWidget(self._mend)
        for verb, button in self._verbs.items():
            button.clicked.connect(partial(self._act, verb))
            buttons.addWidget(button)
        head.addWidget(self._picture, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(said, 1)
        head.addLayout(buttons)
        head.setAlignment(buttons, Qt.AlignmentFlag.AlignTop)
        return head

    def _build_pages(self) -> None:
        self._facts = QFormLayout()
        self._rows: list[tuple[str, QLabel]] = []
        self._plot, self._strip, self._log = Plot(), Strip(), LogView()
        self._told = labels.plain(keyboard=True)
        self._strip.told.connect(self._tell_drop)
        self._pages = QTabWidget()
        self._pages.setAccessibleName(_("Pages"))
        now, days = QVBoxLayout(), QVBoxLayout()
        now.addLayout(self._facts)
        now.addWidget(self._plot, 1)
        self._summary = labels.plain(keyboard=True)
        for part in (self._summary, self._strip, self._told):
            days.addWidget(part)
        days.addStretch(1)
        for title, page in (
            (_("N&ow"), _scrolled(now)),
            (_("L&ast days"), _scrolled(days)),
            (_("&Log"), self._log),
        ):
            self._pages.addTab(page, title)

    def _build_foot(self) -> QDialogButtonBox:
        self._without_user = QCheckBox(_("Leave out the &user name"))
        self._without_user.setToolTip(_("In what Copy and Save give out; the provider needs it, a forum does not."))
        foot = QDialogButtonBox()
        self._close = QPushButton(_("Clos&e"))  # not Qt's own: its key is the desktop's to choose
        foot.addButton(self._close, QDialogButtonBox.ButtonRole.RejectRole)
        foot.addButton(self._without_user, QDialogButtonBox.ButtonRole.ResetRole)
        self._diagnose = QPushButton(_("D&iagnose…"))
        for button, does in (
            (QPushButton(_("Cop&y")), self._copy),
            (QPushButton(_("&Save as text…")), self._save),
            (self._diagnose, self.diagnoses.emit),
        ):
            button.clicked.connect(does)
            foot.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
        foot.rejected.connect(self.reject)
        return foot

    # Following.

    def _follow(self, snapshot: Snapshot) -> None:
        seen = snapshot.helper, snapshot.link(self._path)
        if seen == self._seen:
            return  # it is about another link
        self._seen = seen
        before, self._link = self._link, seen[1] or self._link
        if (before.state, before.since) != (self._link.state, self._link.since):
            self._meter.forget()  # the counters of another call
        self._show_link(snapshot)
        self._show_facts()
        self._show_past()
        self._refresh()

    def _show_link(self, snapshot: Snapshot) -> None:
        link = snapshot.link(self._path)
        self.setWindowTitle(_("{title}: status").format(title=self._link.title))
        self._title.setText(self._link.title)
        trouble = self._trouble_with(snapshot)
        self._state.setText(trouble or words.state(self._link))
        _say(self._detail, "" if trouble else words.detail(self._link))
        shown = Snapshot(snapshot.helper, (link,) if link else ())
        size = 2 * self.fontMetrics().height()
        self._picture.setPixmap(pictures.status(pictures.picture(shown)).pixmap(size, size))
        offers = {item.does: item for item in describe(shown) if item.visible}
        for verb, button in self._verbs.items():
            item = offers.get((verb, self._path))
            button.setVisible(item is not None)
            button.setText(item.marked if item else "")
        self._mend.setVisible((View.PASSWORD, self._path) in offers)
        self._diagnose.setEnabled(self._is_askable())

    def _show_facts(self) -> None:
        rows = Report(self._link, details=self._details, now=time.time()).facts()
        if [name for name, _value in rows] != [name for name, _label in self._rows]:
            self._rebuild_facts([name for name, _value in rows])
        for (name, value), (_name, shown) in zip(rows, self._rows, strict=True):
            shown.setText(value)
            shown.setAccessibleName(_("{name}: {value}").format(name=name, value=value))

    def _show_past(self) -> None:
        report = self._report()
        self._past_shown = report.now
        self._strip.show_past(report.past, report.now)
        self._summary.setText(report.past.summary(report.now))

    def _rebuild_facts(self, facts: list[str]) -> None:
        while self._facts.rowCount():
            self._facts.removeRow(0)
        self._rows = [(name, labels.plain(keyboard=True)) for name in facts]
        for name, shown in self._rows:
            title = labels.plain(literal(name))  # it may be a name that the helper has and we do not know
            title.setWordWrap(False)
            title.setBuddy(shown)
            self._facts.addRow(title, shown)

    def _trouble_with(self, snapshot: Snapshot) -> str:
        return words.helper(snapshot) or ("" if snapshot.link(self._path) else words.GONE)

    def _report(self) -> Report:
        now = time.time()
        snapshot = self._client.snapshot
        present = snapshot.link(self._path) if snapshot.helper is Helper.RUNNING else None
        past = strip.tell(self._records, present, now).since(strip.last_days(now)[0].begin)
        return Report(self._link, self._trouble_with(snapshot), self._details, past, self._lines, now)

    def _tell_drop(self, text: str) -> None:
        hint = _("Point at an interruption, or go from one to the next with the arrow keys.")
        self._told.setText(text or (hint if self._strip.drops else ""))

    # Asking.

    def _is_askable(self) -> bool:
        return self._client.snapshot.is_askable(self._path)

    def _is_asking(self) -> bool:
        """Whether somebody can see the window, and the helper can be asked about its link."""
        return self.isVisible() and not self.isMinimized() and self._is_askable()

    def _interval(self) -> int | None:
        if not self._is_asking() or self._barred():
            return None
        return {names.UP: UP_MS, names.DIALING: DIALING_MS}.get(self._link.state)

    def _refresh(self) -> None:
        """Ask for everything when it can be seen, and set the timer to what there is to follow."""
        if self._is_asking():
            for member in _MEMBERS:
                self._ask(member)
        self._set_timer()

    def _set_timer(self) -> None:
        interval = self._interval()
        if interval is None:
            self._timer.stop()
            self._meter.forget()
        elif not self._timer.isActive() or self._timer.interval() != interval:
            self._timer.start(interval)

    def _tick(self) -> None:
        member = "Details" if self._link.state == names.UP else "Log"
        if member not in self._asked:  # a slow helper is not asked the faster
            self._ask(member)
        if time.time() - self._past_shown >= _MINUTE:
            self._show_past()
            self._show_link(self._client.snapshot)  # "since 14:05" wants a date tomorrow

    def _ask(self, member: str, *, clicked: bool = False) -> None:
        if member in self._asked:
            self._ask_again[member] = clicked or self._ask_again.get(member, False)
            return
        self._asked.add(member)
        values, signature = _MEMBERS[member]
        done = partial(self._answered, member)
        encoded = [uint32(value) for value in values]
        self._client.ask(self._path, names.LINK_INTERFACE, member, encoded, signature, done, clicked=clicked)

    def _answered(self, member: str, result: list[Any] | CallError) -> None:
        self._asked.discard(member)
        was_barred = self._barred()
        if isinstance(result, CallError):
            self._troubles[member] = result
        else:
            self._troubles.pop(member, None)
            self._take(member, result[0])
        self._show_troubles()
        if was_barred and not self._barred() and member == "Details":
            self._refresh()  # somebody has just permitted it
        elif member in self._ask_again and self._is_asking():
            self._ask(member, clicked=self._ask_again.pop(member))
        self._set_timer()

    def _take(self, member: str, answer: object) -> None:
        match member:
            case "Details":
                self._details = Details.parse(answer)
                self._measure()
                self._show_facts()
            case "History":
                self._records = Record.parse_all(answer)
                self._show_past()
            case "Log":
                self._lines = logview.parse(answer)
                self._log.show_lines(self._lines)

    def _measure(self) -> None:
        if self._link.state != names.UP or not self._details.interface:
            return
        sample = self._meter.read(time.monotonic(), self._details.received, self._details.sent)
        if sample is not None:
            self._plot.add(sample)

    def _barred(self) -> bool:
        """Whether the system lets this user not see the details."""
        error = self._troubles.get("Details")
        return error is not None and error.name.startswith(_NOT_ALLOWED)

    def _show_troubles(self) -> None:
        told = [words.error(one) for one in self._troubles.values() if words.needs_saying(one)]
        _say(self._trouble, told[0] if told and self._is_askable() else "")
        self._permission.setVisible(self._barred())

    # Buttons.

    def _act(self, verb: Verb) -> None:
        _say(self._done, "")
        self._client.act(self._path, verb)

    def _refused(self, path: str, error: CallError) -> None:
        """Tell that a click did not work, whether here or in the menu."""
        if path == self._path and words.needs_saying(error):
            _say(self._done, words.error(error))

    def _text(self) -> str:
        return self._report().text(with_user=not self._without_user.isChecked())

    def _copy(self) -> None:
        if (clipboard := QGuiApplication.clipboard()) is not None:
            clipboard.setText(self._text())
            _say(self._done, _("Copied."))

    def _save(self) -> None:
        dialog = QFileDialog(self, _("Save as text"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("txt")
        dialog.selectFile(f"cablecar-{self._link.name}-{time.strftime('%Y-%m-%d')}.txt")
        dialog.fileSelected.connect(self._write)
        dialog.open()

    def _write(self, path: str) -> None:
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(self._text())
        except OSError as error:
            _say(self._done, _("It could not be saved: {error}").format(error=model.clean(error.strerror)))
        else:
            _say(self._done, _("Saved."))

    # Being seen.

    def showEvent(self, event: QShowEvent | None) -> None:
        """Begin to follow."""
        super().showEvent(event)
        self._refresh()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Stop following."""
        super().hideEvent(event)
        self._set_timer()

    def changeEvent(self, event: QEvent | None) -> None:
        """Stop while minimised; who comes back to the window may have come back to the screen, and be allowed again."""
        super().changeEvent(event)
        if event is None:
            return
        if event.type() == QEvent.Type.WindowStateChange:
            self._refresh()
        elif event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self._knock()

    def _knock(self) -> None:
        """Ask once for the details where nothing else asks any more, and bring up no window for a password."""
        if self._barred() and self._is_asking() and "Details" not in self._asked:
            self._ask("Details")


_MEMBERS: Final[dict[str, tuple[tuple[int, ...], str]]] = {
    "Details": ((), "a{sv}"),
    "History": ((_CALLS,), "aa{sv}"),
    "Log": ((logview.LINES,), "as"),
}


def _say(label: QLabel, text: str) -> None:
    label.setText(text)
    label.setVisible(bool(text))


def _scrolled(layout: QLayout) -> QScrollArea:
    """Put a page where it can be scrolled: at 200 % not every screen has room for it."""
    page, area = QWidget(), QScrollArea()
    page.setLayout(layout)
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(page)
    page.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
    return area
