"""What a person does at the desktop, from the first start on, by mouse and keyboard; each story from its beginning.

Whatever it is about, Qt and Python have nothing to complain of in the applet's log, and at its end nothing is left.
"""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from story import ASSISTANT, ON_THE_INTERNET, Teller, first_run, preset, since, tell

from desktop import ENTRY, Applet, AtLogin, Desktop, as_alice, check_log, log_cursor, notifications, soon

CHOICES = Path("/home/alice/.config/cablecar")


@pytest.fixture(scope="module")
def desktop() -> Iterator[Desktop]:
    made = Desktop()
    yield made
    made.close()


@pytest.fixture
def fresh(desktop: Desktop) -> Iterator[Desktop]:
    """Alice's desktop, on which she has never chosen anything; the applet does not run."""
    shutil.rmtree(CHOICES, ignore_errors=True)
    cursor = log_cursor()
    yield desktop
    Applet.end()
    check_log(cursor)


@pytest.fixture
def empty(fresh: Desktop) -> Iterator[Desktop]:
    """The same, without any link."""
    yield fresh
    Applet.end()
    lab.isp("reset")
    for name in links():
        lab.manager("RemoveLink", "s", name)


@pytest.fixture
def ready(configured: None, fresh: Desktop) -> Desktop:
    """The same, with the link `yosefcom`."""
    return fresh


def links() -> list[str]:
    return re.findall(r'"([a-z][a-z0-9_]*)" "/org', lab.manager("ListLinks").output)


def is_up(path: str = lab.PATH) -> bool:
    return bool(lab.prop("State", path) == "up")


def test_first_run_from_a_preset_to_the_internet(empty: Desktop) -> None:
    with preset():
        first_run(empty, Applet(empty))


@pytest.fixture
def by_hand() -> Iterator[None]:
    """A peer as the HOWTO has it."""
    peer, secrets = Path("/etc/ppp/peers/yosefcom"), Path("/etc/ppp/pap-secrets")
    before = secrets.read_bytes()
    peer.write_text(
        f"# Yosefcom Internet Services connection options\nlinkname yosefcom\nuser {lab.USER}\n"
        f'pty "/usr/sbin/pptp {lab.SERVER} --nolaunchpppd"\nnobsdcomp\nnodeflate\nhide-password\nnoauth\npersist\n'
        "usepeerdns\ndefaultroute\n"
    )
    secrets.write_bytes(before + f'"{lab.USER}" * "{lab.PASSWORD}"\n'.encode())
    yield
    peer.unlink()
    secrets.write_bytes(before)


@pytest.mark.usefixtures("by_hand")
def test_what_was_made_by_hand_is_offered_and_taken_over(empty: Desktop) -> None:
    teller = Teller()
    applet = Applet(empty, "--autostart")
    applet.says("No link yet")
    applet.click()
    teller.begin("clicked on the icon")
    empty.see("label", "Found on this machine: yosefcom", ASSISTANT)
    empty.click("button", "Take it over", ASSISTANT)
    teller.say("the assistant offers the peer")
    empty.administrate()
    empty.see("label", ON_THE_INTERNET, ASSISTANT)
    (name,) = links()
    path = f"/org/cablecar1/link/{name}"
    teller.say(f"the link {name} is up", since(path))
    empty.picture("import-up")
    assert is_up(path)
    assert lab.reaches()
    empty.click("button", "Finish", ASSISTANT)
    soon(lambda: not empty.look(window=ASSISTANT), "the assistant closes")


def test_a_wrong_password_is_told_and_mended_from_the_notification(ready: Desktop) -> None:
    teller = Teller()
    lab.link("SetPassword", "s", "wrong-password")
    applet = Applet(ready, "--autostart")
    applet.says("Yosefcom: Disconnected")
    with notifications() as told:
        applet.click()
        teller.begin("clicked on the icon")
        moment, text = told.next()
        teller.say(f"notified: {text}", moment)
        assert "refused the user name or password" in text
        assert lab.prop("State") == "failed"
        ready.see("button", "Change password")
        ready.picture("wrong-password-told")
        ready.click("button", "Change password")
        ready.fill("password text", "Password", lab.PASSWORD, "Cablecar: password")
        teller.say("the right password is typed")
        ready.click("button", "Save and connect", "Cablecar: password")
        ready.administrate()
        soon(is_up, "the link comes up")
        teller.say("up", since())
        applet.says("Yosefcom: Connected since .*")
        soon(lambda: not ready.look("button", "Change password"), "the notification has gone")
        told.nothing()
    assert not ready.look(window="Cablecar: password")


def test_a_click_connects_and_a_drop_is_told_and_mended(ready: Desktop) -> None:
    tell(ready)


def test_the_icon_outlives_the_panel(ready: Desktop) -> None:
    teller = Teller()
    applet = Applet(ready, "--autostart")
    applet.says("Yosefcom: Disconnected")
    as_alice("systemctl", "--user", "kill", "--signal=KILL", "lab-panel.service")
    soon(lambda: not applet.tooltip(), "the panel has gone")
    teller.begin("the panel is killed")
    lab.run("desktop", "start", timeout=300)
    teller.say("and started again")
    applet.says("Yosefcom: Disconnected")
    applet.click()
    soon(is_up, "a click on the new icon connects")
    teller.say("up, by a click on the new icon", since())
    applet.menu("Disconnect")
    soon(lambda: lab.prop("State") == "down", "and its menu disconnects")
    teller.say("down, by its menu", since())


