"""Alice's screen, keyboard and mouse, and the applet on it.

A widget is known by its role and its name, which AT-SPI tells (`guest/usr/local/lib/lab/eyes`); one without is not
found, and that is a fault of the program. Clicks and keys are the X server's own (xdotool). The stories are not here.
"""

import json
import os
import queue
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab

RESULTS = Path(os.environ.get("LAB_RESULTS", "/mnt/results"))
SCREEN = ":7"
ADMINISTRATOR = "the-administrator's"  # root's password, which alice knows
NOTIFICATIONS = "org.freedesktop.Notifications"
ITEM = "org.kde.StatusNotifierItem"
ENTRY = "org.cablecar1.applet"  # in the folders for autostart
WATCHER = ("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher", "org.kde.StatusNotifierWatcher")

# A machine with three guests at once is slow; what is wrong is wrong after this time too.
PATIENCE = 120.0

# As alice, with her bus and her screen at hand; for polkit not within her session, and sooner done than `desktop run`.
_ALICE = (
    *("setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "env", "HOME=/home/alice", f"DISPLAY={SCREEN}"),
    *("XDG_RUNTIME_DIR=/run/user/1000", "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus"),
)

Line = tuple[str, list["Line"]]  # of a menu: what it says, and the lines of its submenu

# What no story may leave in the log of the applet.
_FAULTS = re.compile(r"\bqt\.[\w.]+: (WARNING|ERROR|CRITICAL)|Traceback|unhandled|\w+Warning:|\b(Qt|QObject|QDBus)\w*:")


def as_alice(*command: str, check: bool = True) -> lab.Answer:
    return lab.run(*_ALICE, *command, check=check)


def log_in() -> None:
    """Log alice out and in again, as one who wants nothing started at her login but the applet: others' icons have no
    name either.
    """
    own = Path("/home/alice/.config/autostart")
    as_alice("mkdir", "-p", str(own))
    for entry in Path("/etc/xdg/autostart").glob("*.desktop"):
        if entry.stem != ENTRY:
            (own / entry.name).write_text("[Desktop Entry]\nHidden=true\n")
    lab.run("systemctl", "stop", "getty@tty1.service")
    lab.run("loginctl", "terminate-user", "alice", check=False)  # perhaps she has gone already
    soon(lambda: not Path("/run/user/1000").exists(), "alice is logged out")
    lab.run("systemctl", "start", "getty@tty1.service")
    soon(Path("/run/user/1000/bus").exists, "alice is logged in")


def soon(condition: Callable[[], object], what: str) -> float:
    return lab.eventually(condition, PATIENCE, what, 0.2)


@dataclass(frozen=True)
class Widget:
    """Something on the screen."""

    role: str
    name: str
    description: str
    text: str
    enabled: bool
    checked: bool
    focused: bool
    box: tuple[int, int, int, int]

    @property
    def middle(self) -> tuple[int, int]:
        left, top, width, height = self.box
        return left + width // 2, top + height // 2


class Told:
    """The notifications that alice's applet sends, as they come."""

    def __init__(self, monitor: lab.Monitor) -> None:
        self._monitor = monitor

    def next(self) -> tuple[float, str]:
        """Wait for the next one and return when it was heard, and its title and text."""
        try:
            message = self._monitor.messages.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"no notification within {PATIENCE} s") from None
        _, _, _, title, body, *_ = message["payload"]["data"]
        return message["heard"], f"{title}: {body}"

    def nothing(self) -> None:
        """Be sure that there was none since the last one."""
        assert self._monitor.messages.empty(), self._monitor.messages.get()


@contextmanager
def notifications() -> Iterator[Told]:
    """Follow what is sent to the notification daemon of alice's session meanwhile."""
    ping = (NOTIFICATIONS, "/org/freedesktop/Notifications")
    with lab.Monitor(f"interface='{NOTIFICATIONS}',member='Notify'", ping=ping, via=("desktop", "run")) as monitor:
        yield Told(monitor)


