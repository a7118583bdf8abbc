"""The window that stands in for the tray icon, and that a second start shows.

Shows the same description as the menu, as labels and buttons; owns no decision, but which of several links the keys are
for: that where the keyboard is. All text is plain text.
"""

from typing import Final

from PyQt6.QtCore import QEvent, QObject, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QStyle, QVBoxLayout, QWidget

from cablecar.applet import labels, pictures
from cablecar.applet.i18n import _
from cablecar.applet.menu import Click, Command, Item, find
from cablecar.applet.mnemonics import literal

NO_TRAY: Final = _(
    "This desktop shows no tray icons, so this window takes the icon's place. "
    "(On GNOME, the extension “AppIndicator and KStatusNotifierItem Support” brings the tray.)"
)

COUNTING_MS: Final = 5000
_NUMBERED: Final = 9  # links that have a key of their own


class Window(QWidget):
    """The menu's lines as a window: what is about links in an area that scrolls, the rest in a row below it.

    Signals:
        looked_at: The counters may be shown anew.
    """

    looked_at = pyqtSignal()

    def __init__(self, click: Click) -> None:
        super().__init__()
        self.setWindowTitle("Cablecar")
        self._click = click
        self._items: tuple[Item, ...] = ()
        self._lines: dict[str, QWidget] = {}
        self._shown: dict[str, tuple[Item, str]] = {}
        self._at = ""  # the link where the keyboard was last
        self._note = labels.plain()
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.setAccessibleName(_("Links"))
        self._foot = QWidget()
        self._counting = False
        self._timer = QTimer(self)
        self._timer.setInterval(COUNTING_MS)
        self._timer.timeout.connect(self.looked_at)
        self._layout = QVBoxLayout(self)
        for widget in (self._note, self._area, _rule(), self._foot):
            self._layout.addWidget(widget)
        self._layout.setStretchFactor(self._area, 1)
        self.set_note("")

    def set_note(self, text: str) -> None:
        """Say why the window is here; nothing when it was asked for."""
        self._note.setText(text)
        self._note.setVisible(bool(text))
        self._make_room()

    def set_counting(self, counting: bool) -> None:
        """Say whether there are counters that move."""
        self._counting = counting
        self._set_timer()

    def event(self, event: QEvent | None) -> bool:
        """Follow whether the window can be seen."""
        handled = super().event(event)
        if event is not None and event.type() in (QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.WindowStateChange):
            self._set_timer()
        return handled

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Lines break elsewhere in another width."""
        super().resizeEvent(event)
        self._make_room()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Let the keys follow the keyboard from link to link."""
        if event is not None and event.type() is QEvent.Type.FocusIn:
            self._mark_keys()
        return super().eventFilter(watched, event)

    def apply(self, items: tuple[Item, ...]) -> None:
        """Make the window look like `items`."""
        same = [item.structure for item in items] == [item.structure for item in self._items]
        self._items = items
        focused = next((key for key, line in self._lines.items() if line is self.focusWidget()), "")
        if not same:
            self._build()
        self._refresh(items)
        self._mark_keys()
        self._make_room()
        if not same:
            self.adjustSize()
            if focused in self._lines:
                self._lines[focused].setFocus()

    def _set_timer(self) -> None:
        wanted = self._counting and self.isVisible() and not self.isMinimized()
        if wanted != self._timer.isActive():
            self._timer.start() if wanted else self._timer.stop()

    def _build(self) -> None:
        self._lines.clear()
        self._shown.clear()
        body, foot = QWidget(), QWidget()
        rows, self._commands = QVBoxLayout(body), QHBoxLayout(foot)
        for layout in (rows, self._commands):
            layout.setContentsMargins(0, 0, 0, 0)
        self._commands.addStretch(1)
        self._add(rows, self._items)
        rows.addStretch(1)
        self._area.setWidget(body)  # deletes the one before
        self._layout.replaceWidget(self._foot, foot)
        foot.show()
        self._foot.hide()
        self._foot.deleteLater()
        self._foot = foot

    def _add(self, rows: QVBoxLayout, items: tuple[Item, ...]) -> None:
        buttons: QHBoxLayout | None = None
        for item in items:
            if item.tells:
                if item.picture and any(isinstance(line, _Text) and line.heading for line in self._lines.values()):
                    rows.addWidget(_rule())
                self._lines[item.key] = _Text(heading=bool(item.picture), key=self._number(item))
                rows.addWidget(self._lines[item.key])
                self._add(rows, item.children)
            elif item.separator:
                buttons = None
            elif isinstance(item.does, Command):
                self._commands.addWidget(self._button(item))
            else:
                if buttons is None:
                    buttons = QHBoxLayout()
                    buttons.addStretch(1)
                    rows.addLayout(buttons)
                buttons.addWidget(self._button(item))

    def _button(self, item: Item) -> QPushButton:
        button = QPushButton()
        button.clicked.connect(lambda _checked, key=item.key: self._chosen(key))
        button.installEventFilter(self)
        self._lines[item.key] = button
        return button

    def _refresh(self, items: tuple[Item, ...], group: str = "") -> None:
        for item in items:
            if self._shown.get(item.key) == (item, group):
                continue
            self._shown[item.key] = (item, group)
            line = self._lines.get(item.key)
            if isinstance(line, QPushButton):
                line.setAccessibleName(item.text)
                line.setAccessibleDescription(group)  # or there would be many of one name
            elif isinstance(line, _Text):
                line.tell(item.more or item.text, item.picture)
            if line is not None:
                line.setVisible(item.visible)
            self._refresh(item.children, item.text)

    def _number(self, item: Item) -> str:
        several = [each.key for each in self._items if each.children]
        number = several.index(item.key) + 1 if item.key in several else 0
        return str(number) if 0 < number <= _NUMBERED else ""

    def _mark_keys(self) -> None:
        """Mark the letters of the buttons; of several links, which have the same, those of the link of the keyboard."""
        several = [item for item in self._items if item.children]
        for item in several:
            buttons = [self._lines[child.key] for child in item.children if child.visible and child.marked]
            if self.focusWidget() in buttons:
                self._at = item.key
            self._lines[item.key].setFocusProxy(buttons[0] if buttons else None)
        if several and self._at not in [item.key for item in several]:
            self._at = several[0].key
        self._mark(self._items, marked=True)
        for item in several:
            self._mark(item.children, marked=item.key == self._at)

    def _mark(self, items: tuple[Item, ...], *, marked: bool) -> None:
        for item in items:
            if isinstance(button := self._lines.get(item.key), QPushButton):
                button.setText(item.marked if marked else literal(item.text))

    def _make_room(self) -> None:
        # An area that scrolls asks for no room of its own; only its height may be less than all.
        body, bar = self._area.widget(), self._area.verticalScrollBar()
        if body is not None and bar is not None:
            em = self.fontMetrics().height()
            width = max(body.minimumSizeHint().width() + bar.sizeHint().width(), 26 * em)
            height = max(body.sizeHint().height(), body.heightForWidth(max(width, self._area.width())))
            self._area.setMinimumWidth(width)
            self._area.setMinimumHeight(min(height, 22 * em))
            # Of a window's own accord its layout reckons with a note on as few lines as there can be.
            least = self._layout.minimumHeightForWidth(self.width())
            self.setMinimumHeight(least if least > 0 else self._layout.minimumSize().height())

    def _chosen(self, key: str) -> None:
        item = find(self._items, key)
        if item is not None and item.does is not None:
            self._click(item.does)


class _Text(QWidget):
    """A line of text, perhaps with a picture before it.

    Args:
        heading: It is the head of what is about a link.
        key: The digit that goes to its focus proxy; empty for none.
    """

    def __init__(self, *, heading: bool, key: str) -> None:
        super().__init__()
        self.heading = heading
        self._key = key
        self._text = labels.plain(bold=heading)
        self._picture = QLabel()
        self._picture.setVisible(heading)
        if key:
            # Not the button itself: for a label, to go to a button is to press it.
            self._text.setBuddy(self)
            self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._picture)
        row.addWidget(self._text, 1)

    def tell(self, text: str, picture: str) -> None:
        """Show this."""
        self._text.setText(f"&{self._key} {literal(text)}" if self._key else text)
        if picture:
            style = self.style()
            size = style.pixelMetric(QStyle.PixelMetric.PM_LargeIconSize) if style is not None else 32
            self._picture.setPixmap(pictures.status(picture).pixmap(QSize(size, size), self.devicePixelRatioF()))


def _rule() -> QFrame:
    rule = QFrame()
    rule.setFrameStyle(QFrame.Shape.HLine.value | QFrame.Shadow.Sunken.value)
    return rule
