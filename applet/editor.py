"""The editor of one link: every setting that this version offers, the usual ones first.

Owns the form and what of it has been changed; the helper judges, stores and dials.
"""

from collections.abc import Callable
from typing import Any, Final

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QIcon
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QPushButton,
    QStyle,
    QTabWidget,
    QVBoxLayout,
)

from cablecar.applet import figures, labels, windowsize, words
from cablecar.applet.client import Client
from cablecar.applet.fields import (
    METHODS,
    PROTOCOLS,
    SECRETS,
    ChoiceField,
    Field,
    FlagField,
    InterfaceField,
    ListField,
    Message,
    NumberField,
    Page,
    PasswordField,
    ServerField,
    ServiceField,
    SomeField,
    TextField,
    TunnelSecretField,
    VlanField,
    question,
    weakness,
)
from cablecar.applet.i18n import _
from cablecar.applet.model import CallError, Helper, Provider, Snapshot, Verb, link_name, parse_settings
from cablecar.applet.questions import Checker, Offers, Reading, beside, together
from cablecar.applet.wire import variant_dict
from cablecar.helper import names

# What a provider's preset fills in where it is left out.
_FILLED: Final = ("protocol", "server", "vlan", "authentication", "encryption", "mtu")
# What holds at once; all else holds from the next dial on.
_AT_ONCE: Final = frozenset({"title", "autoconnect", "reconnect", "strict"})
_USUAL: Final = (
    "title",
    "provider",
    "protocol",
    "server",
    "service",
    "user",
    "password",
    "tunnel_secret",
    "autoconnect",
    "reconnect",
    "route",
)
_NOTHING_STORED: Final = _("Nothing was stored.")
_NOT_STORED: Final = {  # but some of the rest
    "password": _("The password was not stored."),
    "tunnel_secret": _("The tunnel's secret was not stored."),
}

_DNS: Final = {
    "peer": _("The provider's, while connected"),
    "cable": _("The cable's"),
    "none": _("Leave DNS alone"),
}
_ENCRYPTION: Final = {"no": _("No"), "required": _("Required")}
_FIREWALL: Final = {"leave": _("Leave it alone"), "open": _("Open it for the link, and only for it")}
_STRICT: Final = {False: _("Off"), True: _("On: nothing leaves beside the link")}
_ROUTE: Final = {
    "all": _("Everything goes through the link"),
    "none": _("Nothing: leave routing alone"),
}


