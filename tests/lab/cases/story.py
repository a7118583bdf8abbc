#!/usr/bin/python3
"""The main job, start to end, as a person sees it: a click on the tray icon brings up a real call, the provider drops
it, a notification says so, and the link is back by itself. Runs in a guest; `make demo` shows it, the suite tests it.
And how it begins: the assistant of the first start, and the login before that.

Prints each step with the seconds since the click, and leaves pictures in the results folder.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import lab
from lines import LINES

from desktop import RESULTS, Applet, AtLogin, Desktop, check_log, log_cursor, log_in, notifications, soon

ASSISTANT = "Cablecar: new link"
ON_THE_INTERNET = r"You are on the Internet\."
_PRESET = Path("/etc/cablecar/providers.d/lab.toml")


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


@contextmanager
def preset() -> Iterator[None]:
    """The lab's provider among the presets meanwhile: those that we ship have their servers elsewhere."""
    fact = 'source = "letter", year = 2026 }'
    _PRESET.write_text(
        '[sources]\nletter = "Letter of the provider to its customers"\n\n[provider.il_lab]\ntitle = "Yosefcom"\n'
        f'country = "IL"\nprotocols = {{ value = ["pptp"], {fact}\nserver_pptp = {{ value = "{lab.SERVER}", {fact}\n'
        f'authentication = {{ value = ["pap"], {fact}\n'
    )
    lab.manager("Reload")
    try:
        yield
    finally:
        _PRESET.unlink()
        lab.manager("Reload")


def first_run(desktop: Desktop, applet: Applet) -> None:
    """From the open assistant to the Internet, by the preset; the link is `yosefcom`."""
    teller = Teller()
    desktop.fill("text", "Search", "yosef", ASSISTANT)
    teller.begin("the assistant has opened, and the provider is searched")
    desktop.see("table cell", ".*Yosefcom.*", ASSISTANT)
    desktop.click("button", "Next", ASSISTANT)
    assert desktop.see("text", "Server", ASSISTANT).text == lab.SERVER
    desktop.fill("text", "User name", lab.USER, ASSISTANT)
    desktop.fill("password text", "Password", lab.PASSWORD, ASSISTANT)
    teller.say("user name and password are typed")
    desktop.picture("first-run-account")
    desktop.click("button", "Connect", ASSISTANT)
    desktop.administrate()
    teller.say("the administrator's password is typed")
    soon(lambda: f'"{lab.LINK}"' in lab.manager("ListLinks").output, "the link is made")
    shown: list[str] = []

    def connected() -> bool:
        shown.extend(step for step in _steps(desktop) if step not in shown)
        return "Connected" in shown

    soon(connected, "the last step is ticked")
    teller.say(f"seen on the way: {', '.join(shown)}")
    desktop.see("label", ON_THE_INTERNET, ASSISTANT)
    desktop.picture("first-run-up")
    teller.say("up", since())
    assert lab.prop("State") == "up"
    assert lab.reaches()
    desktop.click("button", "Finish", ASSISTANT)
    soon(lambda: not desktop.look(window=ASSISTANT), "the assistant closes")
    applet.says("Yosefcom: Connected since .*")


def _steps(desktop: Desktop) -> list[str]:
    """The steps of the first call that are being done now, or the last one when all are."""
    labels = desktop.look("label", ".*", ASSISTANT)
    signs = {sign.box[1]: sign.name for sign in labels if sign.name in ("▸", "✓")}
    rows = [(label.name, signs[label.box[1]]) for label in labels if label.box[1] in signs and label.name not in "▸✓"]
    return [name for name, sign in rows if sign == "▸" or name == "Connected"]


def from_login() -> None:
    """Log alice in where Cablecar has just been installed: the icon comes by itself, a click on it opens the assistant,
    and that leads to a page of the Internet. The link stays up.
    """
    log_in()
    desktop = Desktop()
    cursor = log_cursor()
    teller = Teller()
    try:
        with preset():
            applet = AtLogin(desktop)
            teller.begin("alice has logged in, and what her desktop starts then is started")
            applet.says("No link yet")
            teller.say("the icon is in the panel")
            desktop.picture_at_rest("login")
            applet.click()
            first_run(desktop, applet)
        page = lab.run("curl", "-sS", "--fail", "--max-time", "10", f"http://{lab.HOST}/").output.strip()
        assert page == lab.address(lab.prop("Interface")), page
        teller.say(f"a page of the Internet: {page}")
    finally:
        AtLogin.end()
        desktop.close()
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
