"""The assistant for a new link: which provider, who you are there, and at once a call to see that it works.

Owns the way through its pages and the one link that it makes; the helper judges, stores and dials. All text is plain.
"""

import re
import unicodedata
from collections.abc import Callable, Container, Iterable
from itertools import count
from typing import Any, Final

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QDialog, QHBoxLayout, QMessageBox, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from cablecar.applet import labels, windowsize, words
from cablecar.applet.account import Account
from cablecar.applet.attempt import Attempt
from cablecar.applet.client import BAD_REPLY, Client
from cablecar.applet.fields import SECRETS, question
from cablecar.applet.i18n import _, said
from cablecar.applet.model import (
    BAD,
    CallError,
    Concentrator,
    Finding,
    Helper,
    Link,
    Provider,
    Snapshot,
    Verb,
    link_name,
    parse_settings,
)
from cablecar.applet.presets import OWN
from cablecar.applet.providers import Providers
from cablecar.applet.questions import Checker, Offers, Reading
from cablecar.applet.wire import variant_dict
from cablecar.helper import names, reasons

_ENOUGH_NAMES: Final = 20
_REASON_OF_ERROR: Final = {names.ERROR_PREFIX + reason.error: reason.id for reason in reasons.ALL}
_NO_ANSWER: Final = frozenset(f"org.freedesktop.DBus.Error.{name}" for name in ("NoReply", "Timeout", "TimedOut"))
_TAKEN: Final = frozenset({names.ERROR_PREFIX + "LinkExists", names.ERROR_PREFIX + "PeerFileExists"})


def derive_name(wishes: Iterable[str], taken: Container[str]) -> str:
    """Return a link's name made of the first wish that has usable letters, and that nobody has yet."""
    stem = next((slug for wish in wishes if (slug := _slug(wish))), "link")
    for number in count(1):
        end = "" if number == 1 else f"_{number}"
        if (name := stem[: 31 - len(end)].rstrip("_") + end) not in taken:
            return name
    raise AssertionError


def _slug(text: str) -> str:
    letters = unicodedata.normalize("NFKD", re.sub(r"\(.*?\)", "", text)).encode("ascii", "ignore").decode().lower()
    slug = re.sub("[^a-z0-9]+", "_", letters).strip("_")
    return slug if not slug or slug[0].isalpha() else f"isp_{slug}"