class Desktop:
    """The screen with what is on it, and a person before it.

    Args:
        scale: How many pixels of the screen are one of its programs'.
    """

    def __init__(self, scale: int = 1) -> None:
        self._scale = scale
        lab.run("desktop", "start", timeout=300)
        # As a screen reader does: Qt's programs tell what is on their windows, as GTK's do anyway.
        status = ("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Status", "IsEnabled")
        as_alice("busctl", "--user", "set-property", *status, "b", "true")
        subprocess.run(["chpasswd"], input=f"root:{ADMINISTRATOR}\n", text=True, check=True)
        self._eyes = subprocess.Popen(
            ["desktop", "run", "/usr/local/lib/lab/eyes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        assert self._eyes.stdin is not None
        assert self._eyes.stdout is not None
        self._eyes.stdin.close()
        self._eyes.wait(60)
        self._eyes.stdout.close()
        lab.run("passwd", "--delete", "root")
        lab.run("desktop", "stop", check=False)

    def look(self, role: str = ".*", name: str = ".*", window: str = ".*") -> list[Widget]:
        """Return what can be seen now, by patterns for its role, its name and its window's name."""
        assert self._eyes.stdin is not None
        assert self._eyes.stdout is not None
        self._eyes.stdin.write(json.dumps({"role": role, "name": name, "window": window}) + "\n")
        self._eyes.stdin.flush()
        found = json.loads(self._eyes.stdout.readline())
        return [Widget(**{**each, "box": tuple(each["box"])}) for each in found]

    def see(self, role: str, name: str, window: str = ".*") -> Widget:
        """Wait until there is one that can be used."""
        end = time.monotonic() + PATIENCE
        while True:
            if found := [widget for widget in self.look(role, name, window) if widget.enabled]:
                return found[0]
            if time.monotonic() > end:
                self.picture("not-found")
                seen = "\n".join(f"{each.role} {each.name!r} {each.text!r} {each.box}" for each in self.look())
                raise AssertionError(f"no {role} {name!r} in {window!r} within {PATIENCE} s; on the screen:\n{seen}")
            time.sleep(0.3)  # the programs that are asked have work to do

    def click(self, role: str, name: str, window: str = ".*") -> None:
        """Click on it as soon as it is there, and where it is then."""
        self.click_at(self.see(role, name, window).middle)

    def click_at(self, place: tuple[int, int], button: int = 1) -> None:
        # AT-SPI has programs' pixels, the mouse the screen's.
        x, y = (str(self._scale * along) for along in place)
        self.hand("mousemove", x, y, "click", str(button))

    def fill(self, role: str, name: str, text: str, window: str = ".*") -> None:
        """Click into a field, and type over what is there; the field has it then."""
        self.click(role, name, window)
        self.hand("key", "ctrl+a", "type", "--delay", "10", text)

    def administrate(self) -> None:
        """Type the administrator's password where polkit's agent asks for it."""
        self.fill("password text", ".*", ADMINISTRATOR, "Authenticate")
        self.hand("key", "Return")

    def hand(self, *arguments: str) -> None:
        as_alice("xdotool", *arguments)

    @staticmethod
    def picture(name: str) -> Path:
        path = RESULTS / f"{name}.png"
        lab.run("desktop", "screenshot", str(path))
        return path

    def picture_at_rest(self, name: str) -> None:
        """Take pictures until two in a row are the same: a program may still be painting."""
        before = b""

        def same() -> bool:
            nonlocal before
            last, before = before, self.picture(name).read_bytes()
            return before == last

        soon(same, "the screen is at rest")


class Applet:
    """The applet, from its start to its end, and its icon in the panel.

    Args:
        desktop: Where it is.
        arguments: What it is started with.
    """

    UNIT = "applet"

    def __init__(self, desktop: Desktop, *arguments: str) -> None:
        self._desktop = desktop
        lab.run("desktop", "spawn", self.UNIT, "cablecar-applet", *arguments)

    @property
    def icon(self) -> tuple[int, int]:
        """The place of the icon. The panel's buttons have no names, and it has no other one."""
        return self._desktop.see("button", "", "").middle

    def click(self) -> None:
        """Click the icon as a hand would, and go away from it."""
        self._desktop.click_at(self.icon)
        self._desktop.hand("mousemove", "512", "1")

    def menu(self, *names: str) -> list[str]:
        """Open the icon's menu, choose in it by way of submenus, and return the lines of the last one that was open.

        GTK keeps the menu of a button to itself, so here the lines are what the applet has told the panel to show, in
        that order, and the keys are those of whoever uses no mouse.
        """
        self._open(lambda: self._desktop.click_at(self.icon, button=3))
        lines: list[Line] = []

        def settled() -> bool:
            nonlocal lines  # the applet asks the helper for what only an open menu shows
            last, lines = lines, self._lines()
            return [label for label, _ in lines] == [label for label, _ in last]

        soon(settled, "the menu is complete")
        for depth, name in enumerate(names, 1):
            labels = [label for label, _ in lines]
            place = next(place for place, label in enumerate(labels, 1) if re.fullmatch(name, label))
            self._desktop.hand("key", *["Down"] * (place if depth == 1 else place - 1))
            lines = lines[place - 1][1]
            if depth == len(names) and not lines:
                self._desktop.hand("key", "Return")
                return labels
            self._open(lambda: self._desktop.hand("key", "Right"))
        return [label for label, _ in lines]

    def close_menu(self) -> None:
        """Close the open menu. As long as it is there, it takes every click for itself."""
        before = _panel_windows()
        self._desktop.hand("key", "Escape")
        soon(lambda: before - _panel_windows(), "the menu closes")

    def _open(self, hand: Callable[[], None]) -> None:
        before = _panel_windows()
        hand()
        soon(lambda: _panel_windows() - before, "the menu opens")  # a tooltip may go meanwhile

    def _lines(self) -> list[Line]:
        for service, path in map(_split, self.items()):
            if menu := _value("get-property", service, path, ITEM, "Menu"):
                layout = _value("call", service, menu, "com.canonical.dbusmenu", "GetLayout", "iias", "0", "-1", "0")
                return _lines(layout[1])
        raise AssertionError("no icon, no menu")

    def tooltip(self) -> str:
        """What the icon says to who rests the pointer on it; empty when there is no icon."""
        # A panel that was restarted names icons that have gone, too.
        tips = [_value("get-property", *_split(item), ITEM, "ToolTip") for item in self.items()]
        return "".join(str(tip[2]) for tip in tips if tip)

    @staticmethod
    def items() -> list[str]:
        """Return what the tray shows icons of: addresses on the bus."""
        return [str(item) for item in _value("get-property", *WATCHER, "RegisteredStatusNotifierItems") or []]

    def says(self, pattern: str) -> None:
        """Wait until the icon's tooltip is this."""
        end = time.monotonic() + PATIENCE
        while not re.fullmatch(pattern, said := self.tooltip(), re.DOTALL):
            assert time.monotonic() < end, f"of {self.items()} one says {said!r} and not {pattern!r}"
            time.sleep(0.2)

    @staticmethod
    def runs() -> bool:
        return as_alice("busctl", "--user", "status", "org.cablecar1.applet", check=False).ok

    @classmethod
    def end(cls) -> None:
        """End it as the end of the session does."""
        as_alice("systemctl", "--user", "stop", f"{cls.UNIT}.service", check=False)


class AtLogin(Applet):
    """The applet as a login starts it, with all that has an entry for that.

    Args:
        desktop: Where it is.
    """

    UNIT = f"app-{ENTRY}@autostart"

    def __init__(self, desktop: Desktop) -> None:
        self._desktop = desktop
        as_alice("systemctl", "--user", "start", "lab-login.target")


def _panel_windows() -> set[str]:
    """The windows that the panel shows: itself, its tooltip, and the menus that are open."""
    search = as_alice("xdotool", "search", "--onlyvisible", "--class", "xfce4-panel", check=False)
    return set(search.output.split())


def _split(item: str) -> tuple[str, str]:
    service, _, path = item.partition("/")
    return service, f"/{path}"


def log_cursor() -> str:
    """The journal's end, for `check_log`."""
    return lab.run("journalctl", "--lines=0", "--show-cursor").output.partition("cursor: ")[2].strip()


def check_log(cursor: str) -> None:
    """Neither Qt nor Python has complained in the applet's log since then."""
    lines = lab.journal("-t", "cablecar-applet", f"--after-cursor={cursor}").splitlines()
    assert not (faults := [line for line in lines if _FAULTS.search(line)]), "\n".join(faults)


def _value(*question: str) -> Any:
    answer = as_alice("busctl", "--user", "--json=short", "--", *question, check=False)
    return json.loads(answer.output)["data"] if answer.ok else None


def _lines(layout: list[Any]) -> list[Line]:
    """Return the lines that can be chosen, of what GetLayout answers for a menu: id, properties, children."""
    found = []
    for child in layout[2]:
        _, values, _ = line = child["data"]
        off = any(values.get(key, {}).get("data") is False for key in ("visible", "enabled"))
        if not off and values.get("type", {}).get("data") != "separator":
            found.append((values["label"]["data"], _lines(line)))
    return found
