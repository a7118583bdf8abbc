"""The assistant against a fake helper with the real rules: as a person types and clicks."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PyQt6 import sip
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QLineEdit, QMessageBox, QPushButton, QWidget

from cablecar.applet.assistant import Assistant, derive_name
from cablecar.applet.client import Client
from cablecar.applet.editor import Editor
from cablecar.applet.fields import ChoiceField, PasswordField, TextField
from cablecar.applet.mnemonics import bare
from cablecar.applet.model import Concentrator, Helper

KEYS: Any = QTest  # whose own stubs want an instance that nobody can make
DOING = ("AddLink", "SetPassword", "SetTunnelSecret", "Update", "Connect", "Reconnect", "ImportPeer", "RemoveLink")
GOLDEN = "isp_012_golden_lines"


@pytest.fixture
def forms(start: Callable[..., Any]) -> Any:
    return start("forms.py")


@pytest.fixture
def client(application: QApplication, forms: Any, eventually: Any) -> Iterator[Client]:
    made = Client()
    made.start()
    eventually(lambda: made.snapshot.helper is Helper.RUNNING)
    yield made
    made.deleteLater()


@pytest.fixture
def assistant(client: Client, forms: Any, eventually: Any) -> Iterator[Assistant]:
    made = Assistant(client)
    made.show()
    made.activateWindow()
    eventually(lambda: made.providers.list.topLevelItemCount() > 10)
    eventually(lambda: len(forms.seen("call", member="CheckSettings")) == 2 and forms.seen("call", member="ListPeers"))
    yield made
    made.deleteLater()


def choice(assistant: Assistant, key: str) -> ChoiceField:
    field = assistant.account.fields[key]
    assert isinstance(field, ChoiceField)
    return field


def edit(assistant: Assistant, key: str) -> QLineEdit:
    field = assistant.account.fields[key]
    assert isinstance(field, TextField)
    return field.edit


def type_into(widget: QLineEdit, text: str) -> None:
    KEYS.mouseClick(widget, Qt.MouseButton.LeftButton)
    widget.selectAll()
    KEYS.keyClicks(widget, text)


def click(button: QWidget) -> None:
    assert button.isVisible() and button.isEnabled()
    KEYS.mouseClick(button, Qt.MouseButton.LeftButton)


def press(key: Qt.Key) -> None:
    KEYS.keyClick(QApplication.focusWidget(), key)


def answer(assistant: Assistant, text: str, eventually: Any) -> None:
    box = eventually(lambda: question(assistant))
    click(next(each for each in box.findChildren(QPushButton) if bare(each.text()) == text))


def question(assistant: Assistant) -> QMessageBox | None:
    return next((box for box in assistant.findChildren(QMessageBox) if box.isVisible()), None)


def done(forms: Any) -> list[str]:
    forms.do("catch-up")  # the bus may have been faster than the pipe that it tells us by
    return [call["member"] for call in forms.seen("call") if call["member"] in DOING]


def said(window: QWidget) -> str:
    return " ".join(label.text() for label in window.findChildren(QLabel) if label.isVisible())


def choose(assistant: Assistant, words: str) -> None:
    type_into(assistant.providers.search, words)
    click(assistant.next_button)


def fill_in(assistant: Assistant, user: str = "yosef@C012", password: str = "secret") -> None:
    choose(assistant, "golden")
    type_into(edit(assistant, "user"), user)
    type_into(edit(assistant, "password"), password)
    click(assistant.next_button)


def is_connected(assistant: Assistant) -> bool:
    return bare(assistant.next_button.text()) == "Finish" and assistant.next_button.isEnabled()


@pytest.mark.parametrize(
    ("wishes", "taken", "name"),
    [
        (("Home",), (), "home"),
        (("Home",), ("home", "home_2"), "home_3"),
        (("012 Golden Lines (Kavei Zahav)",), (), "isp_012_golden_lines"),
        (("Корбина", "vpn.corbina.net"), (), "vpn_corbina_net"),
        (("שלום", "10.0.0.1"), (), "isp_10_0_0_1"),
        (("", ""), ("link",), "link_2"),
        (("x" * 60,), ("x" * 31,), "x" * 29 + "_2"),
        (("Rés<b>eau & Co",), (), "res_b_eau_co"),
    ],
)
def test_names_are_derived(wishes: tuple[str, ...], taken: tuple[str, ...], name: str) -> None:
    assert derive_name(wishes, taken) == name


def test_from_nothing_to_connected_by_keyboard(assistant: Assistant, forms: Any, eventually: Any) -> None:
    KEYS.keyClicks(QApplication.focusWidget(), "golden")
    press(Qt.Key.Key_Return)
    assert edit(assistant, "server").text() == "cablepns.012.net.il"
    KEYS.keyClicks(QApplication.focusWidget(), "yosef@C012")
    press(Qt.Key.Key_Tab)
    KEYS.keyClicks(QApplication.focusWidget(), "secret")
    press(Qt.Key.Key_Return)
    eventually(lambda: is_connected(assistant))
    assert "You are on the Internet." in said(assistant)
    stored = forms.do("stored", name=GOLDEN)
    assert (stored["user"], stored["password"], stored["provider"]) == ("yosef@C012", "secret", "il_012")
    assert (stored["mtu"], stored["authentication"]) == (1460, ["pap"])  # the helper's to fill in
    assert done(forms) == ["AddLink", "SetPassword", "Connect"]
    clicked = {call["member"] for call in forms.seen("call", interactive=True)}
    assert clicked == {"AddLink", "SetPassword", "Connect"}
    press(Qt.Key.Key_Return)
    assert not assistant.isVisible()


def test_keys_go_to_fields_and_press_buttons(assistant: Assistant, eventually: Any) -> None:
    def alt(key: Qt.Key) -> None:
        KEYS.keyClick(assistant, key, Qt.KeyboardModifier.AltModifier)

    alt(Qt.Key.Key_W)
    assert assistant.providers.list.hasFocus()
    alt(Qt.Key.Key_C)
    assert assistant.providers.country.hasFocus()
    alt(Qt.Key.Key_S)
    KEYS.keyClicks(QApplication.focusWidget(), "golden")
    alt(Qt.Key.Key_N)
    eventually(lambda: assistant.account.isVisible())
    alt(Qt.Key.Key_S)
    assert edit(assistant, "server").hasFocus()
    alt(Qt.Key.Key_H)
    eventually(lambda: edit(assistant, "password").echoMode() is QLineEdit.EchoMode.Normal)
    alt(Qt.Key.Key_B)
    eventually(lambda: assistant.providers.isVisible())


def test_every_stop_of_the_tab_key_has_a_name(assistant: Assistant) -> None:
    for page in ("golden", None):
        if page:
            choose(assistant, page)
        for _step in range(15):
            widget = QApplication.focusWidget()
            assert widget is not None
            assert widget.accessibleName() or getattr(widget, "text", str)(), widget
            press(Qt.Key.Key_Tab)


def test_wrong_password_is_mended_without_a_second_link(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["authentication-failed", "up"])
    fill_in(assistant)
    eventually(lambda: "refused the user name or password" in said(assistant))
    eventually(lambda: QApplication.focusWidget() is assistant.attempt.mend_button)
    press(Qt.Key.Key_Return)
    assert QApplication.focusWidget() is edit(assistant, "password")
    assert "refused" in assistant.account.fields["password"].error
    KEYS.keyClicks(QApplication.focusWidget(), "better")
    press(Qt.Key.Key_Return)
    eventually(lambda: is_connected(assistant))
    assert forms.do("stored", name=GOLDEN)["password"] == "better"
    assert done(forms) == ["AddLink", "SetPassword", "Connect", "SetPassword", "Connect"]


def test_wrong_user_name_is_mended(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["authentication-failed", "up"])
    fill_in(assistant)
    eventually(lambda: assistant.attempt.mend_button.isVisible())
    click(assistant.attempt.mend_button)
    type_into(edit(assistant, "user"), "josef@C012")
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert done(forms) == ["AddLink", "SetPassword", "Connect", "Update", "Connect"]


def test_wrong_server_is_mended(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["server-not-found", "up"])
    fill_in(assistant)
    eventually(lambda: "could not be looked up" in said(assistant))
    assert "Correct the server" in bare(assistant.attempt.mend_button.text())
    click(assistant.attempt.mend_button)
    assert QApplication.focusWidget() is edit(assistant, "server")
    KEYS.keyClicks(QApplication.focusWidget(), "vpn.example.net")
    press(Qt.Key.Key_Return)
    eventually(lambda: is_connected(assistant))
    assert forms.do("stored", name=GOLDEN)["server"] == "vpn.example.net"
    assert done(forms)[-2:] == ["Update", "Reconnect"]  # the helper was trying again by itself
    update = forms.seen("call", member="Update")[0]["body"][0]
    assert "server" in update and "user" not in update


def test_phases_are_shown_as_they_come(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("outcome", member="Connect", hang=True)
    fill_in(assistant)
    eventually(lambda: forms.seen("call", member="Connect"))
    for phase, text in (("connecting", "Calling the provider's server"), ("authenticating", "Logging in")):
        forms.do("set", name=GOLDEN, State="dialing", Phase=phase)
        eventually(lambda text=text: f"▸ {text}" in said(assistant))
    assert "✓ Preparing the call" in said(assistant)
    assert assistant.next_button.isHidden()  # nothing is there to be tried again yet
    forms.do("set", name=GOLDEN, State="failed", Phase="", Reason="account-disabled")
    forms.do("release")
    forms.do("set", name=GOLDEN, State="failed", Phase="", Reason="account-disabled")
    eventually(lambda: is_connected(assistant) or "disabled this account" in said(assistant))


def test_what_nobody_can_mend_here_can_be_tried_again(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["account-disabled", "up"])
    fill_in(assistant)
    eventually(lambda: "disabled this account" in said(assistant))
    assert not assistant.attempt.mend_button.isVisible()
    eventually(lambda: assistant.next_button.isEnabled())
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert done(forms) == ["AddLink", "SetPassword", "Connect", "Connect"]


def test_the_helper_gets_through_by_itself(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["server-unreachable"])
    fill_in(assistant)
    eventually(lambda: assistant.attempt.mend_button.isVisible())
    click(assistant.attempt.mend_button)
    forms.do("set", name=GOLDEN, State="up", Reason="")
    eventually(lambda: is_connected(assistant))


def test_the_question_about_a_link_that_does_not_work_ends_when_it_does(
    assistant: Assistant, forms: Any, eventually: Any
) -> None:
    forms.do("plan", ends=["server-unreachable"])
    fill_in(assistant)
    eventually(lambda: assistant.attempt.mend_button.isVisible())
    press(Qt.Key.Key_Escape)
    eventually(lambda: question(assistant))
    forms.do("set", name=GOLDEN, State="up", Reason="")
    eventually(lambda: is_connected(assistant) and question(assistant) is None)
    assert assistant.isVisible() and "RemoveLink" not in done(forms)


def test_what_went_wrong_is_not_said_of_the_next_button(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["account-disabled", "up"])
    fill_in(assistant)
    eventually(lambda: "disabled" in assistant.next_button.accessibleDescription())
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert not assistant.next_button.accessibleDescription()


def test_a_link_that_is_up_takes_the_keyboard_once(assistant: Assistant, forms: Any, eventually: Any) -> None:
    fill_in(assistant)
    eventually(lambda: is_connected(assistant))
    eventually(assistant.next_button.hasFocus)
    assistant.attempt.show_remarks("What could not be taken over")
    assistant.attempt.remarks.setFocus()
    forms.do("set", name=GOLDEN, Since=5_000_000)
    eventually(lambda: assistant._client.snapshot.links[0].since == 5)
    assert assistant.attempt.remarks.hasFocus()


def test_all_settings_of_the_link(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["encryption-required"])
    fill_in(assistant)
    eventually(lambda: assistant.attempt.edit_button.isVisible())
    asked: list[str] = []
    assistant.edits.connect(asked.append)
    click(assistant.attempt.edit_button)
    editor = Editor(assistant._client, *asked)
    editor.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    editor.finished.connect(assistant.read_back)
    editor.show()
    eventually(lambda: editor.fields["server"].value() == "cablepns.012.net.il")
    field = editor.fields["server"]
    assert isinstance(field, TextField)
    type_into(field.edit, "vpn.example.net")
    press(Qt.Key.Key_Return)
    eventually(lambda: "Saved." in said(editor))
    editor.close()
    eventually(lambda: edit(assistant, "server").text() == "vpn.example.net")


def test_own_provider_is_checked_as_one_types(assistant: Assistant, forms: Any, eventually: Any) -> None:
    assistant.providers.list.setFocus()
    press(Qt.Key.Key_Home)
    click(assistant.next_button)
    assert QApplication.focusWidget() is edit(assistant, "server")
    assert not assistant.account.fields["server"].error
    KEYS.keyClicks(QApplication.focusWidget(), "1.2.3")
    eventually(lambda: "IPv4 address" in assistant.account.fields["server"].error)
    assert not assistant.account.fields["user"].error  # nobody has been there yet
    press(Qt.Key.Key_Return)
    eventually(lambda: "Must not be empty." in said(assistant))
    assert "Type the password." in said(assistant)
    assert not done(forms)
    type_into(edit(assistant, "server"), "vpn.example.net")
    type_into(edit(assistant, "user"), "me")
    type_into(edit(assistant, "password"), "secret")
    eventually(lambda: not assistant.account.wrong)
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert forms.do("stored", name="vpn_example_net")["user"] == "me"


def test_server_with_the_customers_name(assistant: Assistant) -> None:
    choose(assistant, "actcom")
    assert not edit(assistant, "server").text()
    type_into(edit(assistant, "user"), "dana@home")
    assert edit(assistant, "server").text() == "dana.c.actcom.net.il"
    type_into(edit(assistant, "server"), "mine.example.net")
    type_into(edit(assistant, "user"), "ruth")
    assert edit(assistant, "server").text() == "mine.example.net"


def test_back_keeps_what_was_typed(assistant: Assistant) -> None:
    choose(assistant, "golden")
    type_into(edit(assistant, "user"), "yosef")
    click(assistant.back_button)
    click(assistant.next_button)
    assert edit(assistant, "user").text() == "yosef"
    click(assistant.back_button)
    choose(assistant, "barak")
    assert edit(assistant, "server").text() == "pns.barak.net.il"
    assert edit(assistant, "title").text() == "Barak"


def test_back_keeps_what_was_typed_for_a_provider_of_ones_own(assistant: Assistant) -> None:
    choose(assistant, "no provider is called so")
    choice(assistant, "protocol").set_value("l2tp")
    type_into(edit(assistant, "server"), "vpn.example.net")
    click(assistant.back_button)
    click(assistant.next_button)
    assert (edit(assistant, "server").text(), choice(assistant, "protocol").value()) == ("vpn.example.net", "l2tp")


def test_one_that_was_closed_and_then_failed_is_gone(
    assistant: Assistant, client: Client, forms: Any, eventually: Any
) -> None:
    closed = Assistant(client)
    closed.show()
    eventually(lambda: closed.providers.list.topLevelItemCount() > 10)
    forms.do("outcome", member="AddLink", hang=True)
    fill_in(closed)
    eventually(lambda: forms.seen("call", member="AddLink"))
    click(closed.cancel_button)
    forms.stop()
    eventually(lambda: sip.isdeleted(closed))
    assert not sip.isdeleted(assistant)


def test_password_can_be_seen(assistant: Assistant) -> None:
    choose(assistant, "golden")
    field = assistant.account.fields["password"]
    assert isinstance(field, PasswordField)
    assert field.edit.echoMode() is QLineEdit.EchoMode.Password
    field.show_it.click()
    assert field.edit.echoMode() is QLineEdit.EchoMode.Normal


def test_a_password_does_not_go_to_another_provider_unseen(assistant: Assistant) -> None:
    choose(assistant, "golden")
    type_into(edit(assistant, "user"), "yosef@C012")
    type_into(edit(assistant, "password"), "s3cret")
    click(assistant.back_button)
    choose(assistant, "golden")
    assert assistant.account.secret("password") == "s3cret"
    click(assistant.back_button)
    choose(assistant, "barak")
    assert assistant.account.values()["user"] == "yosef@C012"
    assert edit(assistant, "password").text() == "" and edit(assistant, "password").hasFocus()


def test_search_and_country(assistant: Assistant) -> None:
    def shown() -> list[str]:
        items = [assistant.providers.list.topLevelItem(i) for i in range(assistant.providers.list.topLevelItemCount())]
        return [item.text(0).strip("\u2068\u2069") for item in items if item is not None and not item.isHidden()]

    assistant.providers.country.setCurrentIndex(assistant.providers.country.findText("Netherlands"))
    assert shown() == ["My provider is not in the list", "KPN MXStream"]
    type_into(assistant.providers.search, "mxstr")
    assert shown() == ["My provider is not in the list", "KPN MXStream"]
    type_into(assistant.providers.search, "golden")  # which is in another country
    assert shown() == ["My provider is not in the list", "012 Golden Lines (Kavei Zahav)"]
    assistant.providers.country.setCurrentIndex(0)
    type_into(assistant.providers.search, "corb peters")
    assert shown() == ["My provider is not in the list", "Corbina, St. Petersburg"]
    type_into(assistant.providers.search, "no such thing")
    assert shown() == ["My provider is not in the list"]
    assert assistant.providers.provider is not None and assistant.next_button.isEnabled()


def test_a_search_before_the_presets_have_come_finds_when_they_have(assistant: Assistant) -> None:
    presets = list(assistant.providers._providers.values())
    assistant.providers.show_providers(())
    type_into(assistant.providers.search, "golden")
    assert assistant.providers.provider is None or assistant.providers.provider.id == ""
    assistant.providers.show_providers(presets)
    assert assistant.providers.provider is not None
    assert "Golden" in assistant.providers.provider.title


def test_sources_and_age_are_told(assistant: Assistant) -> None:
    type_into(assistant.providers.search, "golden")
    about = assistant.providers.about.toPlainText()
    assert "published up to" in about and "Ubuntu Forums" in about and "cablepns.012.net.il" in about


def test_provider_of_another_protocol(forms: Any, client: Client, eventually: Any) -> None:
    forms.do("take_little")
    older = Assistant(client)
    older.show()
    eventually(lambda: older.providers.list.topLevelItemCount() > 10)
    type_into(older.providers.search, "bell fibe")
    assert not older.next_button.isEnabled()
    assert "none of this provider's protocols" in older.providers.about.toPlainText()
    older.deleteLater()


@pytest.fixture
def newer(client: Client, forms: Any, eventually: Any) -> Iterator[Assistant]:
    """The assistant with a helper that knows all protocols."""
    forms.do("take_anything")
    made = Assistant(client)
    made.show()
    made.activateWindow()
    eventually(lambda: made.providers.list.topLevelItemCount() > 10)
    type_into(made.providers.search, "bell fibe")
    eventually(made.next_button.isEnabled)
    click(made.next_button)
    yield made
    made.deleteLater()


def labels(assistant: Assistant) -> list[str]:
    return [field.title for field in assistant.account.fields.values() if field.isVisible()]


def test_each_protocol_asks_for_what_it_needs(newer: Assistant) -> None:
    ask = ["User name", "Password", "Title", "Connect when the computer starts"]
    assert labels(newer) == ["Access concentrator", *ask, "Service", "Cable's interface", "VLAN"]
    assert newer.account.fields["user"].control.hasFocus()
    assert edit(newer, "server").accessibleName() == "Access concentrator"
    assert said(newer).count("PPPoE opens your account") == 1
    type_into(edit(newer, "service"), "internet")
    assert newer.account.values()["service"] == "internet"
    click(newer.back_button)
    choose(newer, "beeline")
    assert labels(newer) == ["Protocol", "Server", *ask[:2], "Tunnel secret", *ask[2:]]
    choose_protocol(newer, "pptp")
    assert labels(newer) == ["Protocol", "Server", *ask]
    choose_protocol(newer, "l2tp")
    assert "service" not in newer.account.values()
    assert said(newer).count("L2TP opens your account") == 1


@pytest.mark.parametrize("reason", ["no-concentrator", "no-cable"])
def test_where_no_concentrator_answers_the_interface_is_mended(
    newer: Assistant, forms: Any, eventually: Any, reason: str
) -> None:
    type_into(edit(newer, "user"), "yosef")
    type_into(edit(newer, "password"), "secret")
    forms.do("plan", ends=[reason])
    click(newer.next_button)
    eventually(lambda: newer.attempt.mend_button.isVisible())
    assert bare(newer.attempt.mend_button.text()) == "Correct the cable's interface…"
    click(newer.attempt.mend_button)
    assert edit(newer, "interface").hasFocus()
    type_into(edit(newer, "interface"), "eth1")
    click(newer.next_button)
    eventually(lambda: is_connected(newer))
    stored = forms.do("stored", name="bell_fibe")
    assert (stored["protocol"], stored["interface"], stored["server"]) == ("pppoe", "eth1", "")


def test_who_answers_by_pppoe_can_be_chosen(newer: Assistant, forms: Any, eventually: Any) -> None:
    shown = newer.account.concentrators
    eventually(lambda: "Nobody answers by PPPoE" in said(newer))
    assert not shown.box.isVisible()
    here = {"interface": "eth1", "concentrator": "ac-1", "services": ["internet", "tv"], "address": "02:00:00:00:00:01"}
    evil = {"interface": "eth1", "concentrator": "<b>evil</b>\n", "services": []}
    forms.do("answer_by_pppoe", concentrators=[here, evil, {"interface": "", "concentrator": "nowhere"}])
    click(shown.again)
    eventually(lambda: shown.box.count() == 4)
    assert [shown.box.itemText(index) for index in range(4)] == [
        "Whichever answers",
        "ac-1 on eth1, service internet",
        "ac-1 on eth1, service tv",
        "<b>evil</b> on eth1",
    ]
    assert (edit(newer, "server").text(), edit(newer, "interface").text()) == ("", "eth1")  # nobody has chosen yet
    shown.box.setFocus()
    for _step in range(2):
        press(Qt.Key.Key_Down)
    values = newer.account.values()
    assert (values["server"], values["service"], values["interface"]) == ("ac-1", "tv", "eth1")
    click(newer.back_button)
    choose(newer, "golden")
    assert not shown.isVisible()
    values = newer.account.values()
    assert "service" not in values and values["interface"] == ""


def test_another_protocol_has_another_server(newer: Assistant) -> None:
    click(newer.back_button)
    choose(newer, "beeline")
    box, servers = choice(newer, "protocol").box, {}
    for text in ("PPTP", "L2TP"):
        box.setCurrentIndex(box.findText(text))
        servers[text] = edit(newer, "server").text()
    assert [box.itemText(index) for index in range(box.count())] == ["L2TP", "PPTP"]
    assert len(set(servers.values())) == 2 and all(servers.values()), servers
    type_into(edit(newer, "server"), "my.own.example")
    box.setCurrentIndex(box.findText("PPTP"))
    assert edit(newer, "server").text() == "my.own.example"


def test_what_is_known_of_a_provider_is_told_in_words(assistant: Assistant) -> None:
    type_into(assistant.providers.search, "bezeq international")
    about = assistant.providers.about.toPlainText()
    assert "Ways of logging in: PAP\nEncryption (MPPE): no" in about
    assert re.search(r"^Cables-PPTP-HOWTO .+ \(2006\): Ways of logging in, Encryption \(MPPE\)$", about, re.MULTILINE)
    assert re.search(r"^Guess: .+ \(2007, not confirmed\): User name$", about, re.MULTILINE)
    assert "server_pptp" not in about and "unverified" not in about
    type_into(assistant.providers.search, "evil")
    assert "<a href='http://evil.example.net'>click</a>" in assistant.providers.about.toPlainText()


def test_hostile_preset_is_plain_text(assistant: Assistant) -> None:
    type_into(assistant.providers.search, "evil")
    assert "<b>Evil</b> & <img src='x'>" in (assistant.providers.list.currentItem() or pytest.fail()).text(0)
    assert "<h1>Huge</h1>" in assistant.providers.about.toPlainText()
    assert "<a href=" in assistant.providers.about.toPlainText()
    click(assistant.next_button)
    assert "<b>Evil</b>" in said(assistant) and "<i>customer</i>" in said(assistant)
    labels = assistant.findChildren(QLabel)
    assert all(label.textFormat() is Qt.TextFormat.PlainText for label in labels if label.text())


def test_found_on_this_machine(client: Client, forms: Any, eventually: Any) -> None:
    forms.do("offer_peers", peers=["<b>my-isp"])
    assistant = Assistant(client)
    assistant.show()
    assistant.activateWindow()
    eventually(lambda: assistant.providers.found.isVisible())
    assert "Found on this machine: <b>my-isp" in said(assistant)
    assert QApplication.focusWidget() is assistant.providers.take_over
    press(Qt.Key.Key_Return)
    eventually(lambda: is_connected(assistant))
    assert done(forms) == ["ImportPeer", "Connect"]
    eventually(lambda: "crontab" in assistant.attempt.remarks.toPlainText())
    assert "/etc/cablecar/links/imported.toml" in assistant.attempt.remarks.toPlainText()
    assistant.deleteLater()


def test_a_sign_in_the_name_of_what_was_found_is_no_key(assistant: Assistant) -> None:
    assistant.providers.show_peers(["nm:R&D"])
    (label,) = [each for each in assistant.findChildren(QLabel) if each.buddy() is assistant.providers.peers]
    assert bare(label.text()) == "Found on this machine: R&D (NetworkManager)"


def test_several_found_and_one_refused(client: Client, forms: Any, eventually: Any) -> None:
    forms.do("offer_peers", peers=["one", "nm:Work VPN", "l2tp:isp"])
    forms.do("outcome", member="ImportPeer", error="org.cablecar1.Error.PeerNotUsable", text="It says too little.")
    assistant = Assistant(client)
    assistant.show()
    eventually(lambda: assistant.providers.found.isVisible())
    assert assistant.providers.peers.itemText(1) == "Work VPN (NetworkManager)"
    assert assistant.providers.peers.itemText(2) == "isp (xl2tpd)"
    assistant.providers.peers.setCurrentIndex(1)
    click(assistant.providers.take_over)
    eventually(lambda: "It says too little." in said(assistant))
    assert assistant.providers.isVisible()
    assert forms.seen("call", member="ImportPeer")[0]["body"] == ["nm:Work VPN"]
    assistant.deleteLater()


def test_taken_over_with_a_wrong_password(client: Client, forms: Any, eventually: Any) -> None:
    forms.do("offer_peers", peers=["my-isp"])
    forms.do("plan", ends=["authentication-failed", "up"])
    assistant = Assistant(client)
    assistant.show()
    assistant.activateWindow()
    eventually(lambda: assistant.providers.found.isVisible())
    click(assistant.providers.take_over)
    eventually(lambda: assistant.attempt.mend_button.isVisible())
    eventually(lambda: edit(assistant, "user").text() == "me")
    click(assistant.attempt.mend_button)
    type_into(edit(assistant, "password"), "better")
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert done(forms) == ["ImportPeer", "Connect", "SetPassword", "Connect"]
    assistant.deleteLater()


def test_polkit_says_no(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("outcome", member="AddLink", error="org.cablecar1.Error.NotAuthorizedDismissed")
    fill_in(assistant)
    eventually(lambda: "Nothing was done." in said(assistant))
    assert not assistant.attempt.edit_button.isVisible()
    forms.do("outcome", member="AddLink")
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))


def test_taken_names_are_passed_over(assistant: Assistant, forms: Any, eventually: Any) -> None:
    choose(assistant, "golden")
    type_into(edit(assistant, "user"), "yosef")
    type_into(edit(assistant, "password"), "secret")
    type_into(edit(assistant, "title"), "Taken")
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert forms.do("stored", name="taken_2")["title"] == "Taken"


def test_slow_helper_does_not_freeze_anything(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("outcome", member="AddLink", hang=True)
    fill_in(assistant)
    eventually(lambda: forms.seen("call", member="AddLink"))
    assert "administrator's password" in said(assistant)
    assert not assistant.next_button.isEnabled() and not assistant.back_button.isEnabled()
    forms.do("release")
    eventually(lambda: is_connected(assistant))


@pytest.mark.parametrize("by", ["button", "window manager"])
def test_closed_while_the_link_is_being_made(assistant: Assistant, forms: Any, eventually: Any, by: str) -> None:
    forms.do("outcome", member="AddLink", hang=True)
    fill_in(assistant)
    eventually(lambda: forms.seen("call", member="AddLink"))
    assistant.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    if by == "button":
        click(assistant.cancel_button)
    else:
        assistant.close()
    assert not assistant.isVisible()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assistant.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    forms.do("release")
    answer(assistant, "Remove it", eventually)
    eventually(lambda: not assistant.isVisible())
    assert forms.do("stored", name=GOLDEN) == {}
    assert "Connect" not in done(forms)


@pytest.mark.parametrize("choice", ["Remove it", "Keep it for later", "Go on"])
def test_cancel_asks_about_a_link_that_does_not_work(
    assistant: Assistant, forms: Any, eventually: Any, choice: str
) -> None:
    forms.do("plan", ends=["account-disabled"])
    fill_in(assistant)
    eventually(lambda: assistant.attempt.edit_button.isVisible())
    press(Qt.Key.Key_Escape)
    answer(assistant, choice, eventually)
    eventually(lambda: assistant.isVisible() == (choice == "Go on"))
    assert bool(forms.do("stored", name=GOLDEN)) == (choice != "Remove it")


def test_cancel_before_anything_is_made_asks_nothing(assistant: Assistant, forms: Any) -> None:
    choose(assistant, "golden")
    press(Qt.Key.Key_Escape)
    assert not assistant.isVisible() and not done(forms)


def test_helper_restarts_during_the_call(
    assistant: Assistant, client: Client, forms: Any, start: Callable[..., Any], eventually: Any
) -> None:
    forms.do("outcome", member="Connect", hang=True)
    fill_in(assistant)
    eventually(lambda: forms.seen("call", member="Connect"))
    forms.stop()
    eventually(lambda: "not running" in said(assistant))
    again = start("forms.py", "--link", GOLDEN)
    eventually(lambda: client.snapshot.helper is Helper.RUNNING and assistant.next_button.isEnabled())
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert done(again) == ["Connect"]


def test_an_answer_that_was_lost_makes_no_second_link(
    assistant: Assistant, client: Client, forms: Any, start: Callable[..., Any], eventually: Any
) -> None:
    forms.do("outcome", member="AddLink", hang=True)
    fill_in(assistant)
    eventually(lambda: forms.seen("call", member="AddLink"))
    forms.stop()
    eventually(lambda: client.snapshot.helper is Helper.GONE)
    again = start("forms.py", "--link", GOLDEN)
    eventually(lambda: client.snapshot.links and assistant.next_button.isEnabled())
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert done(again) == ["SetPassword", "Connect"]


def test_without_a_helper_at_first(application: QApplication, start: Callable[..., Any], eventually: Any) -> None:
    client = Client()
    client.start()
    eventually(lambda: client.snapshot.helper is Helper.ABSENT)
    assistant = Assistant(client)
    assistant.show()
    assert "not installed" in said(assistant)
    assert not assistant.next_button.isEnabled()
    start("forms.py")
    eventually(lambda: assistant.providers.list.topLevelItemCount() > 10)
    assert "not installed" not in said(assistant)
    assistant.deleteLater()
    client.deleteLater()


def test_link_removed_by_somebody_else(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["account-disabled"])
    fill_in(assistant)
    eventually(lambda: assistant.attempt.edit_button.isVisible())
    eventually(lambda: assistant.next_button.isEnabled())
    forms.do("remove", name=GOLDEN)
    eventually(lambda: "does not exist any more" in said(assistant))
    assert not assistant.attempt.edit_button.isVisible()


def test_refused_later_is_told_and_mended(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("outcome", member="SetPassword", error="org.cablecar1.Error.StorageFailed", text="The disk is full.")
    fill_in(assistant)
    eventually(lambda: "The disk is full." in said(assistant))
    forms.do("outcome", member="SetPassword")
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert done(forms) == ["AddLink", "SetPassword", "SetPassword", "Connect"]


def own(assistant: Assistant) -> None:
    choose(assistant, "no provider is called so")
    for key, text in (("server", "vpn.example.net"), ("user", "me"), ("password", "secret")):
        type_into(edit(assistant, key), text)


def choose_protocol(assistant: Assistant, protocol: str) -> None:
    box = choice(assistant, "protocol").box
    box.setCurrentIndex(box.findData(protocol))


def test_one_protocol_is_tried_after_the_other(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["server-refused", "no-concentrator", "server-refused", "up"])
    own(assistant)
    click(assistant.next_button)
    for protocol, server, ended in (
        ("pppoe", "", "No PPPoE server answers"),
        ("pptp", "vpn.example.net", "does not accept the call"),
        ("l2tp", "vpn.example.net", "You are on the Internet."),
    ):
        eventually(lambda: assistant.attempt.isVisible() and assistant.back_button.isEnabled())
        click(assistant.back_button)
        choose_protocol(assistant, protocol)
        assert edit(assistant, "server").text() == server
        click(assistant.next_button)
        eventually(lambda ended=ended: ended in said(assistant))
        stored = forms.do("stored", name="vpn_example_net")
        assert (stored.get("protocol", "pptp"), stored["server"]) == (protocol, server)


def test_a_concentrators_name_and_a_servers_are_not_taken_for_each_other(assistant: Assistant) -> None:
    own(assistant)
    choose_protocol(assistant, "pppoe")
    type_into(edit(assistant, "server"), "ac-1")
    for protocol, server in (("l2tp", "vpn.example.net"), ("pptp", "vpn.example.net"), ("pppoe", "ac-1")):
        choose_protocol(assistant, protocol)
        assert edit(assistant, "server").text() == server
    click(assistant.back_button)
    choose(assistant, "beeline")
    choose_protocol(assistant, "pptp")
    assert edit(assistant, "server").text() not in ("", "vpn.example.net", "ac-1")


def test_an_interface_that_is_not_asked_for_is_not_sent(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("answer_by_pppoe", concentrators=[{"interface": "eth0", "concentrator": "ac-1"}])
    forms.do("plan", ends=["no-concentrator", "up"])
    own(assistant)
    choose_protocol(assistant, "pppoe")
    eventually(lambda: edit(assistant, "interface").text() == "eth0")
    click(assistant.next_button)
    eventually(lambda: assistant.attempt.mend_button.isVisible())
    assert forms.do("stored", name="link")["interface"] == "eth0"
    click(assistant.back_button)
    choose_protocol(assistant, "pptp")
    assert assistant.account.values()["interface"] == ""
    assistant.account.show_concentrators([Concentrator("eth0", "ac-1")])  # an answer that comes late
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert "interface" not in forms.do("stored", name="link")


def test_an_interface_out_of_all_settings_stays(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["authentication-failed", "up"])
    fill_in(assistant)
    eventually(lambda: assistant.attempt.mend_button.isVisible())
    assistant.account.show_stored(forms.do("stored", name=GOLDEN) | {"interface": "eth1"})
    assert assistant.account.values()["interface"] == "eth1"


def test_whichever_answers_is_on_whichever_cable(newer: Assistant, forms: Any, eventually: Any) -> None:
    shown = newer.account.concentrators
    both = [{"interface": name, "concentrator": f"ac-{name}"} for name in ("eth1", "eth2")]
    for found, whichever in ((both, ""), (both[1:], "eth2")):
        eventually(shown.again.isEnabled)
        forms.do("answer_by_pppoe", concentrators=found)
        click(shown.again)
        eventually(lambda found=found: shown.box.count() == 1 + len(found))
        shown.box.setFocus()
        press(Qt.Key.Key_End)
        assert (edit(newer, "server").text(), edit(newer, "interface").text()) == ("ac-eth2", "eth2")
        press(Qt.Key.Key_Home)
        assert (edit(newer, "server").text(), edit(newer, "interface").text()) == ("", whichever)


def test_where_nobody_answers_a_vlan_may_be_why(newer: Assistant, eventually: Any) -> None:
    eventually(lambda: "Nobody answers by PPPoE" in said(newer))
    assert "VLAN" in said(newer.account.concentrators)


@pytest.mark.parametrize("reason", ["server-refused", "server-unreachable", "l2tp-no-answer"])
def test_another_protocol_is_offered(assistant: Assistant, forms: Any, eventually: Any, reason: str) -> None:
    forms.do("plan", ends=[reason, "up"])
    own(assistant)
    click(assistant.next_button)
    eventually(lambda: assistant.attempt.mend_button.isVisible())
    assert bare(assistant.attempt.mend_button.text()) == "Correct the server…"
    click(next(each for each in assistant.findChildren(QPushButton) if "another protocol" in bare(each.text())))
    assert choice(assistant, "protocol").box.hasFocus()
    choose_protocol(assistant, "l2tp")
    click(assistant.next_button)
    eventually(lambda: is_connected(assistant))
    assert forms.do("stored", name="vpn_example_net")["protocol"] == "l2tp"


def test_no_other_protocol_is_offered_where_the_provider_has_none(
    assistant: Assistant, forms: Any, eventually: Any
) -> None:
    forms.do("plan", ends=["server-refused"])
    fill_in(assistant)
    eventually(lambda: assistant.attempt.mend_button.isVisible())
    assert not any(
        "another protocol" in each.text() for each in assistant.findChildren(QPushButton) if each.isVisible()
    )


def test_a_tunnel_that_wants_a_secret_is_given_it(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["not-admitted", "server-refused", "up"])
    own(assistant)
    choose_protocol(assistant, "l2tp")
    click(assistant.next_button)
    eventually(lambda: assistant.attempt.mend_button.isVisible())
    click(next(each for each in assistant.findChildren(QPushButton) if "tunnel's secret" in bare(each.text())))
    assert edit(assistant, "tunnel_secret").hasFocus()
    assert edit(assistant, "tunnel_secret").echoMode() is QLineEdit.EchoMode.Password
    KEYS.keyClicks(QApplication.focusWidget(), "s3cret!")
    for protocol, ended, secrets in (
        ("l2tp", "does not accept the call", ["s3cret!"]),
        ("pptp", "You are on the Internet.", ["s3cret!"]),
    ):
        choose_protocol(assistant, protocol)
        click(assistant.next_button)
        eventually(lambda ended=ended: ended in said(assistant))
        forms.do("catch-up")
        assert [call["body"][0] for call in forms.seen("call", member="SetTunnelSecret")] == secrets
        if protocol == "l2tp":
            assert forms.do("stored", name="vpn_example_net")["tunnel_secret"] == "s3cret!"
            eventually(assistant.back_button.isEnabled)
            click(assistant.back_button)
    assert "tunnel_secret" not in forms.do("stored", name="vpn_example_net")


def test_a_tunnels_secret_that_went_with_its_protocol_is_given_again(
    assistant: Assistant, forms: Any, eventually: Any
) -> None:
    forms.do("plan", ends=["server-refused", "server-refused", "up"])
    own(assistant)
    choose_protocol(assistant, "l2tp")
    type_into(edit(assistant, "tunnel_secret"), "s3cret!")
    for protocol, ended in (("l2tp", "not accept"), ("pptp", "not accept"), ("l2tp", "You are on the Internet.")):
        choose_protocol(assistant, protocol)
        click(assistant.next_button)
        eventually(lambda: assistant.attempt.isVisible() and not assistant.account.isVisible())
        eventually(lambda ended=ended: ended in said(assistant))
        if ended == "not accept":
            eventually(assistant.back_button.isEnabled)
            click(assistant.back_button)
    assert forms.do("stored", name="vpn_example_net")["tunnel_secret"] == "s3cret!"
    assert done(forms).count("SetTunnelSecret") == 2 and done(forms).count("SetPassword") == 1


def test_no_secret_is_asked_for_where_the_protocol_has_none(assistant: Assistant, forms: Any, eventually: Any) -> None:
    forms.do("plan", ends=["not-admitted"])
    fill_in(assistant)
    eventually(lambda: assistant.attempt.mend_button.isVisible())
    assert "secret" not in " ".join(each.text() for each in assistant.findChildren(QPushButton) if each.isVisible())
