"""How a form asks the helper: what is there, what is wrong with what somebody types, what this version can do.

Owns when a question is asked (again) and which answer is still about what is shown. Decides nothing.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from cablecar.applet.client import Client
from cablecar.applet.i18n import said
from cablecar.applet.model import CallError, Helper, Snapshot, clean
from cablecar.applet.wire import variant_dict
from cablecar.helper import names

_PAUSE_MS: Final = 250  # after the last key, before the helper is asked
_FAULT: Final = re.compile(r"The setting `[a-z0-9_]+` (?P<fault>must .+)\.")

# What the vocabulary of settings has and a version of the helper may refuse: it is asked, all of one line at once.
_IN_DOUBT: Final[tuple[dict[str, Any], ...]] = (
    {"protocol": "l2tp", "dns": "cable", "firewall": "open", "strict": True, "share": ["eth0"]},
    {"protocol": "pppoe", "dns": ["192.0.2.1"], "strict": ["192.168.1.0/24"]},
)


class Reading(QObject):
    """A question that is asked until it is answered: at once, and again when the helper has come back.

    Somebody may have clicked for the first; to ask again is nobody's wish, and brings up no window for a password.

    Signals:
        answered: With the answer's first argument.
        refused: With a CallError.
    """

    answered = pyqtSignal(object)
    refused = pyqtSignal(object)

    def __init__(
        self, client: Client, path: str, member: str, signature: str, parent: QObject, *, clicked: bool = False
    ) -> None:
        super().__init__(parent)
        self._client = client
        self._path = path
        self._member = member
        self._signature = signature
        self._clicked = clicked
        self._values: Sequence[object] = ()
        self._running = False
        self._pending = False
        self._is_answered = False
        client.changed.connect(self._helper_changed)

    def ask(self, *values: object) -> None:
        """Ask it, anew when there is an answer already."""
        self._is_answered = False
        self._values = values
        self._running = self._client.snapshot.helper is Helper.RUNNING
        self._ask(clicked=self._clicked)

    def _helper_changed(self, snapshot: Snapshot) -> None:
        came, self._running = not self._running, snapshot.helper is Helper.RUNNING
        if came and self._running and not self._is_answered:
            self._ask(clicked=False)

    def _ask(self, *, clicked: bool) -> None:
        if self._pending or not self._running:
            return
        self._pending = True

        def done(result: list[Any] | CallError) -> None:
            self._pending = False
            self._is_answered = not isinstance(result, CallError)
            if isinstance(result, CallError):
                self.refused.emit(result)
            else:
                self.answered.emit(result[0])

        interface = names.MANAGER_INTERFACE if self._path == names.MANAGER_PATH else names.LINK_INTERFACE
        self._client.ask(self._path, interface, self._member, self._values, self._signature, done, clicked=clicked)


class Checker(QObject):
    """Asks what is wrong with settings, a moment after the last change.

    Signals:
        checked: With what is wrong by key, in the helper's words, for the settings as they are now; with None when
            nobody could be asked.
    """

    checked = pyqtSignal(object)

    def __init__(self, client: Client, settings: Callable[[], dict[str, Any]], parent: QObject) -> None:
        super().__init__(parent)
        self._client = client
        self._settings = settings
        self._asked = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._ask)

    def later(self) -> None:
        """Ask when nobody types any more; an answer that is on its way is about something else."""
        self._asked += 1
        self._timer.start()

    def _ask(self) -> None:
        question = self._asked

        def done(result: list[Any] | CallError) -> None:
            if question == self._asked:
                self.checked.emit(None if isinstance(result, CallError) else _faults(result[0]))

        values = [variant_dict(self._settings())]
        self._client.ask(names.MANAGER_PATH, names.MANAGER_INTERFACE, "CheckSettings", values, "a{ss}", done)


class Offers(QObject):
    """What of the vocabulary of settings this version of the helper takes.

    Signals:
        changed: More is known to be taken.
    """

    changed = pyqtSignal()

    def __init__(self, client: Client, parent: QObject) -> None:
        super().__init__(parent)
        self._doubtful = {_mark(key, value) for question in _IN_DOUBT for key, value in question.items()}
        for question in _IN_DOUBT:
            reading = Reading(client, names.MANAGER_PATH, "CheckSettings", "a{ss}", self)
            reading.answered.connect(lambda faults, question=question: self._learn(question, faults))
            reading.ask(variant_dict(question))

    def takes(self, key: str, value: Any) -> bool:
        """Return whether a link can have this setting; of lists, whether it can have any."""
        return _mark(key, value) not in self._doubtful

    def those(self, key: str, choices: Mapping[str, str]) -> dict[str, str]:
        """Return the choices that a link can have."""
        return {value: text for value, text in choices.items() if self.takes(key, value)}

    def _learn(self, question: Mapping[str, Any], faults: object) -> None:
        refused = _faults(faults)
        self._doubtful -= {_mark(key, value) for key, value in question.items() if key not in refused}
        self.changed.emit()


def _mark(key: str, value: object) -> tuple[str, str]:
    return key, "" if isinstance(value, list) else str(value)


def _faults(answer: object) -> dict[str, str]:
    return {key: clean(text) for key, text in answer.items()} if isinstance(answer, dict) else {}


def beside(fault: str) -> str:
    """Return what is wrong with a setting, for where its field already says which one it is."""
    if (match := _FAULT.fullmatch(fault)) is None:
        return said(fault)
    sentence = said(match["fault"])
    return f"{sentence[:1].upper()}{sentence[1:]}."


def together(faults: Iterable[str]) -> str:
    """Return what is wrong with settings that have no field here."""
    return " ".join(map(said, faults))
