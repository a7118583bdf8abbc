"""The assistant's pages: the providers, the account, the first call. Each shows and asks; what follows is not theirs."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from PyQt6.QtCore import QLocale, Qt, pyqtSignal
from PyQt6.QtGui import QFontMetrics
from PyQt6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from cablecar.applet import figures, words
from cablecar.applet.concentrators import Concentrators
from cablecar.applet.fields import (
    METHODS,
    PROTOCOLS,
    ChoiceField,
    Field,
    FlagField,
    InterfaceField,
    Message,
    Page,
    PasswordField,
    ServerField,
    ServiceField,
    TextField,
    VlanField,
    plain_label,
    weakness,
)
from cablecar.applet.i18n import _, said
from cablecar.applet.model import (
    Concentrator,
    Link,
    Provider,
    clean,
)
from cablecar.applet.questions import Offers, beside, together
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

# What else a preset may know; anything newer is shown by its name in the preset.
_FACTS: Final = {
    "protocols": _("Protocols"),
    **{f"server_{protocol}": name for protocol, name in PROTOCOLS.items()},
    "login": _("User name"),
    "remarks": _("Remarks"),
    "authentication": _("Ways of logging in"),
    "encryption": _("Encryption (MPPE)"),
    "mtu": "MTU",
    "vlan": "VLAN",
    "redial_minimum": _("Seconds between two calls, at least"),
    "peer_is_server": _("The far end of the tunnel has the server's own address"),
    "needs_option_121": _("The server is reached by routes out of the lease"),
    "dns": _("DNS servers"),
    "cable_routes": _("Reached by the cable only"),
    "known_addresses": _("Addresses that the server had"),
}
# A source as the helper cites it: of which fact, where it was published, when, and whether anybody has confirmed it.
_CITATION: Final = re.compile(r"(?P<fact>[a-z0-9_]+): (?P<source>.+) \((?P<year>\d{4})(?P<open>, unverified)?\)")
_VALUES: Final = {"True": _("yes"), "False": _("no"), "no": _("no"), "required": _("required"), **METHODS}

# What a person can mend in the assistant: after which reason, which field.
_MENDED_IN: Final = {
    **dict.fromkeys(words.ANOTHER_PASSWORD, "password"),
    **dict.fromkeys(
        (
            reasons.SERVER_NOT_FOUND.id,
            reasons.SERVER_IMPLAUSIBLE.id,
            reasons.SERVER_UNREACHABLE.id,
            reasons.SERVER_REFUSED.id,
            reasons.SERVER_NOT_GENUINE.id,
            reasons.NOT_ADMITTED.id,
        ),
        "server",
    ),
    reasons.NO_CONCENTRATOR.id: "interface",
}
_MEND: Final = {
    "password": _("Correct user name and password…"),
    "server": _("Correct the server…"),
    "interface": _("Correct the cable's interface…"),
}


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
        # A screen reader on Linux takes a combo box's name from its label alone.
        country = plain_label(_("Country"))
        country.setWordWrap(False)
        country.setBuddy(self.country)
        self.list = self._list()
        self.about = _text_box(_("What is known about this provider"))
        self.about.setPlaceholderText(_("Choose your provider, to see what is known about it."))
        filters = QHBoxLayout()
        filters.addWidget(self.search, 2)
        filters.addWidget(country)
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
        if self._current in (None, OWN):
            self._search(self.search.text())  # it may have been typed before there was anything to find

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
        self._found_text.setBuddy(self.peers)
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
            [
                figures.isolated(provider.title),
                figures.isolated(said(provider.region)),
                _country(provider.country),
                protocols,
            ]
        )
        item.setData(0, Qt.ItemDataRole.UserRole, provider.id)
        if provider is OWN:
            font = item.font(0)
            font.setBold(True)
            item.setFont(0, font)
        return item

    def _filter(self) -> None:
        wanted, country = self.search.text().casefold().split(), self.country.currentData()
        found = {provider.id for provider in self._providers.values() if _has(provider, wanted)}
        here = {id for id in found if country in ("", self._providers[id].country)}
        # What is searched for and is in another country only is shown all the same.
        shown = here or (found if wanted else here)
        for item in self._items():
            item.setHidden(item.data(0, Qt.ItemDataRole.UserRole) not in ("", *shown))
        self._tell()

    def _search(self, text: str) -> None:
        self._filter()
        if text.strip():
            own, *others = self._items()
            found = [item for item in others if not item.isHidden()]
            self.list.setCurrentItem((found or [own])[0])

    def _items(self) -> list[QTreeWidgetItem]:
        items = [self.list.topLevelItem(index) for index in range(self.list.topLevelItemCount())]
        return [item for item in items if item is not None]

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


def _has(provider: Provider, words: Iterable[str]) -> bool:
    text = f"{provider.title} {provider.region} {said(provider.region)}".casefold()
    return all(word in text for word in words)


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
    lines = [said(provider.verify) or _("Public knowledge, mostly old: check it with the provider.")]
    lines.append(said(provider.remarks))
    lines += [_fact(PROTOCOLS.get(protocol, protocol), server) for protocol, server in provider.servers]
    lines += [_fact(_FACTS.get(key, key), _values(value)) for key, value in provider.others]
    lines += [_("Sources:"), *_cited(provider.sources)]
    return "\n".join(filter(None, lines))


def _cited(sources: Iterable[str]) -> Iterator[str]:
    """Yield each source once, with what it says; in the helper's words what is not of that form."""
    facts: dict[str, list[str]] = {}
    for text in sources:
        if (match := _CITATION.fullmatch(text)) is None:
            yield figures.isolated(text)
            continue
        form = _("{source} ({year}, not confirmed)") if match["open"] else _("{source} ({year})")
        source = form.format(source=figures.isolated(said(match["source"])), year=match["year"])
        facts.setdefault(source, []).append(_FACTS.get(match["fact"], match["fact"]))
    for source, told in facts.items():
        yield _("{name}: {value}").format(name=source, value=", ".join(told))


