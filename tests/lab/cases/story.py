#!/usr/bin/python3
"""The main job, start to end, as a person sees it: a click on the tray icon brings up a real call, the provider drops
it, a notification says so, and the link is back by itself. Runs in a guest; `make demo` shows it, the suite tests it.

Prints each step with the seconds since the click, and leaves pictures in the results folder.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import lab
from lines import LINES

from desktop import RESULTS, Applet, Desktop, check_log, log_cursor, notifications, soon


class Teller:
    """Says what happens, with the seconds since the story began."""

    def __init__(self) -> None:
        self._begin = time.time()

    def begin(self, what: str) -> None:
        self._begin = time.time()
        self.say(what)

    def say(self, what: str, moment: float | None = None) -> None:
        print(f"{(moment or time.time()) - self._begin:7.2f} s  {what}", flush=True)


def since(path: str = lab.PATH) -> float:
    """When the link's present state began: exact, however long our looking took."""
    return float(lab.prop("Since", path)) / 1e6


def tell(desktop: Desktop, title: str = "Yosefcom") -> None:
    """Play the story; the link `yosefcom` is configured and down, the applet does not run yet."""
    teller = Teller()
    cursor = log_cursor()
    applet = Applet(desktop, "--autostart")
    try:
        applet.says(f"{title}: Disconnected")
        desktop.picture_at_rest("1-down")
        with notifications() as told:
            applet.click()
            teller.begin("clicked on the tray icon")
            soon(lambda: lab.prop("State") in ("dialing", "up"), "the click dials")
            teller.say("dialing", since())
            desktop.picture("2-dialing")
            soon(lambda: lab.prop("State") == "up", "the link comes up")
            interface = lab.prop("Interface")
            teller.say(f"up, with the address {lab.address(interface)}", since())
            assert lab.device_to(lab.HOST) == interface
            soon(lab.reaches, "a ping through the tunnel")
            teller.say(f"first ping to {lab.HOST} answered through {interface}")
            applet.says(f"{title}: Connected since .*")
            desktop.picture("3-up")
            call = lab.pppd_pid()
            killed = time.time()
            lab.isp("stop")
            teller.say("the provider has killed the call, and takes none", killed)
            moment, dropped = told.next()
            teller.say(f"notified: {dropped}", moment)
            desktop.see("button", "Reconnect now")
            desktop.picture("4-dropped")
            lab.isp("start")
            teller.say("the provider takes calls again")
            soon(lambda: lab.redialed(call), "the link is back")
            teller.say("up again", since())
            soon(lab.reaches, "a ping through the new call")
            teller.say(f"ping to {lab.HOST} answered again")
            moment, back = told.next()
            teller.say(f"notified: {back}", moment)
            desktop.see("label", ".*Connected again after.*")
            desktop.picture("5-back")
            assert dropped.startswith(title), dropped
            assert back.startswith(title), back
            applet.click()
            soon(lambda: lab.prop("State") == "down", "a click disconnects")
            teller.say("clicked again: down", since())
            assert lab.device_to(lab.HOST) == "eth0"
            applet.says(f"{title}: Disconnected")
            desktop.picture("6-down-again")
    finally:
        applet.end()
    check_log(cursor)


def main() -> None:
    """Tell the story from an empty desktop on, by the protocol that LAB_PROTOCOL names."""
    lab.add_link(**LINES[os.environ.get("LAB_PROTOCOL", "pptp")].settings)
    lab.link("SetPassword", "s", lab.PASSWORD)
    print("starting alice's desktop and the applet", flush=True)
    desktop = Desktop()
    try:
        tell(desktop)
    finally:
        (RESULTS / "journal.log").write_text(lab.journal("-b"))
        desktop.close()
    print("the story is told; pictures and journal are in the results folder")


if __name__ == "__main__":
    main()
