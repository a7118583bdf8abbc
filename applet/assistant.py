"""The assistant for a new link: which provider, who you are there, and at once a call to see that it works.

Owns the way through its pages and the one link that it makes; the helper judges, stores and dials. All text is plain.
"""

import re
import unicodedata
from collections.abc import Callable, Container, Iterable
from itertools import count
from typing import Any, Final

from PyQt6.QtCore import QLocale, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QFontMetrics
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QStackedWidget,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from cablecar.applet import figures, pictures, words
from cablecar.applet.client import BAD_REPLY, Client
from cablecar.applet.fields import (
    PPTP_IS_WEAK,
    PROTOCOLS,
    ChoiceField,
    Field,
    FlagField,
    Message,
    Page,
    PasswordField,
    TextField,
    plain_label,
    question,
)
from cablecar.applet.i18n import _
from cablecar.applet.model import (
    BAD,
    CallError,
    Finding,
    Helper,
    Link,
    Provider,
    Snapshot,
    Verb,
    clean,
    link_name,
    parse_settings,
)
from cablecar.applet.questions import Checker, Offers, Reading
from cablecar.applet.wire import variant_dict
from cablecar.helper import names, reasons

OWN: Final = Provider("", _("My provider is not in the list"))

_COUNTRIES: Final = {
    "AT": _("Austria"),
    "CA": _("Canada"),
    "IL": _("Israel"),
    "MT": _("Malta"),
    "NL": _("Netherlands"),
    "RU": _("Russia"),
}
_FROM_NETWORKMANAGER: Final = "nm:"
_ENOUGH_NAMES: Final = 20

# What a person can mend in the assistant: after which reason, which field.
_MENDED_IN: Final = {
    **dict.fromkeys(
        (reasons.AUTHENTICATION_FAILED.id, reasons.NO_PASSWORD.id, reasons.PASSWORD_EXPIRED.id), "password"
    ),
    **dict.fromkeys(
        (
            reasons.SERVER_NOT_FOUND.id,
            reasons.SERVER_UNREACHABLE.id,
            reasons.SERVER_REFUSED.id,
            reasons.SERVER_NOT_GENUINE.id,
            reasons.NOT_ADMITTED.id,
            reasons.NO_CONCENTRATOR.id,
        ),
        "server",
    ),
}
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


