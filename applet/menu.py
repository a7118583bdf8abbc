"""The menu: first as a pure description of what is to be seen, then as actions that follow it.

`describe()` decides what can be clicked; `Menu` owns one QMenu for the whole life of the applet (hosts of a tray cache
it) and changes its actions in place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from PyQt6.QtGui import QAction, QIcon
from PyQt6.QtWidgets import QMenu

from cablecar.applet import pictures, words
from cablecar.applet.i18n import _
from cablecar.applet.mnemonics import bare, literal
from cablecar.applet.model import UNKNOWN, Details, Helper, Link, Snapshot, Verb, View
from cablecar.helper import names


class Command(Enum):
    """What the menu can do that is about no link."""

    ADD = "add"
    PREFERENCES = "preferences"
    TRY_AGAIN = "try-again"
    QUIT = "quit"


_DISCONNECT: Final = {names.UP: _("&Disconnect"), names.FAILED: _("&Give up")}  # nobody tries a failed one any more

Deed = Command | tuple[Verb | View, str]
Click = Callable[[Deed], None]


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the menu.

    Attributes:
        key: Identity among its neighbours; the structure of the menu is that of its keys.
        text: Plain text.
        more: The same at length, for where there is room.
        marked: The same with the mark of its key, for a button. (A tray's menu is left without: what hosts make of
            marks differs.)
        does: What a click means: a command, or what to do or to show with the path of a link; None for nothing.
        tells: It is there to be read; what a click means says more about it. (A line of a menu that nothing can be
            done with is drawn so faint that some cannot read it.)
        visible: Whether it is shown. Lines come and go by this, so that the structure stays.
        children: The lines of a submenu.
        picture: Which picture stands beside it; empty for none.
        separator: A line drawn between two groups, and nothing else.
    """

    key: str
    text: str = ""
    does: Deed | None = None
    tells: bool = False
    visible: bool = True
    children: tuple["Item", ...] = ()
    more: str = ""
    picture: str = ""
    separator: bool = False
    marked: str = ""

    @property
    def structure(self) -> tuple[object, ...]:
        """What has to be the same for a change in place."""
        return (self.key, tuple(child.structure for child in self.children))


def _choice(key: str, marked: str, does: Deed, *, visible: bool = True) -> Item:
    return Item(key, bare(marked), does, visible=visible, marked=marked)


def describe(snapshot: Snapshot, details: Mapping[str, Details] | None = None) -> tuple[Item, ...]:
    """Return the menu for what is known; `details` has those of the links that somebody looks at, by path."""
    usable = snapshot.helper is Helper.RUNNING
    return (
        *_helper_lines(snapshot),
        *_link_lines(snapshot, details or {}),
        Item("add-separator", separator=True, visible=usable and bool(snapshot.links)),
        _choice("add", _("&Add a link…"), Command.ADD, visible=usable),
        _choice("preferences", _("Pre&ferences…"), Command.PREFERENCES),
        Item("quit-separator", separator=True),
        _choice("quit", _("&Quit (links stay as they are)"), Command.QUIT),
    )


def _helper_lines(snapshot: Snapshot) -> tuple[Item, ...]:
    trouble = words.helper(snapshot)
    retry = snapshot.helper in (Helper.GONE, Helper.ABSENT)
    none = snapshot.helper is Helper.RUNNING and not snapshot.links
    return (
        Item("helper", trouble, Command.TRY_AGAIN if retry else None, tells=True, visible=bool(trouble)),
        _choice("try-again", _("&Try again"), Command.TRY_AGAIN, visible=retry),
        Item("none", _("No link yet"), Command.ADD, tells=True, visible=none),
    )


def _link_lines(snapshot: Snapshot, details: Mapping[str, Details]) -> tuple[Item, ...]:
    usable = snapshot.helper is Helper.RUNNING
    lines = [_lines_of(link, usable, details.get(link.path)) for link in snapshot.links]
    if len(lines) == 1:
        return (_heading(snapshot.links[0], usable), *lines[0])
    return tuple(
        replace(_heading(link, usable), children=children) for link, children in zip(snapshot.links, lines, strict=True)
    )


def _heading(link: Link, usable: bool) -> Item:
    text = _("{title}: {state}").format(title=link.title, state=words.state(link))
    picture = pictures.picture_of(link)
    return Item(link.path, text, (View.STATUS, link.path), tells=True, visible=usable, picture=picture)


