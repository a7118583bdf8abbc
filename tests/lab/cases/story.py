#!/usr/bin/python3
"""The main job, start to end, as a person sees it: a click on the tray icon brings up a real call, the provider drops
it, a notification says so, and the link is back by itself. Runs in a guest; `make demo` shows it, the suite tests it.

Prints each step with the seconds since the click, and leaves pictures in the results folder.
"""

import os
import queue
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import lab

RESULTS = Path(os.environ.get("LAB_RESULTS", "/mnt/results"))
WATCHER = ("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher", "org.kde.StatusNotifierWatcher")


class Told:
    """The notifications that alice's applet sends, as they come."""

    def __init__(self, monitor: lab.Monitor) -> None:
        self._monitor = monitor

    def next(self) -> tuple[float, str]:
        """Wait for the next one and return when it was heard, and its title and text."""
        try:
            message = self._monitor.messages.get(timeout=40)
        except queue.Empty:
            raise AssertionError("no notification within 40 s") from None
        _, _, _, title, body, *_ = message["payload"]["data"]
        return message["heard"], f"{title}: {body}"


@contextmanager
def notifications() -> Iterator[Told]:
    """Follow what is sent to the notification daemon of alice's session meanwhile."""
    service = "org.freedesktop.Notifications"
    ping = (service, "/org/freedesktop/Notifications")
    with lab.Monitor(f"interface='{service}',member='Notify'", ping=ping, via=("desktop", "run")) as monitor:
        yield Told(monitor)


class Desktop:
    """Alice's screen, with the applet on its panel."""

    def __init__(self) -> None:
        lab.run("desktop", "start", timeout=180)
        lab.eventually(lambda: self._shows("xfce4-panel"), 60, "the panel is on the screen", 0.5)
        empty = self._settled_picture("empty")
        lab.run("desktop", "spawn", "applet", "cablecar-applet", "--autostart")
        lab.eventually(lambda: "StatusNotifierItem" in self._items(), 60, "the applet registers its tray icon")
        lab.eventually(lambda: self._difference(empty, self.picture("1-down")), 60, "the icon is on the panel", 0.5)
        width, height, left, top = map(int, self._difference(empty, RESULTS / "1-down.png"))
        assert width <= 64, f"something {width}x{height} has changed on the screen, and that is no tray icon"
        empty.unlink()
        self.icon = (left + width // 2, top + height // 2)

    @staticmethod
    def picture(name: str) -> Path:
        path = RESULTS / f"{name}.png"
        lab.run("desktop", "screenshot", str(path))
        return path

    def click(self) -> None:
        """Click the tray icon as a hand would, and go away from it."""
        x, y = map(str, self.icon)
        lab.run("desktop", "run", "xdotool", "mousemove", x, y, "click", "1", "mousemove", "512", "384")

    def picture_of_a_notification(self, name: str) -> None:
        """Wait until the notification daemon shows something, then take the picture."""
        lab.eventually(lambda: self._shows("xfce4-notifyd"), 20, "a notification is on the screen", 0.2)
        self.picture(name)

    def close(self) -> None:
        lab.run("desktop", "run", "systemctl", "--user", "stop", "applet.service", check=False)
        lab.run("desktop", "stop", check=False)

    def _settled_picture(self, name: str) -> Path:
        """Take pictures until two in a row are the same: a panel is there before it is painted."""
        before = self.picture(f"{name}-before")

        def same() -> bool:
            after = self.picture(name)
            equal = not self._difference(before, after)
            before.write_bytes(after.read_bytes())
            return equal

        lab.eventually(same, 60, "the screen is at rest", 0.2)
        before.unlink()
        return RESULTS / f"{name}.png"

    @staticmethod
    def _shows(program: str) -> bool:
        search = ("xdotool", "search", "--onlyvisible", "--class", program)
        return lab.run("desktop", "run", *search, check=False).ok

    @staticmethod
    def _items() -> str:
        command = ("busctl", "--user", "get-property", *WATCHER, "RegisteredStatusNotifierItems")
        return lab.run("desktop", "run", *command, check=False).output

    @staticmethod
    def _difference(before: Path, after: Path) -> tuple[str, ...]:
        """Width, height, left and top of what the second picture has and the first has not; empty when equal."""
        images = (str(before), str(after), "-compose", "difference", "-composite", "-colorspace", "gray")
        box = lab.run("convert", *images, "-threshold", "10%", "-format", "%@", "info:", check=False).output
        match = re.fullmatch(r"(\d+)x(\d+)\+(\d+)\+(\d+)\s*", box)
        return match.groups() if match and int(match[1]) > 4 else ()


def tell(title: str = "Yosefcom") -> None:
    """Play the story; the link `yosefcom` is configured and down."""
    print("starting alice's desktop and the applet", flush=True)
    desktop = Desktop()
    begin = time.time()

    def say(what: str, moment: float | None = None) -> None:
        print(f"{(moment or time.time()) - begin:7.2f} s  {what}", flush=True)

    def since() -> float:
        """When the link's present state began: exact, however long our looking took."""
        return float(lab.prop("Since")) / 1e6

    try:
        with notifications() as told:
            desktop.click()
            begin = time.time()
            say("clicked on the tray icon")
            lab.eventually(lambda: lab.prop("State") == "dialing", 10, "the click dials")
            say("dialing", since())
            desktop.picture("2-dialing")
            lab.eventually(lambda: lab.prop("State") == "up", 40, "the link comes up")
            address = lab.run("ip", "-4", "-o", "address", "show", "dev", lab.prop("Interface")).output.split()[3]
            say(f"up, with the address {address}", since())
            assert lab.device_to(lab.HOST) == lab.prop("Interface")
            lab.eventually(lab.reaches, 10, "a ping through the tunnel")
            say(f"first ping to {lab.HOST} answered through {lab.prop('Interface')}")
            desktop.picture("3-up")
            call = lab.pppd_pid()
            killed = time.time()
            lab.isp("stop")
            say("the provider has killed the call, and takes none", killed)
            moment, dropped = told.next()
            say(f"notified: {dropped}", moment)
            desktop.picture_of_a_notification("4-dropped")
            lab.isp("start")
            say("the provider takes calls again")
            lab.eventually(lambda: lab.prop("State") == "up" and lab.pppd_pid() != call, 40, "the link is back")
            say("up again", since())
            lab.eventually(lab.reaches, 10, "a ping through the new call")
            say(f"ping to {lab.HOST} answered again")
            moment, back = told.next()
            say(f"notified: {back}", moment)
            desktop.picture_of_a_notification("5-back")
            assert dropped.startswith(title), dropped
            assert back.startswith(title), back
            desktop.click()
            lab.eventually(lambda: lab.prop("State") == "down", 20, "a click disconnects")
            say("clicked again: down", since())
            assert lab.device_to(lab.HOST) == "eth0"
            desktop.picture("6-down-again")
    finally:
        (RESULTS / "journal.log").write_text(lab.journal("-b"))
        desktop.close()


if __name__ == "__main__":
    lab.add_link()
    lab.link("SetPassword", "s", lab.PASSWORD)
    tell()
    print("the story is told; pictures and journal are in the results folder")