class Providers(QWidget):
    """The first page: one of the presets, or none; before them, what this machine has already.

    Signals:
        chosen: Another provider is chosen (see `provider`).
        activated: It is chosen by a double click.
        taken_over: With what ListPeers called it.
    """

    chosen = pyqtSignal()
    activated = pyqtSignal()
    taken_over = pyqtSignal(str)

    def __init__(self, offers: Offers) -> None:
        super().__init__()
        self._offers = offers
        self._providers: dict[str, Provider] = {}
        self.message = Message()
        self.found = self._found()
        self.search = QLineEdit()
        self.search.setPlaceholderText(_("Search: name or city"))
        self.search.setAccessibleName(_("Search"))
        self.search.setClearButtonEnabled(True)
        self.country = QComboBox()
        self.country.setAccessibleName(_("Country"))
        self.list = self._list()
        self.about = _text_box(_("What is known about this provider"))
        self.about.setPlaceholderText(_("Choose your provider, to see what is known about it."))
        filters = QHBoxLayout()
        filters.addWidget(self.search, 2)
        filters.addWidget(self.country, 1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        for part in (self.message, self.found):
            rows.addWidget(part)
        rows.addWidget(plain_label(_("Who is your provider?")))
        rows.addLayout(filters)
        rows.addWidget(self.list, 1)
        rows.addWidget(self.about)
        self.search.textChanged.connect(self._search)
        self.country.currentIndexChanged.connect(self._filter)
        self.list.currentItemChanged.connect(self._tell)
        self.list.itemDoubleClicked.connect(self._activate)
        offers.changed.connect(self._fill)
        self.show_providers(())

    @property
    def provider(self) -> Provider | None:
        """Which one is chosen; OWN for none of them."""
        current = self._current
        return current if current is not None and (current is OWN or self._is_usable(current)) else None

    @property
    def _current(self) -> Provider | None:
        item = self.list.currentItem()
        if item is None or item.isHidden():
            return None
        return self._providers.get(item.data(0, Qt.ItemDataRole.UserRole), OWN)

    def _is_usable(self, provider: Provider) -> bool:
        return any(self._offers.takes("protocol", protocol) for protocol in provider.protocols)

    def show_providers(self, providers: Iterable[Provider]) -> None:
        """Show the presets."""
        self._providers = {provider.id: provider for provider in providers}
        countries = sorted(
            {provider.country for provider in self._providers.values() if provider.country}, key=_country
        )
        self.country.clear()
        self.country.addItem(_("All countries"), "")
        for code in countries:
            self.country.addItem(_country(code), code)
        here = QLocale.system().name().partition("_")[2]
        self.country.setCurrentIndex(max(0, self.country.findData(here)))
        self._fill()

    def show_peers(self, peers: Iterable[str]) -> None:
        """Offer what was set up by hand on this machine."""
        self.peers.clear()
        for peer in peers:
            self.peers.addItem(_peer(peer), peer)
        self.found.setVisible(self.peers.count() > 0)
        self.peers.setVisible(self.peers.count() > 1)
        one = self.peers.itemText(0) if self.peers.count() == 1 else ""
        self._found_text.setText(_("Found on this machine: {name}").format(name=one) if one else _("Found here:"))

    def _found(self) -> QWidget:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        self._found_text = plain_label()
        self.peers = QComboBox()
        self.peers.setAccessibleName(_("Found on this machine"))
        self.take_over = QPushButton(_("Take it over"))
        self.take_over.setAutoDefault(True)
        self.take_over.clicked.connect(lambda: self.taken_over.emit(str(self.peers.currentData())))
        row.addWidget(self._found_text, 1)
        row.addWidget(self.peers, 1)
        row.addWidget(self.take_over)
        box.hide()
        return box

    def _list(self) -> QTreeWidget:
        made = QTreeWidget()
        made.setRootIsDecorated(False)
        made.setUniformRowHeights(True)
        made.setAlternatingRowColors(True)
        made.setAllColumnsShowFocus(True)
        made.setTabKeyNavigation(False)
        made.setAccessibleName(_("Providers"))
        made.setHeaderLabels([_("Provider"), _("Region"), _("Country"), _("Protocols")])
        header = made.header()
        assert header is not None
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Interactive)
        header.resizeSection(1, 9 * QFontMetrics(self.font()).height())
        return made

    def _fill(self) -> None:
        before = self._current
        self.list.clear()
        for provider in (OWN, *sorted(self._providers.values(), key=lambda each: each.title.casefold())):
            item = self._item(provider)
            self.list.addTopLevelItem(item)
            if before is not None and provider.id == before.id:
                self.list.setCurrentItem(item)
        self._filter()

    def _item(self, provider: Provider) -> QTreeWidgetItem:
        protocols = " ".join(PROTOCOLS.get(protocol, protocol) for protocol in provider.protocols)
        item = QTreeWidgetItem(
            [figures.isolated(provider.title), figures.isolated(provider.region), _country(provider.country), protocols]
        )
        item.setData(0, Qt.ItemDataRole.UserRole, provider.id)
        if provider is OWN:
            font = item.font(0)
            font.setBold(True)
            item.setFont(0, font)
        return item

    def _filter(self) -> None:
        wanted, country = self.search.text().casefold().split(), self.country.currentData()
        for index in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(index)
            provider = self._providers.get(item.data(0, Qt.ItemDataRole.UserRole)) if item is not None else None
            if item is not None and provider is not None:
                text = f"{provider.title} {provider.region}".casefold()
                shown = all(word in text for word in wanted) and country in ("", provider.country)
                item.setHidden(not shown)
        self._tell()

    def _search(self, text: str) -> None:
        self._filter()
        if text.strip():
            items = [self.list.topLevelItem(index) for index in range(self.list.topLevelItemCount())]
            found = [item for item in items[1:] if item is not None and not item.isHidden()]
            self.list.setCurrentItem((found or items)[0])

    def _tell(self) -> None:
        provider, text = self._current, ""
        if provider is OWN:
            text = _("Have ready what the provider has told you: the server, your user name, your password.")
        elif provider is not None:
            text = _about(provider)
            if self.provider is None:
                text = "\n".join([_("This version of Cablecar has none of this provider's protocols."), text])
        self.about.setPlainText(text)
        self.chosen.emit()

    def _activate(self) -> None:
        if self.provider is not None:
            self.activated.emit()


