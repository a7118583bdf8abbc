"""The menu: first as a pure description of what is to be seen, then as actions that follow it.

`describe()` knows no Qt and decides what can be clicked; `Menu` owns one QMenu for the whole life of the applet
(hosts of a tray cache it) and changes its actions in place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from cablecar.applet import words
from cablecar.applet.i18n import _
from cablecar.applet.model import UNKNOWN, Helper, Link, Snapshot, Verb
from cablecar.helper import names

if TYPE_CHECKING:
    from PyQt6.QtGui import QAction
    from PyQt6.QtWidgets import QMenu


class Command(Enum):
    """What the menu can do besides asking something of a link."""

    HOW_TO_ADD = "how-to-add"
    TRY_AGAIN = "try-again"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the menu.

    Attributes:
        key: Identity among its neighbours; the structure of the menu is that of its keys.
        text: Plain text; empty for a separator.
        more: The same at length, for where there is room.
        does: What a click means: a command, or a verb and the path of a link; None for a line to be read only.
        visible: Whether it is shown. Lines come and go by this, so that the structure stays.
        children: The lines of a submenu.
    """

    key: str
    text: str = ""
    does: Command | tuple[Verb, str] | None = None
    visible: bool = True
    children: tuple["Item", ...] = field(default=())
    more: str = ""

    @property
    def structure(self) -> tuple[object, ...]:
        """What has to be the same for a change in place."""
        return (self.key, tuple(child.structure for child in self.children))


def describe(snapshot: Snapshot) -> tuple[Item, ...]:
    """Return the menu for what is known."""
    return (
        *_helper_lines(snapshot),
        *_link_lines(snapshot),
        Item("separator"),
        Item("quit", _("Quit (links stay as they are)"), Command.QUIT),
    )


def _helper_lines(snapshot: Snapshot) -> tuple[Item, ...]:
    trouble = words.helper(snapshot)
    retry = snapshot.helper in (Helper.GONE, Helper.ABSENT)
    empty = snapshot.helper is Helper.RUNNING and not snapshot.links
    return (
        Item("helper", trouble, visible=bool(trouble)),
        Item("try-again", _("Try again"), Command.TRY_AGAIN, visible=retry),
        Item("how-to-add", _("No link yet: how to add one…"), Command.HOW_TO_ADD, visible=empty),
    )


def _link_lines(snapshot: Snapshot) -> tuple[Item, ...]:
    usable = snapshot.helper is Helper.RUNNING
    if len(snapshot.links) == 1:
        link = snapshot.links[0]
        return (Item(f"{link.path}#title", _heading(link), visible=usable), *_lines_of(link, usable))
    return tuple(
        Item(link.path, _heading(link), visible=usable, children=_lines_of(link, usable)) for link in snapshot.links
    )


def _heading(link: Link) -> str:
    return _("{title}: {state}").format(title=link.title, state=words.state(link))


def _lines_of(link: Link, usable: bool) -> tuple[Item, ...]:
    detail = words.detail(link)
    state = link.state
    reconnect = _("Try now") if state == names.WAITING else _("Reconnect now")
    disconnect = _("Disconnect") if state == names.UP else _("Stop trying")
    return (
        Item(f"{link.path}#detail", words.detail(link, brief=True), visible=usable and bool(detail), more=detail),
        Item(
            f"{link.path}#connect",
            _("Connect"),
            (Verb.CONNECT, link.path),
            visible=usable and state in (names.DOWN, names.FAILED, UNKNOWN),
        ),
        Item(
            f"{link.path}#reconnect",
            reconnect,
            (Verb.RECONNECT, link.path),
            visible=usable and state in (names.UP, names.WAITING),
        ),
        Item(
            f"{link.path}#disconnect",
            disconnect,
            (Verb.DISCONNECT, link.path),
            visible=usable and state in (names.UP, names.WAITING, names.DIALING, names.FAILED, UNKNOWN),
        ),
    )


def label(text: str) -> str:
    """Return `text` as the label of an action or a button, where a single & would underline a letter."""
    return text.replace("&", "&&")


Click = Callable[[Command | tuple[Verb, str]], None]


class Menu:
    """Shows a description in a QMenu, and calls `click` with what was chosen."""

    def __init__(self, click: Click) -> None:
        from PyQt6.QtWidgets import QMenu

        self.widget = QMenu()
        self.widget.setAccessibleName("Cablecar")
        # A host may show what it fetched long ago; asked at the last moment, it gets what is true now.
        self.widget.aboutToShow.connect(self._refresh)
        self._click = click
        self._items: tuple[Item, ...] = ()
        self._actions: dict[str, QAction] = {}
        self._submenus: list[QMenu] = []

    def apply(self, items: tuple[Item, ...]) -> None:
        """Make the menu look like `items`."""
        same = [item.structure for item in items] == [item.structure for item in self._items]
        self._items = items
        if not same:
            self._build()
        self._refresh()

    def _build(self) -> None:
        self.widget.clear()
        for submenu in self._submenus:
            submenu.deleteLater()
        self._submenus.clear()
        self._actions.clear()
        self._add(self.widget, self._items)

    def _add(self, menu: "QMenu", items: tuple[Item, ...]) -> None:
        for item in items:
            if item.children:
                submenu = menu.addMenu("")
                assert submenu is not None
                self._submenus.append(submenu)
                self._actions[item.key] = _present(submenu.menuAction())
                self._add(submenu, item.children)
            elif item.does is None and not item.text and item.visible:
                menu.addSeparator()
            else:
                action = _present(menu.addAction(""))
                action.triggered.connect(lambda _checked, key=item.key: self._chosen(key))
                self._actions[item.key] = action

    def _refresh(self) -> None:
        for item in _flat(self._items):
            action = self._actions.get(item.key)
            if action is not None:
                action.setText(label(item.text))
                action.setEnabled(item.does is not None or bool(item.children))
                action.setVisible(item.visible)

    def _chosen(self, key: str) -> None:
        # The description at the time of the click counts, not that of the time when the action was made.
        for item in _flat(self._items):
            if item.key == key and item.does is not None:
                self._click(item.does)
                return


def _present(action: "QAction | None") -> "QAction":
    assert action is not None
    return action


def _flat(items: tuple[Item, ...]) -> list[Item]:
    return [line for item in items for line in (item, *_flat(item.children))]
