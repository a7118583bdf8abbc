"""Who answers by PPPoE on this machine's cables, to be chosen in the place of typing. Shows and offers; asks nobody.

Anybody on the line can answer, under any name: nothing is chosen here but by a person. All text is plain.
"""

from collections.abc import Collection, Iterable

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from cablecar.applet import figures, labels
from cablecar.applet.i18n import _
from cablecar.applet.model import Concentrator, clean


class Concentrators(QWidget):
    """What was found, or that something is looked for.

    Signals:
        wanted: A search is asked for.
        chosen: With the settings that call the one that was chosen.
    """

    wanted = pyqtSignal()
    chosen = pyqtSignal(dict)

    def __init__(self) -> None:
        super().__init__()
        self._text = labels.plain()
        self.box = QComboBox()
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setAccessibleName(_("Who answers by PPPoE"))
        self._text.setBuddy(self.box)
        self.again = QPushButton(_("Search a&gain"))
        self.again.setAutoDefault(True)
        row = QHBoxLayout()
        row.addWidget(self.box, 1)
        row.addWidget(self.again)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self._text)
        rows.addLayout(row)
        self.box.activated.connect(lambda _index: self.chosen.emit(self.box.currentData()))
        self.again.clicked.connect(self.search)

    def search(self) -> None:
        """Have somebody look."""
        self._show(_("Looking for who answers by PPPoE…"), [])
        self.again.setEnabled(False)
        self.wanted.emit()

    def show_found(self, found: Iterable[Concentrator]) -> None:
        """Offer what was found."""
        found = list(found)
        if found:
            self._show(_("These answer b&y PPPoE; anybody on the line can, under any name:"), found)
        else:
            self._show(
                _(
                    "Nobody answers by PPPoE. Check the modem and its cable. If the provider uses a VLAN, type its "
                    "number and connect all the same: only the call goes by it."
                ),
                [],
            )

    def show_failure(self) -> None:
        """Say that nothing could be found out."""
        self._show(_("It could not be found out who answers by PPPoE."), [])

    def _show(self, text: str, found: Collection[Concentrator]) -> None:
        self._text.setText(text)
        self.again.setEnabled(True)
        self.box.clear()
        self.box.addItem(_("Whichever answers"), {"server": "", "service": "", "interface": only_cable(found)})
        for one in found:
            for service in one.services or ("",):
                values = {"server": one.name, "service": service, "interface": one.interface}
                self.box.addItem(_label(one, service), values)
        self.box.setVisible(self.box.count() > 1)


def only_cable(found: Iterable[Concentrator]) -> str:
    """Return the interface that all of them answer on; empty when there are several, or none."""
    interfaces = {one.interface for one in found}
    return interfaces.pop() if len(interfaces) == 1 else ""


def _label(one: Concentrator, service: str) -> str:
    name, interface = figures.isolated(clean(one.name)), figures.isolated(one.interface)
    if not service:
        return _("{concentrator} on {interface}").format(concentrator=name, interface=interface)
    return _("{concentrator} on {interface}, service {service}").format(
        concentrator=name, interface=interface, service=figures.isolated(clean(service))
    )