class Editor(QDialog):
    """The settings of a link, to be changed."""

    def __init__(self, client: Client, path: str) -> None:
        super().__init__()
        self._client = client
        self._path = path
        self._name = link_name(path) or ""
        self._loaded: dict[str, Any] = {}
        self._providers: dict[str, Provider] = {}
        self._filled: dict[str, Any] = {}  # what stands for "as the chosen preset says", by key
        self._saving = False
        self._was_refused = False
        self._is_lost = False
        self._goal = "title"  # where the cursor goes when the settings are there
        self.fields = _fields()
        self._build()
        self._checker = Checker(client, self._to_check, self)
        self._checker.checked.connect(self._show_faults)
        self._offers = Offers(client, self)
        self._offers.changed.connect(self._offer)
        self._reading = Reading(client, path, "Settings", "a{sv}", self, clicked=True)
        self._reading.answered.connect(self._settings_arrived)
        self._reading.refused.connect(lambda error: self._note.say(words.error(error)))
        presets = Reading(client, names.MANAGER_PATH, "Providers", "aa{sv}", self)
        presets.answered.connect(self._providers_arrived)
        client.changed.connect(self._follow)
        for field in self.fields.values():
            field.changed.connect(self._changed)
        self.fields["provider"].changed.connect(self._provider_chosen)
        self.fields["protocol"].changed.connect(self._protocol_chosen)
        self._offer()
        self._follow(client.snapshot)
        presets.ask()
        self._reading.ask()

    def go_to(self, key: str) -> None:
        """Put the cursor on a setting, as soon as there is something to change."""
        if not self._loaded:
            self._goal = key
        elif (field := self.fields.get(key)) is not None:
            self._tabs.setCurrentIndex(0 if key in _USUAL else 1)
            field.control.setFocus(Qt.FocusReason.OtherFocusReason)
            self._pages[self._tabs.currentIndex()].ensureWidgetVisible(field)

    def _build(self) -> None:
        self._note = Message()  # why nothing can be changed now, or was not stored
        self._whole = Message()  # what is wrong with the settings together
        self._said = labels.plain()
        self._said.hide()
        usual = [self.fields[key] for key in _USUAL]
        self._pages = (Page(usual), Page(field for key, field in self.fields.items() if key not in _USUAL))
        self._weakness = labels.plain()
        self._pages[0].add(self._weakness)
        self._tabs = QTabWidget()
        self._tabs.addTab(self._pages[0], _("Lin&k"))
        self._tabs.addTab(self._pages[1], _("Ad&vanced"))
        buttons = QDialogButtonBox()
        self._save_button = QPushButton(_("S&ave"))
        self._remove_button = QPushButton(_("Re&move this link…"))
        close = QPushButton(_("&Close"))
        buttons.addButton(self._save_button, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(close, QDialogButtonBox.ButtonRole.RejectRole)
        buttons.addButton(self._remove_button, QDialogButtonBox.ButtonRole.ResetRole)
        self._save_button.clicked.connect(self._save)
        self._remove_button.clicked.connect(self._ask_removal)
        close.clicked.connect(self.close)
        layout = QVBoxLayout(self)
        for part in (self._note, self._tabs, self._whole, self._said, buttons):
            layout.addWidget(part)
        self._save_button.setDefault(True)  # only in its window does a button become that window's
        windowsize.fit(self, 46, 46)

    def reject(self) -> None:
        """Close; what was typed and not saved is asked about first."""
        if self._is_changed and self._client.snapshot.link(self._path) is not None:
            question(
                self,
                _("The changes are not saved."),
                [
                    (_("&Discard the changes"), lambda: self.done(QDialog.DialogCode.Rejected)),
                    (_("&Go on editing"), None),
                ],
                default=1,
            )
        else:
            super().reject()

    def _follow(self, snapshot: Snapshot) -> None:
        link = snapshot.link(self._path)
        title = link.title if link is not None else self._name
        self.setWindowTitle(_("Settings of {title}").format(title=title))
        tabs = self._tabs.tabBar()
        assert tabs is not None
        tabs.setAccessibleName(self.windowTitle())
        if snapshot.helper is not Helper.RUNNING:
            self._note.say(words.helper(snapshot))
            self._is_lost = True
        elif link is None:
            self._note.say(words.GONE)
            self._is_lost = True
        elif self._is_lost:
            self._note.say("")
            self._is_lost = False
        self._enable()

    def _settings_arrived(self, answer: object) -> None:
        typed = {*self._changes(), *self._filled}  # while the answer was on its way
        loaded, self._loaded = parse_settings(answer), {}
        if not self._was_refused:  # else what was typed stays, to be tried again
            for key, field in self.fields.items():
                if key in loaded and key not in typed:
                    field.set_value(loaded[key])
                    field.touched = False
            if not self._is_lost:
                self._note.say("")
        self._loaded = loaded
        self._changed()
        if self._goal:
            self.go_to(self._goal)
            self._goal = ""

    def _providers_arrived(self, answer: object) -> None:
        self._providers = {provider.id: provider for provider in Provider.parse_all(answer)}
        self._offer()

    def _offer(self) -> None:
        """Show what this version of the helper takes, and no more."""
        takes = self._offers.takes
        for key, choices, own in (
            ("protocol", PROTOCOLS, False),
            ("dns", _DNS, takes("dns", [])),
            ("firewall", _FIREWALL, False),
        ):
            self._choice(key).offer(self._offers.those(key, choices), with_own=own)
        usable = {
            provider.id: figures.isolated(
                f"{provider.title} ({provider.country})" if provider.country else provider.title
            )
            for provider in sorted(self._providers.values(), key=lambda provider: provider.title.casefold())
            if any(takes("protocol", protocol) for protocol in provider.protocols)
        }
        self._choice("provider").offer({"": _("None: my own settings"), **usable}, with_own=False)
        for key in ("protocol", "firewall"):
            self._choice(key).show_row(self._choice(key).offered > 1)
        self._choice("strict").offer(_STRICT, with_own=takes("strict", []))
        self.fields["strict"].show_row(takes("strict", True))
        self.fields["share"].show_row(takes("share", []))

    def _choice(self, key: str) -> ChoiceField:
        field = self.fields[key]
        assert isinstance(field, ChoiceField)
        return field

    def _provider_chosen(self) -> None:
        field = self.fields["provider"]
        if not field.touched:
            return
        if field.value() == self._loaded.get("provider"):
            self._filled = {}
            for key in _FILLED:
                if key in self._loaded:  # else it is none of an older helper's
                    self.fields[key].set_value(self._loaded[key])
        elif (provider := self._providers.get(field.value())) is not None:
            self._fill_in(provider)

    def _protocol_chosen(self) -> None:
        """Go from the server that the preset has for one protocol to the one that it has for another."""
        provider, server = self._providers.get(self.fields["provider"].value()), self.fields["server"]
        if provider is not None and self.fields["protocol"].touched and not server.touched:
            published = provider.server(str(self.fields["protocol"].value()))
            if server.value() in ("", *(other for _protocol, other in provider.servers)) and "{" not in published:
                server.set_value(published)

    def _fill_in(self, provider: Provider) -> None:
        protocol = next((p for p in provider.protocols if self._offers.takes("protocol", p)), "pptp")
        left_to_it = {"protocol": protocol, "vlan": 0, "authentication": [], "encryption": "no", "mtu": 0}
        for key, value in left_to_it.items():
            self.fields[key].set_value(value)
            self._filled[key] = self.fields[key].value()
        del self._filled["protocol"]  # is said, for it decides which server is meant
        server = provider.server(protocol)
        self.fields["server"].set_value("" if "{" in server else server)

    def _values(self) -> dict[str, Any]:
        """Return the settings as the form has them; what the chosen preset shall fill in is left out."""
        # What the helper has not told of is none of its settings.
        shown = {key: field.value() for key, field in self.fields.items() if key in self._loaded}
        for key, nothing in (("service", ""), ("vlan", 0)):
            if self.fields[key].isHidden() and key in shown:
                shown[key] = nothing
        if shown.get("provider") and shown["provider"] != self._loaded.get("provider", ""):
            shown = {
                key: value for key, value in shown.items() if key not in self._filled or value != self._filled[key]
            }
        return shown

    def _to_check(self) -> dict[str, Any]:
        values = self._values()
        return {key: value for key, value in self._loaded.items() if key not in _FILLED} | values

    def _changes(self) -> dict[str, Any]:
        values = self._values()
        other_provider = values.get("provider", "") != self._loaded.get("provider", "")
        return {
            key: value
            for key, value in values.items()
            if (other_provider and key in _FILLED) or value != self._loaded.get(key, value)
        }

    @property
    def _is_changed(self) -> bool:
        return bool(self._loaded) and bool(self._changes() or self._secrets)

    @property
    def _secrets(self) -> dict[str, str]:
        """What was typed to be stored as a secret."""
        typed = {key: str(self.fields[key].value()) for key in SECRETS if not self.fields[key].isHidden()}
        return {key: secret for key, secret in typed.items() if secret}

    def _clear_secrets(self) -> None:
        for key in SECRETS:
            self.fields[key].set_value("")

    def _changed(self) -> None:
        protocol = str(self.fields["protocol"].value())
        self._weakness.setText(weakness(protocol))
        for field in self.fields.values():
            field.ask_for(protocol)
        if self._loaded:
            self._said.setVisible(self._said.isVisible() and not self._is_changed)
            self._checker.later()
        self._enable()

    def _enable(self) -> None:
        running = self._client.snapshot.helper is Helper.RUNNING
        there = self._client.snapshot.link(self._path) is not None
        usable = running and there and not self._saving
        self._tabs.setEnabled(bool(self._loaded) and there and not self._saving)
        self._save_button.setEnabled(usable and self._is_changed)
        self._remove_button.setEnabled(usable)

    def _show_faults(self, faults: dict[str, str] | None) -> None:
        if faults is None:
            return  # nobody could be asked: what is shown is the last that is known
        faults = dict(faults)
        for key, field in self.fields.items():
            if key not in SECRETS:
                field.set_error(beside(faults.pop(key, "")))
        self._whole.say(together(faults.values()))
        style = self.style()
        assert style is not None
        sign = style.standardIcon(QStyle.StandardPixmap.SP_MessageBoxWarning)
        for index, page in enumerate(self._pages):
            wrong = any(field.error for field in self.fields.values() if page.isAncestorOf(field))
            self._tabs.setTabIcon(index, sign if wrong else QIcon())

    def _save(self) -> None:
        wrong = next((key for key, field in self.fields.items() if field.error), "")
        if wrong:
            self.go_to(wrong)
            return
        changes = self._changes()
        values = variant_dict(changes)  # before the form is locked, for it may raise
        self._set_saving(True)
        if changes:
            self._ask("Update", values, _NOTHING_STORED, lambda: self._save_secrets({*changes}))
        else:
            self._save_secrets(set())

    def _save_secrets(self, stored: set[str]) -> None:
        """Store what is typed as a secret, one after the other; all else is stored."""
        key = next((key for key in self._secrets if key not in stored), None)
        if key is None:
            self._saved(stored)
            return
        not_stored = _NOT_STORED[key] if stored else _NOTHING_STORED
        self._ask(SECRETS[key], self._secrets[key], not_stored, lambda: self._save_secrets({*stored, key}))

    def _ask(self, member: str, value: object, not_stored: str, then: Callable[[], None]) -> None:
        def done(result: list[Any] | CallError) -> None:
            if isinstance(result, CallError):
                self._refused(result, not_stored)
            else:
                then()

        self._client.ask(self._path, names.LINK_INTERFACE, member, [value], "", done, clicked=True)

    def _set_saving(self, saving: bool) -> None:
        self._saving = saving
        self._note.say("")
        self._said.setText(_("Waiting for the permission to change the link…"))
        self._said.setVisible(saving)
        self._enable()

    def _refused(self, error: CallError, not_stored: str) -> None:
        self._set_saving(False)
        self._note.say(not_stored if words.is_declined(error) else words.error(error))
        self._was_refused = True
        self._reading.ask()  # a part may have been stored

    def _saved(self, changed: set[str]) -> None:
        self._was_refused = False
        self._clear_secrets()
        self._filled = {}
        self._loaded |= self._values()
        for field in self.fields.values():
            field.touched = False
        self._set_saving(False)
        self._reading.ask()  # the helper may have filled something in
        self._said.setText(_("Saved."))
        self._said.show()
        link = self._client.snapshot.link(self._path)
        if link is not None and link.wanted and changed - _AT_ONCE and self.isVisible():
            question(
                self,
                _("The change holds from the next dial on. Reconnect now?"),
                [(_("&Reconnect now"), self._reconnect), (_("&Later"), None)],
            )

    def _reconnect(self) -> None:
        self._client.act(self._path, Verb.RECONNECT)

    def _ask_removal(self) -> None:
        link = self._client.snapshot.link(self._path)
        question(
            self,
            _("Remove the link “{title}”? It is disconnected, and its settings and its password are deleted.").format(
                title=link.title if link is not None else self._name
            ),
            [(_("&Remove"), self._remove), (_("&Keep it"), None)],
            default=1,
        )

    def _remove(self) -> None:
        self._set_saving(True)

        def removed(result: list[Any] | CallError) -> None:
            self._set_saving(False)
            if isinstance(result, CallError):
                self._note.say(_("The link was not removed.") if words.is_declined(result) else words.error(result))
            else:
                self.done(QDialog.DialogCode.Accepted)

        self._client.ask(
            names.MANAGER_PATH, names.MANAGER_INTERFACE, "RemoveLink", [self._name], "", removed, clicked=True
        )


def _fields() -> dict[str, Field]:
    return {
        "title": TextField(_("&Title"), _("What this link is called in the menu.")),
        "provider": ChoiceField(
            _("P&rovider"), _("A preset fills in what is publicly known of a provider; check it."), {"": ""}
        ),
        "protocol": ChoiceField(_("Pr&otocol"), _("How the provider is called."), PROTOCOLS),
        "server": ServerField(),
        "service": ServiceField(),
        "user": TextField(
            _("&User name"),
            _("The name at the provider, with its suffix when there is one."),
            "customer@C012",
        ),
        "password": PasswordField(_("&Password"), _("Empty: the stored password stays."), _("(unchanged)")),
        "tunnel_secret": TunnelSecretField(
            _("Only when the provider has given you one beside the password. Empty: a stored one stays."),
            _("(unchanged)"),
        ),
        "autoconnect": FlagField(_("Connect &when the computer starts"), _("Even before anybody has logged in.")),
        "reconnect": FlagField(_("Reconnect after a &drop"), _("At once, then at growing distances.")),
        "route": ChoiceField(
            _("Tra&ffic"),
            _("What goes through the link. Networks are written as prefixes, with spaces between."),
            _ROUTE,
            _("Only these networks"),
            _("&Networks"),
            "198.51.100.0/24",
        ),
        "authentication": SomeField(
            _("Ways of logging in"),
            _(
                "What the server may ask for. None chosen: all but EAP, and after the first call nothing weaker than "
                "what was used then."
            ),
            METHODS,
        ),
        "encryption": ChoiceField(
            _("Encr&yption (MPPE)"),
            _("Some providers demand it. It can be broken and is no privacy."),
            _ENCRYPTION,
        ),
        "interface": InterfaceField(),
        "vlan": VlanField(),
        "mtu": NumberField(
            _("MT&U"), _("The largest packet, in bytes. Smaller when pages load only halfway."), _("automatic")
        ),
        "dns": ChoiceField(
            _("&DNS servers"),
            _("Who looks up names while the link is up."),
            _DNS,
            _("These servers"),
            _("Se&rvers"),
            "192.0.2.1",
        ),
        "firewall": ChoiceField(_("&Firewall"), _("What is done to it so that the call gets through."), _FIREWALL),
        "strict": ChoiceField(
            _("Kill s&witch"),
            _("While the link is wanted, nothing but its call leaves this machine, also while it is down."),
            _STRICT,
            _("On, but these local networks stay reachable"),
            _("&Networks"),
            "192.168.1.0/24",
        ),
        "share": ListField(
            _("Share wi&th"),
            _("Interfaces of the home network whose machines use the link too, with spaces between."),
            "eth1",
        ),
        "ipv6": FlagField(_("IPv&6 as well"), _("Let the provider's server negotiate IPv6.")),
        "debug": FlagField(_("L&og every packet of the negotiation"), _("For finding out why a call fails.")),
    }
