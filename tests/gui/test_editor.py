"""The editor against a fake helper with the real rules: as a person types and clicks."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QLineEdit, QMessageBox, QPushButton, QWidget

from cablecar.applet.client import Client
from cablecar.applet.editor import Editor
from cablecar.applet.fields import ChoiceField, ListField, SomeField, TextField
from cablecar.applet.mnemonics import bare
from cablecar.applet.model import Helper

HOME = "/org/cablecar1/link/home"
KEYS: Any = QTest  # whose own stubs want an instance that nobody can make
CHANGING = {"Update", "SetPassword", "SetTunnelSecret", "RemoveLink", "Reconnect", "Connect"}


@pytest.fixture
def forms(start: Callable[..., Any]) -> Any:
    fake = start("forms.py")
    fake.do("link", name="home", title="Home & Co <b>", provider="il_012", authentication=["pap"])
    return fake


@pytest.fixture
def client(forms: Any, follow: Callable[[], Client]) -> Client:
    return follow()


@pytest.fixture
def editor(client: Client, eventually: Any) -> Iterator[Editor]:
    made = Editor(client, HOME)
    made.show()
    eventually(lambda: made.fields["server"].value() and choice(made, "provider").offered > 10)
    eventually(lambda: choice(made, "protocol").offered == 3)
    yield made
    made.deleteLater()


def edit(editor: Editor, key: str) -> QLineEdit:
    field = editor.fields[key]
    assert isinstance(field, TextField)
    return field.edit


def choice(editor: Editor, key: str) -> ChoiceField:
    field = editor.fields[key]
    assert isinstance(field, ChoiceField)
    return field


def type_into(widget: QLineEdit, text: str) -> None:
    widget.setFocus()
    widget.selectAll()
    KEYS.keyClicks(widget, text)


def button(window: QWidget, text: str) -> QPushButton:
    return next(each for each in window.findChildren(QPushButton) if bare(each.text()) == text)


def click(window: QWidget, text: str) -> None:
    KEYS.mouseClick(button(window, text), Qt.MouseButton.LeftButton)


def asked(editor: Editor) -> QMessageBox | None:
    return next((box for box in editor.findChildren(QMessageBox) if box.isVisible()), None)


def calls(forms: Any) -> list[tuple[str, list[Any]]]:
    forms.do("catch-up")  # the bus may have been faster than the pipe that it tells us by
    return [(call["member"], call["body"]) for call in forms.seen("call") if call["member"] in CHANGING]


def said(window: QWidget) -> str:
    return " ".join(label.text() for label in window.findChildren(QLabel) if label.isVisible())


def test_shows_what_is_stored(editor: Editor) -> None:
    values = {key: editor.fields[key].value() for key in ("title", "provider", "server", "user", "authentication")}
    assert values == {
        "title": "Home & Co <b>",
        "provider": "il_012",
        "server": "vpn.example.net",
        "user": "me@C012",
        "authentication": ["pap"],
    }
    assert editor.windowTitle() == "Settings of Home & Co <b>"
    assert edit(editor, "title").hasFocus() and button(editor, "Save").isDefault()
    assert "012 Golden Lines" in choice(editor, "provider").box.currentText()
    assert not button(editor, "Save").isEnabled()


def test_only_what_changed_is_sent(editor: Editor, forms: Any, eventually: Any) -> None:
    type_into(edit(editor, "server"), "10.1.2.3")
    KEYS.keyClick(edit(editor, "server"), Qt.Key.Key_Return)
    eventually(lambda: "Saved." in said(editor))
    ((member, body),) = calls(forms)
    assert member == "Update"
    assert "server" in body[0] and "user" not in body[0] and "provider" not in body[0]
    assert forms.do("stored", name="home")["server"] == "10.1.2.3"
    assert all(call["interactive"] for call in forms.seen("call", member="Update"))
    eventually(lambda: not button(editor, "Save").isEnabled())
    assert asked(editor) is None


def test_errors_stand_beside_the_field_as_one_types(editor: Editor, eventually: Any) -> None:
    type_into(edit(editor, "server"), "a b")
    eventually(lambda: "host name" in editor.fields["server"].error)
    assert editor.fields["server"].error in said(editor)
    assert edit(editor, "server").actions()
    assert "host name" in edit(editor, "server").accessibleDescription()
    type_into(edit(editor, "server"), "vpn.example.org")
    eventually(lambda: not editor.fields["server"].error)
    assert not edit(editor, "server").actions()


def test_save_goes_to_the_wrong_field(editor: Editor, forms: Any, eventually: Any) -> None:
    spin = editor.fields["mtu"].control
    spin.setFocus()
    KEYS.keyClick(spin, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    KEYS.keyClicks(spin, "99")
    eventually(lambda: "576" in editor.fields["mtu"].error)
    click(editor, "Save")
    assert editor.fields["mtu"].isVisible()
    assert not calls(forms)


def test_what_concerns_several_settings_is_told(editor: Editor, eventually: Any) -> None:
    box = choice(editor, "encryption").box
    box.setCurrentIndex(box.findData("required"))
    eventually(lambda: "mschapv2" in editor.fields["encryption"].error)
    methods = editor.fields["authentication"]
    assert isinstance(methods, SomeField)
    methods.boxes["mschapv2"].click()
    eventually(lambda: not editor.fields["encryption"].error)


def save_and_hold_the_next_reading(editor: Editor, forms: Any, eventually: Any) -> None:
    """Store another user name; until "release" the helper does not answer what is stored then."""
    before = len(forms.seen("call", member="Settings"))
    forms.do("outcome", member="Settings", hang=True)
    type_into(edit(editor, "user"), "other")
    click(editor, "Save")
    eventually(lambda: len(forms.seen("call", member="Settings")) > before)


def test_what_is_typed_while_the_stored_settings_are_read_again_stays(
    editor: Editor, forms: Any, eventually: Any
) -> None:
    save_and_hold_the_next_reading(editor, forms, eventually)
    assert not button(editor, "Save").isEnabled()
    type_into(edit(editor, "title"), "Work")
    type_into(edit(editor, "password"), "s3cret")
    box = choice(editor, "protocol").box
    box.setCurrentIndex(box.findData("pppoe"))
    assert editor.fields["server"].value() == ""
    forms.do("change", name="home", mtu=1300)
    forms.do("release")
    eventually(lambda: editor.fields["mtu"].value() == 1300)
    shown = {key: editor.fields[key].value() for key in ("title", "password", "protocol", "server", "user")}
    assert shown == {"title": "Work", "password": "s3cret", "protocol": "pppoe", "server": "", "user": "other"}
    click(editor, "Save")
    eventually(lambda: [member for member, _body in calls(forms)] == ["Update", "Update", "SetPassword"])
    eventually(lambda: not button(editor, "Save").isEnabled())
    stored = forms.do("stored", name="home")
    assert (stored["title"], stored["protocol"], stored["mtu"]) == ("Work", "pppoe", 1300)


def test_a_provider_chosen_while_the_stored_settings_are_read_again_stays(
    editor: Editor, forms: Any, eventually: Any
) -> None:
    save_and_hold_the_next_reading(editor, forms, eventually)
    box = choice(editor, "provider").box
    box.setCurrentIndex(box.findData("il_barak"))
    forms.do("change", name="home", title="Work")
    forms.do("release")
    eventually(lambda: editor.fields["title"].value() == "Work")
    assert (editor.fields["server"].value(), editor.fields["mtu"].value()) == ("pns.barak.net.il", 0)
    click(editor, "Save")
    eventually(lambda: forms.do("stored", name="home")["provider"] == "il_barak")
    eventually(lambda: editor.fields["mtu"].value() == 1380)


def test_password_alone(editor: Editor, forms: Any, eventually: Any) -> None:
    type_into(edit(editor, "password"), "s3cret")
    assert edit(editor, "password").echoMode() is QLineEdit.EchoMode.Password
    click(editor, "Save")
    eventually(lambda: "Saved." in said(editor))
    eventually(lambda: calls(forms) == [("SetPassword", ["s3cret"])])
    assert not edit(editor, "password").text()


def test_reconnect_is_offered_when_the_link_is_up(editor: Editor, forms: Any, eventually: Any) -> None:
    forms.do("set", name="home", State="up")
    type_into(edit(editor, "user"), "other")
    click(editor, "Save")
    box = eventually(lambda: asked(editor))
    assert "next dial" in box.text()
    click(box, "Reconnect now")
    eventually(lambda: [member for member, _body in calls(forms)] == ["Update", "Reconnect"])


@pytest.mark.parametrize(("key", "value"), [("title", "Work"), ("autoconnect", True), ("strict", True)])
def test_reconnect_is_not_offered_for_what_holds_at_once(
    editor: Editor, forms: Any, eventually: Any, key: str, value: object
) -> None:
    forms.do("set", name="home", State="up")
    editor.fields[key].set_value(value)
    editor.fields[key].changed.emit()
    click(editor, "Save")
    eventually(lambda: "Saved." in said(editor))
    assert forms.do("stored", name="home")[key] == value
    assert asked(editor) is None


def test_what_was_stored_before_a_refusal_is_not_denied(editor: Editor, forms: Any, eventually: Any) -> None:
    forms.do("outcome", member="SetPassword", error="org.cablecar1.Error.NotAuthorizedDismissed", text="x")
    type_into(edit(editor, "user"), "other")
    type_into(edit(editor, "password"), "s3cret")
    click(editor, "Save")
    eventually(lambda: "The password was not stored." in said(editor))
    assert forms.do("stored", name="home")["user"] == "other"


def test_another_provider_fills_in(editor: Editor, forms: Any, eventually: Any) -> None:
    box = choice(editor, "provider").box
    box.setFocus()
    index = box.findData("il_barak")
    box.setCurrentIndex(index)
    assert editor.fields["server"].value() == "pns.barak.net.il"
    click(editor, "Save")
    eventually(lambda: "Saved." in said(editor))
    stored = forms.do("stored", name="home")
    assert (stored["provider"], stored["mtu"], stored["authentication"]) == ("il_barak", 1380, ["pap"])
    eventually(lambda: editor.fields["mtu"].value() == 1380)


def test_back_to_the_old_provider_changes_nothing(editor: Editor) -> None:
    box = choice(editor, "provider").box
    box.setCurrentIndex(box.findData("il_barak"))
    assert button(editor, "Save").isEnabled()
    box.setCurrentIndex(box.findData("il_012"))
    assert editor.fields["server"].value() == "vpn.example.net"
    assert not button(editor, "Save").isEnabled()


def test_no_provider_keeps_what_is_shown(editor: Editor, forms: Any, eventually: Any) -> None:
    box = choice(editor, "provider").box
    box.setCurrentIndex(box.findData(""))
    click(editor, "Save")
    eventually(lambda: "Saved." in said(editor))
    stored = forms.do("stored", name="home")
    assert ("provider" in stored, stored["server"], stored["authentication"]) == (False, "vpn.example.net", ["pap"])


def test_networks_in_the_place_of_everything(editor: Editor, forms: Any, eventually: Any) -> None:
    field = choice(editor, "route")
    assert not field.edit.isVisible()
    field.box.setCurrentIndex(field.box.count() - 1)
    type_into(field.edit, "198.51.100.7/24")
    eventually(lambda: "host bits" in field.error)
    type_into(field.edit, "198.51.100.0/24, 203.0.113.0/24")
    eventually(lambda: not field.error)
    click(editor, "Save")
    eventually(lambda: forms.do("stored", name="home").get("route") == ["198.51.100.0/24", "203.0.113.0/24"])


def test_what_no_message_can_carry_is_left_out(editor: Editor, forms: Any, eventually: Any) -> None:
    share, route = editor.fields["share"], choice(editor, "route")
    assert isinstance(share, ListField)
    share.edit.setText("eth\0001, eth2\ud800")
    route.box.setCurrentIndex(route.box.count() - 1)
    route.edit.setText("198.51.100.0/24\0")
    route.edit.textEdited.emit(route.edit.text())
    click(editor, "Save")
    eventually(lambda: "Saved." in said(editor))
    stored = forms.do("stored", name="home")
    assert (stored["share"], stored["route"]) == (["eth1", "eth2"], ["198.51.100.0/24"])


def test_a_value_that_cannot_be_sent_does_not_lock_the_form(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    type_into(edit(editor, "user"), "other")
    monkeypatch.setattr(editor.fields["user"], "value", lambda: "\0")
    with pytest.raises(TypeError):
        editor._save()
    assert edit(editor, "user").isEnabled()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("NotAuthorized", "not allowed"),
        ("NotAuthorizedDismissed", "Nothing was stored."),
        ("StorageFailed", "disk full"),
    ],
)
def test_refused_keeps_what_was_typed(editor: Editor, forms: Any, eventually: Any, error: str, sentence: str) -> None:
    forms.do("outcome", member="Update", error=f"org.cablecar1.Error.{error}", text="disk full")
    before = len(forms.seen("call", member="Settings"))
    type_into(edit(editor, "user"), "other")
    click(editor, "Save")
    eventually(lambda: sentence in said(editor))
    eventually(lambda: len(forms.seen("call", member="Settings")) > before)
    forms.do("outcome", member="Update")
    assert edit(editor, "user").text() == "other"
    click(editor, "Save")
    eventually(lambda: forms.do("stored", name="home")["user"] == "other")


def test_slow_helper(editor: Editor, forms: Any, eventually: Any) -> None:
    forms.do("outcome", member="Update", hang=True)
    type_into(edit(editor, "user"), "other")
    click(editor, "Save")
    assert "Waiting for the permission" in said(editor)
    assert not button(editor, "Save").isEnabled() and not edit(editor, "user").isEnabled()
    forms.do("release")
    eventually(lambda: "Saved." in said(editor))


def test_helper_goes_and_comes(
    editor: Editor, forms: Any, client: Client, start: Callable[..., Any], eventually: Any
) -> None:
    type_into(edit(editor, "user"), "other")
    forms.stop()
    eventually(lambda: "not running" in said(editor))
    assert not button(editor, "Save").isEnabled()
    again = start("forms.py", "--link", "home")
    eventually(lambda: client.snapshot.helper is Helper.RUNNING and button(editor, "Save").isEnabled())
    eventually(lambda: "helper" not in said(editor))
    click(editor, "Save")
    eventually(lambda: again.do("stored", name="home")["user"] == "other")


def test_settings_are_read_when_the_helper_comes_late(
    client: Client, forms: Any, start: Callable[..., Any], eventually: Any
) -> None:
    forms.do("outcome", member="Settings", hang=True)
    editor = Editor(client, HOME)
    editor.show()
    eventually(lambda: forms.seen("call", member="Settings"))
    forms.stop()
    eventually(lambda: client.snapshot.helper is Helper.GONE)
    start("forms.py", "--link", "home")
    eventually(lambda: editor.fields["user"].value() == "me@C012")
    editor.deleteLater()


def test_removing_asks_first(editor: Editor, forms: Any, eventually: Any) -> None:
    click(editor, "Remove this link…")
    box = eventually(lambda: asked(editor))
    assert "Home & Co <b>" in box.text() and box.textFormat() is Qt.TextFormat.PlainText
    KEYS.keyClick(box, Qt.Key.Key_Return)
    assert not calls(forms)
    click(editor, "Remove this link…")
    click(eventually(lambda: asked(editor)), "Remove")
    eventually(lambda: not editor.isVisible())
    assert calls(forms) == [("RemoveLink", ["home"])]


def test_link_removed_by_somebody_else(editor: Editor, forms: Any, eventually: Any) -> None:
    forms.do("remove", name="home")
    eventually(lambda: "does not exist any more" in said(editor))
    assert not button(editor, "Save").isEnabled() and not button(editor, "Remove this link…").isEnabled()
    editor.close()
    assert not editor.isVisible()


def test_closing_with_unsaved_changes_asks(editor: Editor, forms: Any, eventually: Any) -> None:
    type_into(edit(editor, "user"), "other")
    KEYS.keyClick(editor, Qt.Key.Key_Escape)
    box = eventually(lambda: asked(editor))
    KEYS.keyClick(box, Qt.Key.Key_Escape)
    assert editor.isVisible()
    click(editor, "Close")
    click(eventually(lambda: asked(editor)), "Discard the changes")
    eventually(lambda: not editor.isVisible())
    assert not calls(forms)


def test_what_the_helper_does_not_have_is_not_shown(forms: Any, client: Client, eventually: Any) -> None:
    forms.do("take_little")
    older = Editor(client, HOME)
    older.show()
    eventually(lambda: edit(older, "title").text() and len(forms.seen("call", member="CheckSettings")) >= 2)
    assert not any(
        older.fields[key].isVisibleTo(older.fields[key].parentWidget())
        for key in ("protocol", "service", "firewall", "strict", "share")
    )
    assert choice(older, "dns").offered == 2
    assert edit(older, "server").accessibleName() == "Server"
    older.deleteLater()


def test_a_newer_helper_has_more(forms: Any, client: Client, eventually: Any) -> None:
    forms.do("take_anything")
    newer = Editor(client, HOME)
    newer.show()
    eventually(lambda: newer.fields["strict"].isVisibleTo(newer.fields["strict"].parentWidget()))
    eventually(lambda: choice(newer, "protocol").offered == 3 and choice(newer, "dns").offered == 4)
    eventually(lambda: edit(newer, "title").text())
    box = choice(newer, "protocol").box
    assert box.isVisible()
    box.setCurrentIndex(box.findData("pppoe"))
    assert edit(newer, "server").accessibleName() == "Access concentrator"
    assert newer.fields["service"].isVisible() and "PPPoE opens your account" in said(newer)
    box.setCurrentIndex(box.findData("l2tp"))
    assert edit(newer, "server").accessibleName() == "Server" and newer.fields["service"].isHidden()
    strict = choice(newer, "strict")
    assert strict.value() is False and strict.offered == 3
    strict.box.setCurrentIndex(1)
    assert strict.value() is True
    strict.box.setCurrentIndex(2)
    strict.edit.setText("192.168.1.0/24, 10.0.0.0/8")
    assert strict.value() == ["192.168.1.0/24", "10.0.0.0/8"]
    newer.deleteLater()


def test_keyboard_only(editor: Editor, forms: Any, eventually: Any) -> None:
    def focus() -> QWidget:
        widget = QApplication.focusWidget()
        assert widget is not None
        return widget

    editor.go_to("title")
    reached = []
    for _step in range(12):
        own_text = getattr(focus(), "text", str)()
        reached.append(focus().accessibleName() or own_text)
        if focus().accessibleName() == "User name":
            KEYS.keyClick(focus(), Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
            KEYS.keyClicks(focus(), "somebody")
        KEYS.keyClick(focus(), Qt.Key.Key_Tab)
    assert reached[:6] == ["Title", "Provider", "Protocol", "Server", "User name", "Password"]
    assert all(reached), reached
    editor.go_to("user")
    KEYS.keyClick(focus(), Qt.Key.Key_Return)
    eventually(lambda: forms.do("stored", name="home")["user"] == "somebody")


def test_keys_go_to_fields_pages_and_lists(editor: Editor, eventually: Any) -> None:
    def press(key: Qt.Key) -> None:
        KEYS.keyClick(editor, key, Qt.KeyboardModifier.AltModifier)

    editor.activateWindow()
    assert KEYS.qWaitForWindowActive(editor)
    press(Qt.Key.Key_U)
    assert edit(editor, "user").hasFocus()
    press(Qt.Key.Key_D)
    reconnect = editor.fields["reconnect"].value()
    eventually(lambda: editor.fields["reconnect"].value() is not reconnect)
    route = choice(editor, "route")
    route.box.setCurrentIndex(route.box.count() - 1)
    press(Qt.Key.Key_F)
    assert route.box.hasFocus()
    press(Qt.Key.Key_N)
    assert route.edit.hasFocus()
    press(Qt.Key.Key_V)
    assert editor.fields["mtu"].isVisible()
    press(Qt.Key.Key_U)
    assert editor.fields["mtu"].control.hasFocus()
    press(Qt.Key.Key_H)  # nothing but CHAP, whatever stands before it
    eventually(lambda: editor.fields["authentication"].value() == ["pap", "chap"])


def test_go_to_opens_the_page_of_the_setting(editor: Editor) -> None:
    editor.go_to("debug")
    assert editor.fields["debug"].isVisible()
    editor.go_to("password")
    assert edit(editor, "password").isVisible()


def test_the_cursor_waits_for_the_settings(client: Client, eventually: Any) -> None:
    editor = Editor(client, HOME)
    editor.go_to("password")
    editor.show()
    editor.activateWindow()
    eventually(lambda: edit(editor, "password").hasFocus())
    editor.deleteLater()


def test_the_weakness_is_told_once(editor: Editor) -> None:
    assert said(editor).count("whoever is on the line can read") == 1


def test_a_tunnels_secret_is_given_where_there_can_be_one(editor: Editor, forms: Any, eventually: Any) -> None:
    assert editor.fields["tunnel_secret"].isHidden()
    choice(editor, "protocol").set_value("l2tp")
    type_into(edit(editor, "tunnel_secret"), "s3cret!")
    assert edit(editor, "tunnel_secret").echoMode() is QLineEdit.EchoMode.Password
    type_into(edit(editor, "password"), "s3cret")
    click(editor, "Save")
    eventually(lambda: "Saved." in said(editor))
    assert [member for member, _body in calls(forms)] == ["Update", "SetPassword", "SetTunnelSecret"]
    stored = forms.do("stored", name="home")
    assert (stored["protocol"], stored["tunnel_secret"], stored["password"]) == ("l2tp", "s3cret!", "s3cret")
    eventually(lambda: not button(editor, "Save").isEnabled())
    assert not edit(editor, "tunnel_secret").text()


def test_a_tunnels_secret_that_was_refused_is_told(editor: Editor, forms: Any, eventually: Any) -> None:
    choice(editor, "protocol").set_value("l2tp")
    type_into(edit(editor, "tunnel_secret"), "two words")
    click(editor, "Save")
    eventually(lambda: "must have at most 64 characters of ASCII" in said(editor))
    forms.do("outcome", member="SetTunnelSecret", error="org.cablecar1.Error.NotAuthorizedDismissed", text="x")
    type_into(edit(editor, "user"), "other")
    click(editor, "Save")
    eventually(lambda: "The tunnel's secret was not stored." in said(editor))
    assert forms.do("stored", name="home")["user"] == "other"


def test_a_secret_that_is_not_asked_for_any_more_is_not_sent(editor: Editor, forms: Any, eventually: Any) -> None:
    choice(editor, "protocol").set_value("l2tp")
    type_into(edit(editor, "tunnel_secret"), "s3cret!")
    choice(editor, "protocol").set_value("pptp")
    assert not button(editor, "Save").isEnabled()


def test_a_server_is_not_taken_for_a_concentrator(editor: Editor, forms: Any, eventually: Any) -> None:
    choice(editor, "protocol").set_value("pppoe")
    assert editor.fields["server"].value() == ""
    choice(editor, "protocol").set_value("pptp")
    assert editor.fields["server"].value() == "vpn.example.net"
    assert not button(editor, "Save").isEnabled()
    choice(editor, "protocol").set_value("pppoe")
    click(editor, "Save")
    eventually(lambda: "Saved." in said(editor))
    stored = forms.do("stored", name="home")
    assert (stored["protocol"], stored["server"]) == ("pppoe", "")
