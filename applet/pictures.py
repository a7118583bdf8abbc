"""The icons: which one shows what, and where it is found.

The files under `icons/hicolor` are the only source; an installation puts the same files into the system's hicolor
theme. Of an icon in the theme the tray's host is told the name, so that it can draw its own size; of one that is
only here (a checkout, a virtual environment) it is sent the picture, since it could not find the name.
"""

from pathlib import Path
from typing import Final

from PyQt6.QtGui import QIcon

from cablecar.applet.model import UNKNOWN, Helper, Link, Snapshot
from cablecar.helper import names

APP: Final = "org.cablecar1.applet"
DIALING_FRAMES: Final = ("dialing", "dialing-2")

_FOLDER: Final = Path(__file__).parent / "icons" / "hicolor" / "scalable"

# The first of these that any link is in is what the icon shows: what moves, what needs somebody, what works.
_PRECEDENCE: Final = (
    (names.DIALING, "dialing"),
    (names.FAILED, "failed"),
    (names.UP, "up"),
    (names.STOPPING, "waiting"),
    (names.WAITING, "waiting"),
    (UNKNOWN, "waiting"),
)


def picture(snapshot: Snapshot) -> str:
    """Return which picture shows this: down, waiting, dialing, up or failed."""
    match snapshot.helper:
        case Helper.ABSENT:
            return "failed"
        case Helper.ASKING | Helper.GONE:
            return "waiting"
        case Helper.RUNNING:
            states = {link.state for link in snapshot.links}
            return next((name for state, name in _PRECEDENCE if state in states), "down")


def picture_of(link: Link) -> str:
    """Return which picture shows one link."""
    return dict(_PRECEDENCE).get(link.state, "down")


def status(name: str) -> QIcon:
    """Return the icon of a picture's name."""
    return _icon(f"{APP}-{name}", "status")


def app() -> QIcon:
    """Return the program's own icon."""
    return _icon(APP, "apps")


def for_notification(name: str) -> str:
    """Return what a notification server can find: the theme's name, else the address of our file."""
    themed = f"{APP}-{name}"
    return themed if QIcon.hasThemeIcon(themed) else (_FOLDER / "status" / f"{themed}.svg").as_uri()


def _icon(themed: str, context: str) -> QIcon:
    if QIcon.hasThemeIcon(themed):
        return QIcon.fromTheme(themed)
    return QIcon(str(_FOLDER / context / f"{themed}.svg"))