class Assistant(QDialog):
    """Makes a link, step by step, and calls with it.

    Signals:
        edits: With the link's path, when all its settings are asked for.
    """

    edits = pyqtSignal(str)

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._path = ""  # of the link, when there is one
        self._stored: dict[str, Any] = {}
        self._stored_secrets: dict[str, str] = {}
        self._refused_names: set[str] = set()
        self._wanted: tuple[str, set[str]] | None = None  # the name asked for, and the links that there were then
        self._all_faults = self._asked_to_go = False
        self._storing = self._calling = False
        self._was_there = False  # the link has been seen
        self._is_done = False  # the link is up, and nothing is left but to finish
        self._not_taken_over = ""
        self._error: CallError | None = None
        offers = Offers(client, self)
        self.providers, self.account = Providers(offers), Account(offers)
        self.attempt = Attempt(self.account.asks_for)
        self._build()
        self._checker = Checker(client, self.account.values, self)
        self._checker.checked.connect(self._checked)
        presets = Reading(client, names.MANAGER_PATH, "Providers", "aa{sv}", self)
        presets.answered.connect(self._providers_arrived)
        peers = Reading(client, names.MANAGER_PATH, "ListPeers", "as", self)
        peers.answered.connect(self._peers_arrived)
        search = Reading(client, names.MANAGER_PATH, "Discover", "aa{sv}", self)
        search.answered.connect(lambda answer: self.account.show_concentrators(Concentrator.parse_all(answer)))
        search.refused.connect(lambda _error: self.account.concentrators.show_failure())
        self.account.concentrators.wanted.connect(search.ask)
        self.providers.chosen.connect(self._enable)
        self.providers.activated.connect(self._next)
        self.providers.taken_over.connect(self._take_over)
        self.account.changed.connect(self._typed)
        self.attempt.mend.connect(self._mend)
        self.attempt.edit.connect(lambda: self.edits.emit(self._path))
        client.changed.connect(self._follow)
        client.answered.connect(self._call_answered)
        client.refused.connect(self._call_refused)
        presets.ask()
        peers.ask()
        self._turn_to(self.providers)
        self._follow(client.snapshot)
        self.providers.search.setFocus()

    @property
    def path(self) -> str:
        """The link that was made, empty before."""
        return self._path

    def reject(self) -> None:
        """Close; a link that does not work yet is asked about first."""
        link = self._link
        if self._storing and not self._path:
            self.hide()  # shown again with the question when there is a link after all
        elif self._path and (link is None or link.state != names.UP):
            title = self.account.fields["title"].value() if link is None else link.title
            question(
                self,
                _("The link “{title}” is stored but does not work yet.").format(title=title),
                [
                    (_("&Remove it"), self._remove),
                    (_("&Keep it for later"), lambda: self.done(QDialog.DialogCode.Rejected)),
                    (_("&Go on"), None),
                ],
                default=2,
            )
        else:
            super().reject()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """As `reject`; whoever is only hidden must not count as closed, and be deleted."""
        if event is not None and self._storing and not self._path:
            event.ignore()
            self.hide()
        else:
            super().closeEvent(event)

    @property
    def _link(self) -> Link | None:
        return self._client.snapshot.link(self._path) if self._path else None

    def _build(self) -> None:
        self.setWindowTitle(_("Cablecar: new link"))
        self._heading = labels.plain(bold=True)
        font = self._heading.font()
        font.setPointSizeF(1.2 * font.pointSizeF())
        self._heading.setFont(font)
        self._pages = QStackedWidget()
        for page in (self.providers, self.account, self.attempt):
            self._pages.addWidget(page)
        self.cancel_button, self.back_button, self.next_button = (QPushButton() for _each in range(3))
        self.cancel_button.setText(_("C&ancel"))
        self.back_button.setText(_("&Back"))
        self.cancel_button.clicked.connect(self.reject)
        self.back_button.clicked.connect(self._back)
        self.next_button.clicked.connect(self._next)
        buttons = QHBoxLayout()
        buttons.addWidget(self.cancel_button)
        buttons.addStretch(1)
        buttons.addWidget(self.back_button)
        buttons.addWidget(self.next_button)
        rows = QVBoxLayout(self)
        rows.addWidget(self._heading)
        rows.addWidget(self._pages, 1)
        rows.addLayout(buttons)
        self.next_button.setDefault(True)  # only in its window does a button become that window's
        windowsize.fit(self, 42, 38)

    def _turn_to(self, page: QWidget) -> None:
        self._pages.setCurrentWidget(page)
        self._heading.setText(
            {
                self.providers: _("New link: the provider"),
                self.account: _("New link: your account"),
                self.attempt: _("New link: the first call"),
            }[page]
        )
        self._enable()

    def _enable(self) -> None:
        page, link = self._pages.currentWidget(), self._link
        busy = self._storing or self._calling
        is_up = link is not None and link.state == names.UP
        running = self._client.snapshot.helper is Helper.RUNNING
        self.back_button.setVisible(page is not self.providers and not is_up)
        self.back_button.setEnabled(not busy and not (page is self.account and self._path))
        self.cancel_button.setVisible(not (page is self.attempt and is_up))
        self.next_button.setVisible(not (page is self.attempt and busy))
        self.providers.take_over.setEnabled(running and not busy)
        if page is self.providers:
            self.next_button.setText(_("&Next"))
            self.next_button.setEnabled(running and self.providers.provider is not None)
        elif page is self.account:
            self.next_button.setText(_("&Connect"))
            self.next_button.setEnabled(running and not busy)
        else:
            self.next_button.setText(_("&Finish") if is_up else _("&Try again"))
            self.next_button.setEnabled(is_up or (running and not busy))
        if page is not self.attempt or not self.attempt.message.text:
            self.next_button.setAccessibleDescription("")
        was_done, self._is_done = self._is_done, page is self.attempt and is_up and not busy
        if self._is_done and not was_done:
            self.next_button.setFocus()

    def _providers_arrived(self, answer: object) -> None:
        self.providers.show_providers(Provider.parse_all(answer))

    def _peers_arrived(self, answer: list[str]) -> None:
        self.providers.show_peers(answer)
        if answer and not self.providers.search.text():
            self.providers.take_over.setFocus()

    def _next(self) -> None:
        page = self._pages.currentWidget()
        if not self.next_button.isEnabled():
            return
        if page is self.providers:
            provider = self.providers.provider
            self.account.start_with(provider if provider is not None else OWN)
            self._turn_to(self.account)
            self.account.go_to_first()
        elif page is self.account:
            self._go()
        elif (link := self._link) is not None and link.state == names.UP:
            self.done(QDialog.DialogCode.Accepted)
        else:
            self._store()

    def _back(self) -> None:
        if self._pages.currentWidget() is self.attempt:
            self._mend("user")
        else:
            self._turn_to(self.providers)
            self.providers.list.setFocus()

    def _mend(self, key: str) -> None:
        self._turn_to(self.account)
        self._all_faults = False
        self.account.go_to(key)
        if key == "password":
            self.account.fields["password"].set_error(self.attempt.message.text)

    def _typed(self) -> None:
        if self._pages.currentWidget() is self.account:
            self._checker.later()
            self._enable()

    def _go(self) -> None:
        """Store the link and call, as soon as the helper has nothing against what was typed."""
        self._all_faults = self._asked_to_go = True
        self.account.fields["password"].set_error("")
        self._checker.later()

    def _checked(self, faults: dict[str, str] | None) -> None:
        go, self._asked_to_go = self._asked_to_go, False
        self.account.show_faults(faults or {}, all_of_them=self._all_faults)
        if not go or self._pages.currentWidget() is not self.account:
            return
        if not self.account.secret("password") and not self._path:
            self.account.fields["password"].set_error(_("Type the password."))
        if wrong := self.account.wrong:
            self.account.go_to(wrong)
        elif not self.account.message.text:
            self._store()

    def _store(self) -> None:
        """Give the helper what it does not have yet; then call."""
        self._turn_to(self.attempt)
        self._error = None
        self._storing = True
        self._follow(self._client.snapshot)
        if not self._path:
            self._add()
            return
        values = self.account.values()
        changes = {key: value for key, value in values.items() if value != self._stored.get(key)}
        if "protocol" in changes:
            changes = values  # with another protocol the helper drops what the old one had, such as the server
        if changes:
            self._ask("Update", variant_dict(changes), lambda: self._updated(values))
        else:
            self._store_secrets()

    def _updated(self, values: dict[str, Any]) -> None:
        if values["protocol"] != self._stored.get("protocol"):
            self._stored_secrets.pop("tunnel_secret", None)  # went with the protocol, if there was one
        self._stored = values
        self._store_secrets()

    def _add(self) -> None:
        values, before = self.account.values(), {link.name for link in self._client.snapshot.links}
        if self._wanted is not None and self._wanted[0] in before - self._wanted[1]:
            self._added(self._wanted[0], {})  # the answer was lost, and the link is there
            return
        name = derive_name((values["title"], values["server"]), before | self._refused_names)
        self._wanted = (name, before)

        def done(result: list[Any] | CallError) -> None:
            if not isinstance(result, CallError):
                self._added(name, values)
            elif result.name in _TAKEN and len(self._refused_names) < _ENOUGH_NAMES:
                self._refused_names.add(name)
                self._add()
            else:
                self._failed(result)

        sent = {key: value for key, value in values.items() if value != ""}
        arguments = [name, variant_dict(sent)]
        self._client.ask(names.MANAGER_PATH, names.MANAGER_INTERFACE, "AddLink", arguments, "o", done, clicked=True)

    def _added(self, name: str, values: dict[str, Any]) -> None:
        self._path = names.link_path(name)
        if self.isVisible():
            self._stored = dict(values)
            self._store_secrets()
        else:
            self._storing = False
            self.show()
            self._follow(self._client.snapshot)
            self.reject()

    def _store_secrets(self) -> None:
        """Give the helper one secret after the other that it does not have yet; then call."""
        typed = {key: self.account.secret(key) for key in SECRETS}
        key = next((key for key, secret in typed.items() if secret not in ("", self._stored_secrets.get(key))), None)
        if key is None:
            self._call()
            return

        def stored() -> None:
            self._stored_secrets[key] = typed[key]
            self._store_secrets()

        self._ask(SECRETS[key], typed[key], stored)

    def _ask(self, member: str, value: object, then: Callable[[], None]) -> None:
        def done(result: list[Any] | CallError) -> None:
            if isinstance(result, CallError):
                self._failed(result)
            else:
                then()

        self._client.ask(self._path, names.LINK_INTERFACE, member, [value], "", done, clicked=True)

    def _call(self) -> None:
        self._storing, self._calling = False, True
        link = self._link
        waits = link is not None and link.state in (names.WAITING, names.DIALING, names.UP)
        self._client.act(self._path, Verb.RECONNECT if waits else Verb.CONNECT)
        self._follow(self._client.snapshot)

    def _call_answered(self, path: str) -> None:
        if path == self._path:
            self._calling = False
            self._follow(self._client.snapshot)

    def _call_refused(self, path: str, error: CallError) -> None:
        if path == self._path and self._calling:
            self._failed(error)
            if error.name in _NO_ANSWER:
                self._error = None  # the wish goes on without this call: the link's state says how
                self._follow(self._client.snapshot)

    def _failed(self, error: CallError) -> None:
        self._storing = self._calling = False
        if not self.isVisible() and not self._path:
            self.deleteLater()  # it was closed meanwhile
            return
        self._error = error
        self._follow(self._client.snapshot)
        self._focus_on_cure()

    def _focus_on_cure(self) -> None:
        if self._pages.currentWidget() is self.attempt:
            button = self.next_button if self.attempt.mend_button.isHidden() else self.attempt.mend_button
            button.setAccessibleDescription(self.attempt.message.text)
            button.setFocus()

    def _take_over(self, peer: str) -> None:
        self._not_taken_over = ""
        self._turn_to(self.attempt)
        self._storing = True
        self._follow(self._client.snapshot)

        def done(result: list[Any] | CallError) -> None:
            name = None if isinstance(result, CallError) else link_name(result[0])
            if name is not None:
                self._taken_over(name)
                return
            self._storing = False
            error = result if isinstance(result, CallError) else BAD_REPLY
            if not self.isVisible():
                self.deleteLater()  # it was closed meanwhile
                return
            self._not_taken_over = _said(error, is_stored=False)
            self._turn_to(self.providers)
            self._follow(self._client.snapshot)

        self._client.ask(names.MANAGER_PATH, names.MANAGER_INTERFACE, "ImportPeer", [peer], "o", done, clicked=True)

    def _taken_over(self, name: str) -> None:
        self._path = names.link_path(name)
        remarks = _("What could not be taken over stands at the head of {file}.").format(
            file=f"/etc/cablecar/links/{name}.toml"
        )
        self.attempt.show_remarks(remarks)
        self.read_back()
        diagnosis = Reading(self._client, names.MANAGER_PATH, "Diagnose", "aa{sv}", self)
        diagnosis.answered.connect(lambda findings: self.attempt.show_remarks(_remarks(remarks, findings)))
        diagnosis.ask(name)
        if self.isVisible():
            self._call()
        else:
            self._added(name, {})

    def read_back(self) -> None:
        """Show what the link's settings have become."""
        if self._path:
            settings = Reading(self._client, self._path, "Settings", "a{sv}", self)
            settings.answered.connect(self._settings_arrived)
            settings.ask()

    def _settings_arrived(self, answer: object) -> None:
        settings = parse_settings(answer)
        self.account.show_stored(settings)
        self._stored = {key: settings.get(key) for key in self.account.values()}

    def _remove(self) -> None:
        def removed(result: list[Any] | CallError) -> None:
            if isinstance(result, CallError):
                self._failed(result)
            else:
                self.done(QDialog.DialogCode.Rejected)

        name = link_name(self._path)
        self._client.ask(names.MANAGER_PATH, names.MANAGER_INTERFACE, "RemoveLink", [name], "", removed, clicked=True)

    def _follow(self, snapshot: Snapshot) -> None:
        link, lost = self._link, words.helper(snapshot)
        if link is not None and link.state == names.UP and self._pages.currentWidget() is self.account:
            self._turn_to(self.attempt)  # the helper has gone on trying, and there is nothing to mend
        if link is not None and link.state == names.UP and (box := self.findChild(QMessageBox)) is not None:
            box.reject()  # it asks about a link that does not work, and offers to remove it
        self._was_there = self._was_there or link is not None
        if link is not None and link.state in (names.DIALING, names.UP):
            self._error = None
        self.providers.message.say(lost or self._not_taken_over)
        if self._pages.currentWidget() is self.attempt:
            self._show_attempt(link, lost)
        self._enable()

    def _show_attempt(self, link: Link | None, lost: str) -> None:
        if lost:
            self.attempt.show_trouble(lost, "", is_stored=False)
        elif self._was_there and link is None:
            self._path, self._stored, self._stored_secrets, self._was_there = "", {}, {}, False
            self.attempt.show_trouble(_("The link does not exist any more."), "", is_stored=False)
        elif self._storing:
            self.attempt.show_step("")
        elif link is not None and link.state == names.UP:
            self.attempt.show_step(names.UP)
        elif link is not None and link.state == names.DIALING:
            self.attempt.show_step(link.phase)
        elif self._calling:
            self.attempt.show_stored()
        elif self._error is not None:
            reason_id = _REASON_OF_ERROR.get(self._error.name, "")
            is_stored = link is not None
            self.attempt.show_trouble(_said(self._error, is_stored=is_stored), reason_id, is_stored=is_stored)
        elif link is not None:
            self.attempt.show_trouble(words.detail(link) or words.state(link), link.reason, is_stored=True)


def _said(error: CallError, *, is_stored: bool) -> str:
    if not words.is_declined(error):
        return words.error(error)
    return _("The password was not stored.") if is_stored else _("Nothing was done.")


def _remarks(remarks: str, findings: object) -> str:
    rivals = [finding for finding in Finding.parse_all(findings) if finding.id == "double-dialers"]
    return "\n".join(
        [remarks, *(f"{said(rival.seen)} {said(rival.advice)}" for rival in rivals if rival.verdict == BAD)]
    )