def test_the_helper_restarts_under_the_applet(ready: Desktop) -> None:
    teller = Teller()
    applet = Applet(ready, "--autostart")
    applet.says("Yosefcom: Disconnected")
    with notifications() as told:
        applet.click()
        soon(is_up, "the link comes up")
        applet.says("Yosefcom: Connected since .*")
        call = lab.pppd_pid()
        teller.begin("the helper is restarted")
        lab.run("systemctl", "restart", "cablecar-helper.service")
        shows_again(applet, call, teller)
        teller.begin("the helper is killed")
        os.kill(lab.helper_pid(), signal.SIGKILL)
        shows_again(applet, call, teller)
        told.nothing()
    applet.click()
    soon(lambda: lab.prop("State") == "down", "the new helper does what a click says")
    teller.say("down, by a click", since())


def shows_again(applet: Applet, call: int, teller: Teller) -> None:
    """The helper that runs next has the call of the one before, and the icon shows that."""
    soon(lambda: lab.helper_pid() and is_up(), "another helper runs, and knows the link")
    teller.say("another helper has the link up")
    applet.says("Yosefcom: Connected since .*")
    teller.say("and so says the icon")
    assert lab.pppd_pid() == call
    assert lab.reaches()


def test_of_two_links_the_chosen_one_connects(ready: Desktop) -> None:
    teller = Teller()
    second = "/org/cablecar1/link/second"
    settings = ("server", "s", lab.SERVER, "user", "s", lab.USER, "title", "s", "Second line")
    lab.manager("AddLink", "sa{sv}", "second", "3", *settings)
    lab.bus("org.cablecar1", second, "org.cablecar1.Link", "SetPassword", "s", lab.PASSWORD)

    def second_line(name: str) -> tuple[int, int]:
        buttons = ready.look("button", name, "Cablecar")
        (button,) = [each for each in buttons if each.description.startswith("Second line")]
        return button.middle

    try:
        applet = Applet(ready, "--autostart")
        applet.says(
            "Second line: Disconnected\nYosefcom: Disconnected|Yosefcom: Disconnected\nSecond line: Disconnected"
        )
        applet.click()
        teller.begin("clicked on the icon")
        ready.see("label", r"Choose a link\..*", "Cablecar")
        ready.picture("two-links")
        ready.click_at(second_line("Connect"))
        soon(lambda: is_up(second), "the second link comes up")
        teller.say("the second link is up", since(second))
        assert lab.prop("State") == "down"
        applet.says(".*Second line: Connected since .*")
        lines = applet.menu()
        assert "Yosefcom: Disconnected" in lines
        assert any(line.startswith("Second line: Connected since ") for line in lines)
        ready.picture("two-links-menu")  # the counters behind it never rest for long
        applet.close_menu()
        ready.click_at(second_line("Disconnect"))
        soon(lambda: lab.prop("State", second) == "down", "its own button disconnects it")
        teller.say("down, by its own button", since(second))
    finally:
        Applet.end()
        lab.manager("RemoveLink", "s", "second")


def test_quit_start_again_and_at_login(ready: Desktop) -> None:
    teller = Teller()
    applet = Applet(ready, "--autostart")
    applet.says("Yosefcom: Disconnected")
    applet.click()
    soon(is_up, "the link comes up")
    applet.menu(r"Quit \(links stay as they are\)")
    teller.begin("quit is chosen in the menu")
    soon(lambda: not applet.runs() and not applet.tooltip(), "it has ended, and its icon has gone")
    teller.say("it has ended")
    assert is_up()
    as_alice("systemctl", "--user", "daemon-reload")
    as_alice("systemctl", "--user", "start", f"{AtLogin.UNIT}.service")
    try:
        applet.says("Yosefcom: Connected since .*")
        teller.say("the autostart entry brings the icon back, and it shows the link")
        assert not ready.look(window="Cablecar.*")
        assert lab.run("desktop", "run", "cablecar-applet").error == ""
        ready.see("label", "Yosefcom: Connected since .*", "Cablecar")
        teller.say("a second start shows the window of the first")
        ready.picture("window")
        ready.click("button", "Disconnect", "Cablecar")
        soon(lambda: lab.prop("State") == "down", "the window disconnects")
        teller.say("down, by a button of the window", since())
        ready.click("button", "Preferences…", "Cablecar")
        ready.click("check box", "Start Cablecar when I log in", "Cablecar: preferences")
        own = Path("/home/alice/.config/autostart", f"{ENTRY}.desktop")
        soon(own.exists, "the switch in the preferences writes alice's own entry")
        assert "Hidden=true" in own.read_text()
        ready.click("check box", "Start Cablecar when I log in", "Cablecar: preferences")
        soon(lambda: not own.exists(), "and takes it away again")
        teller.say("the start at login is switched off and on again")
    finally:
        AtLogin.end()