def _lines_of(link: Link, usable: bool, details: Details | None) -> tuple[Item, ...]:
    return (
        *_facts(link, usable, details),
        *_verbs(link, usable),
        _choice(
            f"{link.path}#password",
            _("Change &password…"),
            (View.PASSWORD, link.path),
            visible=usable and link.state == names.FAILED and link.reason in words.ANOTHER_PASSWORD,
        ),
        Item(f"{link.path}#separator", separator=True, visible=usable),
        _choice(f"{link.path}#status", _("&Status…"), (View.STATUS, link.path), visible=usable),
        _choice(f"{link.path}#log", _("&Log…"), (View.LOG, link.path), visible=usable),
        _choice(f"{link.path}#diagnosis", _("D&iagnosis…"), (View.DIAGNOSIS, link.path), visible=usable),
        _choice(f"{link.path}#settings", _("S&ettings…"), (View.SETTINGS, link.path), visible=usable),
    )


def _facts(link: Link, usable: bool, details: Details | None) -> tuple[Item, ...]:
    status = (View.STATUS, link.path)
    facts = (
        ("detail", words.detail(link, brief=True), words.detail(link)),
        ("traffic", words.traffic(link, details), ""),
    )
    return tuple(
        Item(f"{link.path}#{name}", text, status, tells=True, visible=usable and bool(text), more=more)
        for name, text, more in facts
    )


def _verbs(link: Link, usable: bool) -> tuple[Item, ...]:
    state = link.state
    reconnect = _("Try &now") if state == names.WAITING else _("&Reconnect now")
    disconnect = _DISCONNECT.get(state, _("S&top trying"))
    offered = (
        (Verb.CONNECT, _("&Connect"), (names.DOWN, names.FAILED, UNKNOWN)),
        (Verb.RECONNECT, reconnect, (names.UP, names.WAITING)),
        (Verb.DISCONNECT, disconnect, (names.UP, names.WAITING, names.DIALING, names.FAILED, UNKNOWN)),
    )
    return tuple(
        _choice(f"{link.path}#{verb.value}", text, (verb, link.path), visible=usable and state in states)
        for verb, text, states in offered
    )


def find(items: tuple[Item, ...], key: str) -> Item | None:
    """Return the line of that key, wherever it is."""
    return next((item for item in _flat(items) if item.key == key), None)


class Menu:
    """Shows a description in a QMenu.

    Args:
        click: Called with what was chosen.
        opens: Called when somebody is about to look; what it applies is shown.
    """

    def __init__(self, click: Click, opens: Callable[[], None]) -> None:
        self.widget = QMenu()
        self.widget.setAccessibleName("Cablecar")
        # A host may show what it fetched long ago; asked at the last moment, it gets what is true now.
        self.widget.aboutToShow.connect(opens)
        self._click = click
        self._items: tuple[Item, ...] = ()
        self._actions: dict[str, QAction] = {}
        self._shown: dict[str, Item] = {}
        self._submenus: list[QMenu] = []

    def apply(self, items: tuple[Item, ...]) -> None:
        """Make the menu look like `items`."""
        same = [item.structure for item in items] == [item.structure for item in self._items]
        self._items = items
        if not same:
            self._build()
        for item in _flat(items):
            before = self._shown.get(item.key, Item(""))
            if item != before:
                self._shown[item.key] = item
                self._refresh(item, before, self._actions[item.key])

    def _build(self) -> None:
        self.widget.clear()
        for submenu in self._submenus:
            submenu.deleteLater()
        self._submenus.clear()
        self._actions.clear()
        self._shown.clear()
        self._add(self.widget, self._items)

    def _add(self, menu: QMenu, items: tuple[Item, ...]) -> None:
        for item in items:
            if item.separator:
                self._actions[item.key] = _present(menu.addSeparator())
            elif item.children:
                submenu = menu.addMenu("")
                assert submenu is not None
                self._submenus.append(submenu)
                self._actions[item.key] = _present(submenu.menuAction())
                self._add(submenu, item.children)
            else:
                action = _present(menu.addAction(""))
                action.triggered.connect(lambda _checked, key=item.key: self._chosen(key))
                self._actions[item.key] = action

    def _refresh(self, item: Item, before: Item, action: QAction) -> None:
        action.setVisible(item.visible)
        if item.separator:
            return
        action.setText(literal(item.text))
        action.setEnabled(item.does is not None or bool(item.children))
        if item.picture != before.picture:
            action.setIcon(pictures.status(item.picture) if item.picture else QIcon())

    def _chosen(self, key: str) -> None:
        # The description at the time of the click counts, not that of the time when the action was made.
        item = find(self._items, key)
        if item is not None and item.does is not None:
            self._click(item.does)


def _present(action: QAction | None) -> QAction:
    assert action is not None
    return action


def _flat(items: tuple[Item, ...]) -> list[Item]:
    return [line for item in items for line in (item, *_flat(item.children))]