def _text_box(name: str) -> QPlainTextEdit:
    box = QPlainTextEdit()
    box.setReadOnly(True)
    box.setTabChangesFocus(True)
    box.setAccessibleName(name)
    box.setFixedHeight(7 * QFontMetrics(box.font()).lineSpacing())
    document = box.document()
    assert document is not None
    option = document.defaultTextOption()
    # On one side, in whichever direction each line is written.
    option.setAlignment(plain_label().alignment() & Qt.AlignmentFlag.AlignHorizontal_Mask)
    document.setDefaultTextOption(option)
    return box


def _about(provider: Provider) -> str:
    lines = [_("Public knowledge, mostly old: check it with the provider."), provider.verify, provider.remarks]
    lines += [f"{PROTOCOLS.get(protocol, protocol)}: {server}" for protocol, server in provider.servers]
    lines += [f"{key}: {value}" for key, value in provider.others]
    lines += [_("Sources:"), *provider.sources]
    return "\n".join(filter(None, lines))


def _country(code: str) -> str:
    return _COUNTRIES.get(code, code)


def _peer(peer: str) -> str:
    name = clean(peer.removeprefix(_FROM_NETWORKMANAGER))
    return _("{name} (NetworkManager)").format(name=name) if peer.startswith(_FROM_NETWORKMANAGER) else name


def _phase(phase: str) -> str:
    return words.detail(Link("", "", "", names.DIALING, phase))


