"""The window that asks for a new password: what goes to the helper, and what stays nowhere."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QDialog, QLineEdit

from cablecar.applet.client import Client
from cablecar.applet.mnemonics import bare
from cablecar.applet.model import Helper
from cablecar.applet.password import PasswordDialog
from cablecar.helper import names

HOME = "/org/cablecar1/link/home"
keyboard: Any = QTest  # whose stub knows widgets by their static type only


@pytest.fixture
def client(helper: Any, follow: Callable[[], Client]) -> Client:
    return follow()


@pytest.fixture
def dialog(client: Client) -> Iterator[PasswordDialog]:
    made = PasswordDialog(client, HOME)
    made.show()
    yield made
    made.deleteLater()


def field(dialog: PasswordDialog) -> Any:
    [found] = dialog.findChildren(QLineEdit)
    return found


def type_and_save(dialog: PasswordDialog, text: str) -> None:
    keyboard.keyClicks(field(dialog), text)
    keyboard.keyClick(field(dialog), Qt.Key.Key_Return)


def test_stores_what_was_typed_and_says_so(helper: Any, dialog: PasswordDialog, eventually: Any) -> None:
    stored: list[str] = []
    dialog.stored.connect(stored.append)
    assert "Home & Co <b>" in bare(dialog._question.text())
    type_and_save(dialog, 'pass "word" @')
    eventually(lambda: stored == [HOME])
    [call] = helper.seen("call", member="SetPassword")
    assert (call["path"], call["interface"], call["signature"]) == (HOME, names.LINK_INTERFACE, "s")
    assert (call["body"], call["interactive"]) == (['pass "word" @'], True)
    assert dialog.result() == QDialog.DialogCode.Accepted
    assert field(dialog).text() == ""


def test_is_hidden_unless_somebody_wants_to_see_it(dialog: PasswordDialog) -> None:
    assert field(dialog).echoMode() is QLineEdit.EchoMode.Password
    dialog._field.show_it.click()
    assert field(dialog).echoMode() is QLineEdit.EchoMode.Normal


def test_nothing_typed_is_nothing_to_save(helper: Any, dialog: PasswordDialog) -> None:
    assert not dialog._save_it.isEnabled()
    keyboard.keyClick(field(dialog), Qt.Key.Key_Return)
    assert dialog.isVisible()
    keyboard.keyClicks(field(dialog), "x")
    assert dialog._save_it.isEnabled()
    assert not helper.seen("call", member="SetPassword")


def test_what_the_helper_says_against_it_stands_beside_it(helper: Any, dialog: PasswordDialog, eventually: Any) -> None:
    helper.do("outcome", member="SetPassword", error="org.cablecar1.Error.InvalidPassword", text="Too <b>long</b>.")
    type_and_save(dialog, "secret")
    eventually(lambda: dialog._field.error == "Too <b>long</b>.")
    assert dialog.isVisible()
    helper.do("outcome", member="SetPassword", error="org.cablecar1.Error.NotAuthorizedDismissed", text="x")
    type_and_save(dialog, "s")
    assert dialog._field.error == ""
    eventually(lambda: len(helper.seen("call", member="SetPassword")) == 2 and dialog._save_it.isEnabled())
    assert dialog._field.error == ""  # whoever closed polkit's question knows that


def test_no_answer_is_told(helper: Any, dialog: PasswordDialog, eventually: Any) -> None:
    helper.do("outcome", member="SetPassword", error="org.freedesktop.DBus.Error.NoReply", text="x")
    type_and_save(dialog, "secret")
    eventually(lambda: "does not answer" in dialog._field.error)


def test_a_slow_helper_is_asked_once(helper: Any, dialog: PasswordDialog, eventually: Any) -> None:
    helper.do("outcome", member="SetPassword", hang=True)
    type_and_save(dialog, "secret")
    dialog._save()
    assert not dialog._save_it.isEnabled()
    eventually(lambda: helper.seen("call", member="SetPassword"))
    helper.do("release")
    eventually(lambda: not dialog.isVisible())
    assert len(helper.seen("call", member="SetPassword")) == 1


def test_escape_forgets(helper: Any, dialog: PasswordDialog) -> None:
    keyboard.keyClicks(field(dialog), "secret")
    keyboard.keyClick(field(dialog), Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert field(dialog).text() == ""


def test_goes_with_its_link_and_stays_without_the_helper(
    helper: Any, client: Client, dialog: PasswordDialog, start: Any, eventually: Any
) -> None:
    helper.stop()
    eventually(lambda: client.snapshot.helper is Helper.GONE)
    type_and_save(dialog, "secret")
    eventually(lambda: dialog._field.error == "The Cablecar helper is not installed, or cannot be started.")
    assert dialog.isVisible()
    start("helper.py")
    eventually(lambda: not dialog.isVisible())