def _fact(name: str, value: str) -> str:
    return _("{name}: {value}").format(name=name, value=figures.isolated(value))


def _values(text: str) -> str:
    return ", ".join(_VALUES.get(value, value) for value in text.split(", "))


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
            "protocol": ChoiceField(_("Protocol"), _("Ask the provider when you are not sure."), PROTOCOLS),
            "server": ServerField(),
            "user": TextField(_("User name"), ""),
            "password": PasswordField(_("Password")),
            "title": TextField(_("Title"), _("What this link is called in the menu.")),
            "autoconnect": FlagField(_("Connect when the computer starts"), _("Even before anybody has logged in.")),
            "service": ServiceField(),
            "interface": InterfaceField(),
            "vlan": VlanField(),
        }
        self._page = Page(self.fields.values())
        self.concentrators = Concentrators()
        self.concentrators.chosen.connect(self._concentrator_chosen)
        self._weakness = plain_label()
        self._page.add(self._weakness)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.message)
        rows.addWidget(self.concentrators)
        rows.addWidget(self._page, 1)
        for field in self.fields.values():
            field.changed.connect(self._changed)
        offers.changed.connect(self._offer)
        self._offer()
        self._ask_for("pptp")

    def start_with(self, provider: Provider) -> None:
        """Ask for an account with this provider; what was typed for the same one before stays."""
        if provider == self._provider and self.fields["title"].value():
            return
        self._provider = provider
        self._offer()
        protocol = next((p for p in provider.protocols if self._offers.takes("protocol", p)), "pptp")
        self._field("protocol").set_value(protocol)
        server = provider.server(protocol)
        there = {"server": "" if "{" in server else server, "service": "", "interface": "", "vlan": 0}
        for key, value in there.items():
            self.fields[key].touched = False
            self.fields[key].set_value(value)
        example = (provider.login or "{user}").replace("{user}", "customer").replace("{domain}", "domain")
        self._text("user").edit.setPlaceholderText(example if provider.login else "customer@C012")
        self.fields["user"].explain(
            _("This provider's customers write it like {example}.").format(example=example)
            if provider.login
            else _("With its suffix, when the provider has given you one.")
        )
        self.fields["title"].set_value(provider.title if provider is not OWN else "")
        self._ask_for(protocol)

    def show_stored(self, settings: dict[str, Any]) -> None:
        """Show the settings of a link that exists."""
        for key, field in self.fields.items():
            if key in settings:
                field.touched = True  # nothing is to be filled in any more
                field.set_value(settings[key])

    def values(self) -> dict[str, Any]:
        """Return the settings; what the preset knows beside them is filled in by the helper."""
        left_out = {"password", *(() if self._offers.takes("protocol", "pppoe") else ("service",))}
        if not self.fields["vlan"].touched or self.fields["vlan"].isHidden():
            left_out.add("vlan")
        values = {key: field.value() for key, field in self.fields.items() if key not in left_out}
        if "service" in values and self.fields["service"].isHidden():
            values["service"] = ""
        return values | ({"provider": self._provider.id} if self._provider.id else {})

    @property
    def password(self) -> str:
        """What was typed as the password."""
        return str(self.fields["password"].value())

    def show_concentrators(self, found: Iterable[Concentrator]) -> None:
        """Offer who answers by PPPoE; where all of them are on one cable, it is that one."""
        found = tuple(found)
        self.concentrators.show_found(found)
        interfaces, field = {one.interface for one in found}, self.fields["interface"]
        if len(interfaces) == 1 and not field.touched and not field.value():
            field.set_value(interfaces.pop())

    def show_faults(self, faults: dict[str, str], *, all_of_them: bool) -> None:
        """Show what is wrong, of untouched fields only when everything is meant."""
        faults = dict(faults)
        for key, field in self.fields.items():
            fault = faults.pop(key, "")
            if key != "password":
                field.set_error(beside(fault) if all_of_them or field.touched else "")
        self.message.say(together(faults.values()))

    def go_to(self, key: str) -> None:
        """Put the cursor into a field, ready for typing over what is there."""
        field = self.fields[key]
        field.control.setFocus(Qt.FocusReason.OtherFocusReason)
        if isinstance(field, TextField):
            field.edit.selectAll()
        self._page.ensureWidgetVisible(field)

    def go_to_first(self) -> None:
        """Put the cursor into the first field that still has to be typed."""
        needed = ("user", "password") if self._field("protocol").value() == "pppoe" else ("server", "user", "password")
        self.go_to(next((key for key in needed if not self.fields[key].value()), "user"))

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
        of_provider = {key: PROTOCOLS[key] for key in self._provider.protocols or PROTOCOLS if key in PROTOCOLS}
        choices = self._offers.those("protocol", of_provider) or {"pptp": PROTOCOLS["pptp"]}
        protocol.offer(choices, with_own=False, keep=protocol.value() in choices)
        protocol.show_row(protocol.offered > 1)

    def _changed(self) -> None:
        protocol = str(self.fields["protocol"].value())
        published = self._provider.server(protocol)
        server = self.fields["server"]
        if published and not server.touched:
            # A name of its own for each customer: that of the account, without the suffix.
            customer = str(self.fields["user"].value()).partition("@")[0]
            server.set_value(published.replace("{user}", customer) if customer or "{" not in published else "")
        self._ask_for(protocol)
        if self.sender() is self.fields["password"]:
            self.fields["password"].set_error("")
        self.changed.emit()

    def _concentrator_chosen(self, values: dict[str, str]) -> None:
        for key, value in values.items():
            self.fields[key].touched = True
            self.fields[key].set_value(value)

    def _ask_for(self, protocol: str) -> None:
        server, service, interface = self.fields["server"], self.fields["service"], self.fields["interface"]
        for field in (server, service, interface, self.fields["vlan"]):
            assert isinstance(field, ServerField | ServiceField | InterfaceField | VlanField)
            field.ask_for(protocol)
        interface.show_row(not service.isHidden())
        if self.concentrators.isHidden() and not service.isHidden():
            self.concentrators.search()
        self.concentrators.setHidden(service.isHidden())
        if self._provider.server(protocol):
            published = _("As published for {title}; check it with the provider.")
            server.explain(published.format(title=self._provider.title))
        elif service.isHidden():
            server.explain(_("Ask the provider for it: a name or an IPv4 address."))
        self._weakness.setText(weakness(protocol))


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
        self.mend_button.setText(_MEND.get(self._field, ""))
        self._show_buttons(in_trouble=is_stored)

    def show_remarks(self, text: str) -> None:
        """Show what is to be known of a link that was taken over."""
        self.remarks.setPlainText(text)
        self.remarks.setVisible(bool(text))

    def _mark(self, now: str, sign: str) -> None:
        place = next((index for index, (phase, *_rest) in enumerate(self._steps) if phase == now), 0)
        for index, (_name, mark, text) in enumerate(self._steps):
            mark.setText("✓" if index < place else sign if index == place else "•")
            font = text.font()
            font.setBold(index == place)
            text.setFont(font)

    def _show_buttons(self, *, in_trouble: bool) -> None:
        self.mend_button.setVisible(in_trouble and bool(self._field))
        self.edit_button.setVisible(in_trouble)

    def _mend(self) -> None:
        self.mend.emit(self._field)
