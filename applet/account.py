"""The assistant's second page: whom to call, who one is there, and how the link is called.

Owns what was typed, and what the chosen preset puts in its place until then; what is valid is the helper's to say.
"""

from collections.abc import Iterable
from typing import Any

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from cablecar.applet import labels
from cablecar.applet.concentrators import Concentrators, only_cable
from cablecar.applet.fields import (
    PROTOCOLS,
    SECRETS,
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
    TunnelSecretField,
    VlanField,
    calls_an_address,
    weakness,
)
from cablecar.applet.i18n import _
from cablecar.applet.model import Concentrator, Provider
from cablecar.applet.presets import OWN
from cablecar.applet.questions import Offers, beside, together


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
        self._started = False
        self.message = Message()
        self.fields: dict[str, Field] = {
            "protocol": ChoiceField(_("Pr&otocol"), _("Ask the provider when you are not sure."), PROTOCOLS),
            "server": ServerField(),
            "user": TextField(_("&User name"), ""),
            "password": PasswordField(_("&Password")),
            "tunnel_secret": TunnelSecretField(_("Only when the provider has given you one beside the password.")),
            "title": TextField(_("&Title"), _("What this link is called in the menu.")),
            "autoconnect": FlagField(_("Connect &when the computer starts"), _("Even before anybody has logged in.")),
            "service": ServiceField(),
            "interface": InterfaceField(),
            "vlan": VlanField(),
        }
        self._page = Page(self.fields.values())
        self.concentrators = Concentrators()
        self.concentrators.chosen.connect(self._concentrator_chosen)
        self._weakness = labels.plain()
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
        """Ask for an account with this provider; what was typed for the same one before stays.

        For another one the user name stays too, which is there to be read; a password would go to it unseen.
        """
        if self._started and provider == self._provider:
            return
        self._started = True
        self._provider = provider
        self._offer()
        protocol = next((p for p in provider.protocols if self._offers.takes("protocol", p)), "pptp")
        self._field("protocol").set_value(protocol)
        self._ask_for(protocol)
        server = provider.server(protocol)
        self._text("server").begin("" if "{" in server else server)
        for key in ("service", "interface", *SECRETS):
            self._text(key).begin("")
        self.fields["vlan"].touched = False
        self.fields["vlan"].set_value(0)
        example = (provider.login or "{user}").replace("{user}", "customer").replace("{domain}", "domain")
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
        left_out = {*SECRETS, *(key for key in ("service", "vlan") if not self.asks_for(key))}
        if not self.fields["vlan"].touched:
            left_out.add("vlan")
        values = {key: field.value() for key, field in self.fields.items() if key not in left_out}
        return values | ({"provider": self._provider.id} if self._provider.id else {})

    def asks_for(self, key: str) -> bool:
        """Whether the page has this field, with the provider and the protocol that are chosen."""
        return not self.fields[key].isHidden()

    def secret(self, key: str) -> str:
        """Return what was typed as a secret that this page asks for; it is none of the settings."""
        return str(self.fields[key].value()) if self.asks_for(key) else ""

    def show_concentrators(self, found: Iterable[Concentrator]) -> None:
        """Offer who answers by PPPoE; where all of them are on one cable, it is that one."""
        found = tuple(found)
        self.concentrators.show_found(found)
        field = self.fields["interface"]
        if self.asks_for("interface") and not field.touched and not field.value():
            field.set_value(only_cable(found))

    def show_faults(self, faults: dict[str, str], *, all_of_them: bool) -> None:
        """Show what is wrong, of untouched fields only when everything is meant."""
        faults = dict(faults)
        for key, field in self.fields.items():
            fault = faults.pop(key, "")
            if key not in SECRETS:
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
        has_server = calls_an_address(str(self.fields["protocol"].value()))
        needed = ("server", "user", "password") if has_server else ("user", "password")
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
        self._ask_for(protocol)
        published = self._provider.server(protocol)
        server = self.fields["server"]
        if published and not server.touched:
            # A name of its own for each customer: that of the account, without the suffix.
            customer = str(self.fields["user"].value()).partition("@")[0]
            server.set_value(published.replace("{user}", customer) if customer or "{" not in published else "")
        if self.sender() is self.fields["password"]:
            self.fields["password"].set_error("")
        self.changed.emit()

    def _concentrator_chosen(self, values: dict[str, str]) -> None:
        for key, value in values.items():
            self.fields[key].touched = True
            self.fields[key].set_value(value)

    def _ask_for(self, protocol: str) -> None:
        on_the_cable = not calls_an_address(protocol)
        for field in self.fields.values():
            field.ask_for(protocol)
        self._text("interface").change_meaning(protocol)  # a server's is found by its address, and not asked for
        self.fields["interface"].show_row(on_the_cable)
        if self.concentrators.isHidden() and on_the_cable:
            self.concentrators.search()
        self.concentrators.setVisible(on_the_cable)
        server = self.fields["server"]
        if self._provider.server(protocol):
            published = _("As published for {title}; check it with the provider.")
            server.explain(published.format(title=self._provider.title))
        elif not on_the_cable:
            server.explain(_("Ask the provider for it: a name or an IPv4 address."))
        self._weakness.setText(weakness(protocol))