class Account(QWidget):
    """The second page: the server, who one is there, and how the link is called.

    Signals:
        changed: Something was typed.
    """

    changed = pyqtSignal()

    def __init__(self, offers: Offers) -> None:
        super().__init__()
        self._offers = offers
        self._provider = OWN
        self.message = Message()
        self.fields: dict[str, Field] = {
            "server": TextField(_("Server"), "", "vpn.example.net"),
            "protocol": ChoiceField(_("Protocol"), _("Ask the provider when you are not sure."), PROTOCOLS),
            "user": TextField(_("User name"), ""),
            "password": PasswordField(_("Password")),
            "title": TextField(_("Title"), _("What this link is called in the menu.")),
            "autoconnect": FlagField(_("Connect when the computer starts"), _("Even before anybody has logged in.")),
        }
        self._page = Page(self.fields.values())
        self._weakness = plain_label(PPTP_IS_WEAK)
        self._page.add(self._weakness)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.message)
        rows.addWidget(self._page, 1)
        for field in self.fields.values():
            field.changed.connect(self._changed)
        offers.changed.connect(self._offer)
        self._offer()

    def start_with(self, provider: Provider) -> None:
        """Ask for an account with this provider; what was typed for the same one before stays."""
        if provider == self._provider and self.fields["title"].value():
            return
        self._provider = provider
        self._offer()
        protocol = next((p for p in provider.protocols if self._offers.takes("protocol", p)), "pptp")
        self._field("protocol").set_value(protocol)
        server = provider.server(protocol)
        self.fields["server"].touched = False
        self.fields["server"].set_value("" if "{" in server else server)
        self.fields["server"].explain(
            _("As published for {title}; check it with the provider.").format(title=provider.title)
            if server
            else _("Ask the provider for it: a name or an IPv4 address.")
        )
        example = (provider.login or "{user}").replace("{user}", _("customer")).replace("{domain}", _("domain"))
        self._text("user").edit.setPlaceholderText(example if provider.login else "customer@C012")
        self.fields["user"].explain(
            _("This provider's customers write it like {example}.").format(example=example)
            if provider.login
            else _("With its suffix, when the provider has given you one.")
        )
        self.fields["title"].set_value(provider.title if provider is not OWN else "")

    def show_stored(self, settings: dict[str, Any]) -> None:
        """Show the settings of a link that exists."""
        for key, field in self.fields.items():
            if key in settings:
                field.touched = True  # nothing is to be filled in any more
                field.set_value(settings[key])

    def values(self) -> dict[str, Any]:
        """Return the settings; what the preset knows beside them is filled in by the helper."""
        values = {key: field.value() for key, field in self.fields.items() if key != "password"}
        return values | ({"provider": self._provider.id} if self._provider.id else {})

    @property
    def password(self) -> str:
        """What was typed as the password."""
        return str(self.fields["password"].value())

    def show_faults(self, faults: dict[str, str], *, all_of_them: bool) -> None:
        """Show what is wrong, of untouched fields only when everything is meant."""
        faults = dict(faults)
        for key, field in self.fields.items():
            fault = faults.pop(key, "")
            if key != "password":
                field.set_error(fault if all_of_them or field.touched else "")
        self.message.say(" ".join(faults.values()))

    def go_to(self, key: str) -> None:
        """Put the cursor into a field, ready for typing over what is there."""
        field = self.fields[key]
        field.control.setFocus(Qt.FocusReason.OtherFocusReason)
        if isinstance(field, TextField):
            field.edit.selectAll()
        self._page.ensureWidgetVisible(field)

    def go_to_first(self) -> None:
        """Put the cursor into the first field that still has to be typed."""
        self.go_to(next((key for key in ("server", "user", "password") if not self.fields[key].value()), "user"))

    @property
    def wrong(self) -> str:
        """The first field with an error; empty when there is none."""
        return next((key for key, field in self.fields.items() if field.error), "")

    def _field(self, key: str) -> ChoiceField:
        field = self.fields[key]
        assert isinstance(field, ChoiceField)
        return field

    def _text(self, key: str) -> TextField:
        field = self.fields[key]
        assert isinstance(field, TextField)
        return field

    def _offer(self) -> None:
        protocol = self._field("protocol")
        of_provider = {key: text for key, text in PROTOCOLS.items() if key in (self._provider.protocols or PROTOCOLS)}
        protocol.offer(self._offers.those("protocol", of_provider) or {"pptp": "PPTP"}, with_own=False)
        protocol.show_row(protocol.offered > 1)

    def _changed(self) -> None:
        protocol = str(self.fields["protocol"].value())
        published = self._provider.server(protocol)
        server = self.fields["server"]
        if published and not server.touched:
            # A name of its own for each customer: that of the account, without the suffix.
            customer = str(self.fields["user"].value()).partition("@")[0]
            server.set_value(published.replace("{user}", customer) if customer or "{" not in published else "")
        self._weakness.setVisible(protocol == "pptp")
        if self.sender() is self.fields["password"]:
            self.fields["password"].set_error("")
        self.changed.emit()


