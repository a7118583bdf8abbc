"""The assistant's first page: which provider it is, out of the presets, or what this machine has already.

Owns the search among them. What follows from a choice is not its business.
"""

from collections.abc import Iterable
from typing import Final

from PyQt6.QtCore import QLocale, Qt, pyqtSignal
from PyQt6.QtGui import QFontMetrics
from PyQt6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from cablecar.applet import figures, labels, presets
from cablecar.applet.fields import PROTOCOLS, Message
from cablecar.applet.i18n import _, said
from cablecar.applet.mnemonics import bare, literal
from cablecar.applet.model import Provider, clean
from cablecar.applet.questions import Offers

# What was found is called by its kind and its own name; a peer of pppd by its name alone.
_KINDS: Final = {"nm:": _("{name} (NetworkManager)"), "l2tp:": _("{name} (xl2tpd)")}


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
        self.search.setPlaceholderText(_("Name or city"))
        self.search.setAccessibleName(bare(_("&Search")))
        self.search.setClearButtonEnabled(True)
        self.country = QComboBox()
        self.list = self._list()
        self.about = labels.text_box(_("What is known about this provider"))
        self.about.setPlaceholderText(_("Choose your provider, to see what is known about it."))
        filters = QHBoxLayout()
        filters.addWidget(_name(_("&Search"), self.search))
        filters.addWidget(self.search, 2)
        # A screen reader on Linux takes a combo box's name from its label alone.
        filters.addWidget(_name(_("&Country"), self.country))
        filters.addWidget(self.country, 1)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        for part in (self.message, self.found):
            rows.addWidget(part)
        rows.addWidget(_name(_("&Who is your provider?"), self.list))
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
        """Which one is chosen; presets.OWN for none of them."""
        current = self._current
        return current if current is not None and (current is presets.OWN or self._is_usable(current)) else None

    @property
    def _current(self) -> Provider | None:
        item = self.list.currentItem()
        if item is None or item.isHidden():
            return None
        return self._providers.get(item.data(0, Qt.ItemDataRole.UserRole), presets.OWN)

    def _is_usable(self, provider: Provider) -> bool:
        return any(self._offers.takes("protocol", protocol) for protocol in provider.protocols)

    def show_providers(self, providers: Iterable[Provider]) -> None:
        """Show the presets."""
        self._providers = {provider.id: provider for provider in providers}
        countries = sorted(
            {provider.country for provider in self._providers.values() if provider.country}, key=presets.country
        )
        self.country.clear()
        self.country.addItem(_("All countries"), "")
        for code in countries:
            self.country.addItem(presets.country(code), code)
        here = QLocale.system().name().partition("_")[2]
        self.country.setCurrentIndex(max(0, self.country.findData(here)))
        self._fill()
        if self._current in (None, presets.OWN):
            self._search(self.search.text())  # it may have been typed before there was anything to find

    def show_peers(self, peers: Iterable[str]) -> None:
        """Offer what was set up by hand on this machine."""
        self.peers.clear()
        for peer in peers:
            self.peers.addItem(_peer(peer), peer)
        self.found.setVisible(self.peers.count() > 0)
        self.peers.setVisible(self.peers.count() > 1)
        one = self.peers.itemText(0) if self.peers.count() == 1 else ""
        text = _("Found on this machine: {name}").format(name=literal(one)) if one else _("&Found here:")
        self._found_text.setText(text)

    def _found(self) -> QWidget:
        box = QWidget()
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        self._found_text = labels.plain()
        self.peers = QComboBox()
        self._found_text.setBuddy(self.peers)
        self.take_over = QPushButton(_("&Take it over"))
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
        for provider in (presets.OWN, *sorted(self._providers.values(), key=lambda each: each.title.casefold())):
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
                presets.country(provider.country),
                protocols,
            ]
        )
        item.setData(0, Qt.ItemDataRole.UserRole, provider.id)
        if provider is presets.OWN:
            font = item.font(0)
            font.setBold(True)
            item.setFont(0, font)
        return item

    def _filter(self) -> None:
        wanted, country = self.search.text().casefold().split(), self.country.currentData()
        found = {provider.id for provider in self._providers.values() if presets.has(provider, wanted)}
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
        if provider is presets.OWN:
            text = _("Have ready what the provider has told you: the server, your user name, your password.")
        elif provider is not None:
            text = presets.about(provider)
            if self.provider is None:
                text = "\n".join([_("This version of Cablecar has none of this provider's protocols."), text])
        self.about.setPlainText(text)
        self.chosen.emit()

    def _activate(self) -> None:
        if self.provider is not None:
            self.activated.emit()


def _name(text: str, of: QWidget) -> QLabel:
    label = labels.plain(text)
    label.setWordWrap(False)
    label.setBuddy(of)
    return label


def _peer(peer: str) -> str:
    prefix = next((kind for kind in _KINDS if peer.startswith(kind)), "")
    return _KINDS.get(prefix, "{name}").format(name=clean(peer.removeprefix(prefix)))