class Try(QWidget):
    """The third page: how the first call goes.

    Signals:
        mend: With the field to go back to.
        edit: All settings are asked for.
    """

    mend = pyqtSignal(str)
    edit = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._steps = [
            ("", plain_label(), plain_label(_("Storing the link; an administrator's password may be asked for"))),
            *((phase, plain_label(), plain_label(_phase(phase))) for phase in names.PHASES),
            (names.UP, plain_label(), plain_label(_("Connected"))),
        ]
        self.result = plain_label(bold=True)
        self.message = Message()
        self.remarks = _text_box(_("What was not taken over"))
        self.remarks.hide()
        self.mend_button = QPushButton()
        self.mend_button.clicked.connect(self._mend)
        self.edit_button = QPushButton(_("All settings of the link…"))
        self.edit_button.clicked.connect(self.edit)
        self._now = self._field = ""
        steps = QGridLayout()
        steps.setColumnStretch(1, 1)
        for row, (_name, mark, text) in enumerate(self._steps):
            steps.addWidget(mark, row, 0)
            steps.addWidget(text, row, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.mend_button)
        buttons.addWidget(self.edit_button)
        buttons.addStretch(1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addLayout(steps)
        rows.addWidget(self.result)
        rows.addWidget(self.message)
        rows.addLayout(buttons)
        rows.addWidget(self.remarks)
        rows.addStretch(1)

    def show_step(self, now: str) -> None:
        """Show that this step is being done: empty, a phase, or `up` when all is done."""
        self._now = now
        self._mark(now, "▸" if now != names.UP else "✓")
        self.result.setText(_("You are on the Internet.") if now == names.UP else _("Please wait…"))
        self.result.show()
        self.message.say("")
        self._field = ""
        self._show_buttons(in_trouble=False)

    def show_stored(self) -> None:
        """Show that the call begins; how far it got when it has ended, until it is said why."""
        if not self._now:
            self.show_step(names.PREPARING)

    def show_trouble(self, sentence: str, reason_id: str, *, is_stored: bool) -> None:
        """Show what went wrong, and offer what can be done about it."""
        for _name, mark, _text in self._steps:
            if mark.text() == "▸":
                mark.setText("✗")
        self.result.hide()
        self.message.say(sentence)
        self._field = _MENDED_IN.get(reason_id, "")
        self.mend_button.setText(
            _("Correct user name and password…") if self._field == "password" else _("Correct the server…")
        )
        self._show_buttons(in_trouble=is_stored)

    def show_remarks(self, text: str) -> None:
        """Show what is to be known of a link that was taken over."""
        self.remarks.setPlainText(text)
        self.remarks.setVisible(bool(text))

    def _mark(self, now: str, sign: str) -> None:
        place = next((index for index, (phase, *_rest) in enumerate(self._steps) if phase == now), 0)
        for index, (_name, mark, text) in enumerate(self._steps):
            mark.setText("✓" if index < place else sign if index == place else "•")
            text.setEnabled(index <= place)

    def _show_buttons(self, *, in_trouble: bool) -> None:
        self.mend_button.setVisible(in_trouble and bool(self._field))
        self.edit_button.setVisible(in_trouble)

    def _mend(self) -> None:
        self.mend.emit(self._field)


class Assistant(QDialog):
    """Makes a link, step by step, and calls with it."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._path = ""  # of the link, when there is one
        self._stored: dict[str, Any] = {}
        self._stored_password = ""
        self._refused_names: set[str] = set()
        self._wanted: tuple[str, set[str]] | None = None  # the name asked for, and the links that there were then
        self._all_faults = self._asked_to_go = False
        self._storing = self._calling = False
        self._was_there = False  # the link has been seen
        self._not_taken_over = ""
        self._error: CallError | None = None
        offers = Offers(client, self)
        self.providers, self.account, self.attempt = Providers(offers), Account(offers), Try()
        self._build()
        self._checker = Checker(client, self.account.values, self)
        self._checker.checked.connect(self._checked)
        presets = Reading(client, names.MANAGER_PATH, "Providers", "aa{sv}", self)
        presets.answered.connect(self._providers_arrived)
        peers = Reading(client, names.MANAGER_PATH, "ListPeers", "as", self)
        peers.answered.connect(self._peers_arrived)
        self.providers.chosen.connect(self._enable)
        self.providers.activated.connect(self._next)
        self.providers.taken_over.connect(self._take_over)
        self.account.changed.connect(self._typed)
        self.attempt.mend.connect(self._mend)
        self.attempt.edit.connect(self._edit)
        client.changed.connect(self._follow)
        client.answered.connect(self._call_answered)
        client.refused.connect(self._call_refused)
        presets.ask()
        peers.ask()
        self._turn_to(self.providers)
        self._follow(client.snapshot)
        self.providers.search.setFocus()

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
                    (_("Remove it"), self._remove),
                    (_("Keep it for later"), lambda: self.done(QDialog.DialogCode.Rejected)),
                    (_("Go on"), None),
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
        self.setWindowIcon(pictures.app())
        self._heading = plain_label(bold=True)
        font = self._heading.font()
        font.setPointSizeF(1.2 * font.pointSizeF())
        self._heading.setFont(font)
        self._pages = QStackedWidget()
        for page in (self.providers, self.account, self.attempt):
            self._pages.addWidget(page)
        self.cancel_button, self.back_button, self.next_button = (QPushButton() for _each in range(3))
        self.cancel_button.setText(_("Cancel"))
        self.back_button.setText(_("Back"))
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
        em = QFontMetrics(self.font()).height()
        self.resize(42 * em, 38 * em)

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
        self.providers.take_over.setEnabled(running and not busy)
        if page is self.providers:
            self.next_button.setText(_("Next"))
            self.next_button.setEnabled(running and self.providers.provider is not None)
        elif page is self.account:
            self.next_button.setText(_("Connect"))
            self.next_button.setEnabled(running and not busy)
        else:
            self.next_button.setText(_("Finish") if is_up else _("Try again"))
            self.next_button.setEnabled(is_up or (running and not busy))

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
        if not self.account.password and not self._path:
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
        changes = {key: value for key, value in self.account.values().items() if value != self._stored.get(key)}
        if changes:
            values = self.account.values()
            self._ask("Update", variant_dict(changes), lambda: self._store_password(values))
        else:
            self._store_password(self._stored)

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
            self._store_password(values)
        else:
            self._storing = False
            self.show()
            self._follow(self._client.snapshot)
            self.reject()

    def _store_password(self, values: dict[str, Any]) -> None:
        self._stored = dict(values)
        password = self.account.password
        if password and password != self._stored_password:
            self._ask("SetPassword", password, lambda: self._call(password))
        else:
            self._call(self._stored_password)

    def _ask(self, member: str, value: object, then: Callable[[], None]) -> None:
        def done(result: list[Any] | CallError) -> None:
            if isinstance(result, CallError):
                self._failed(result)
            else:
                then()

        self._client.ask(self._path, names.LINK_INTERFACE, member, [value], "", done, clicked=True)

    def _call(self, password: str) -> None:
        self._stored_password = password
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
            self._not_taken_over = _said(error)
            self._turn_to(self.providers)
            self._follow(self._client.snapshot)

        self._client.ask(names.MANAGER_PATH, names.MANAGER_INTERFACE, "ImportPeer", [peer], "o", done, clicked=True)

    def _taken_over(self, name: str) -> None:
        self._path = names.link_path(name)
        remarks = _("What could not be taken over stands at the head of {file}.").format(
            file=f"/etc/cablecar/links/{name}.toml"
        )
        self.attempt.show_remarks(remarks)
        self._read_back()
        diagnosis = Reading(self._client, names.MANAGER_PATH, "Diagnose", "aa{sv}", self)
        diagnosis.answered.connect(lambda findings: self.attempt.show_remarks(_remarks(remarks, findings)))
        diagnosis.ask(name)
        if self.isVisible():
            self._call("")
        else:
            self._added(name, {})

    def _read_back(self) -> None:
        if self._path:
            settings = Reading(self._client, self._path, "Settings", "a{sv}", self)
            settings.answered.connect(self._settings_arrived)
            settings.ask()

    def _settings_arrived(self, answer: object) -> None:
        settings = parse_settings(answer)
        self.account.show_stored(settings)
        self._stored = {key: settings.get(key) for key in self.account.values()}

    def _edit(self) -> None:
        from cablecar.applet.editor import Editor

        editor = Editor(self._client, self._path)
        editor.setParent(self, editor.windowFlags())
        editor.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        editor.finished.connect(self._read_back)
        editor.show()

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
            self._path, self._stored, self._stored_password, self._was_there = "", {}, "", False
            self.attempt.show_trouble(_("The link does not exist any more."), "", is_stored=False)
        elif self._storing:
            self.attempt.show_step("")
        elif link is not None and link.state == names.UP:
            self.attempt.show_step(names.UP)
            self.next_button.setFocus()
        elif link is not None and link.state == names.DIALING:
            self.attempt.show_step(link.phase)
        elif self._calling:
            self.attempt.show_stored()
        elif self._error is not None:
            reason_id = _REASON_OF_ERROR.get(self._error.name, "")
            self.attempt.show_trouble(_said(self._error), reason_id, is_stored=link is not None)
        elif link is not None:
            self.attempt.show_trouble(words.detail(link) or words.state(link), link.reason, is_stored=True)


def _said(error: CallError) -> str:
    return words.error(error) if words.needs_saying(error) else _("Nothing was done.")


def _remarks(remarks: str, findings: object) -> str:
    rivals = [finding for finding in Finding.parse_all(findings) if finding.id == "double-dialers"]
    return "\n".join([remarks, *(f"{rival.seen} {rival.advice}" for rival in rivals if rival.verdict == BAD)])
