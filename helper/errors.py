"""Errors that may cross the bus: one class a D-Bus error name, each with a sentence that a person can act on.

    CablecarError
    ├── NotAuthorized, NotAuthorizedCanObtain, NotAuthorizedDismissed, AuthorityUnavailable
    ├── InvalidName, InvalidSetting, InvalidPassword, InvalidArgument
    ├── NoSuchLink, LinkExists, PeerFileExists, LimitExceeded, StorageFailed
    ├── NoSuchPeer, PeerNotUsable
    ├── CallFailed              its D-Bus name is that of the reason (`reasons.py`)
    └── Failed                  anything unforeseen; the cause goes to the journal only

Whatever else is raised in a method reaches the caller as `Failed` without its text (`bus.py`).
"""

from typing import ClassVar, Final

from cablecar.helper import reasons
from cablecar.helper.names import ERROR_PREFIX


def printable(text: object) -> str:
    """Return text with escapes for the characters that forge something, or that no message can carry."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


class CablecarError(Exception):
    """An error with a D-Bus name; `str()` of it is the sentence for people and never holds a secret.

    It may name a file, and a file's name may hold any bytes: those that forge something, or that no message can carry,
    stand in it as escapes.
    """

    name: ClassVar[str] = "Failed"

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))

    @property
    def dbus_name(self) -> str:
        """The full D-Bus error name."""
        return ERROR_PREFIX + self.name


class Failed(CablecarError):
    """Something unforeseen; the journal of the helper has the cause."""

    name = "Failed"


class NotAuthorized(CablecarError):
    """Polkit says no, and no authentication would help."""

    name = "NotAuthorized"


class NotAuthorizedCanObtain(CablecarError):
    """Polkit would allow it after authentication, but nobody could be asked."""

    name = "NotAuthorizedCanObtain"


class NotAuthorizedDismissed(CablecarError):
    """The person closed the authentication dialog."""

    name = "NotAuthorizedDismissed"


class AuthorityUnavailable(CablecarError):
    """Polkit is missing, hangs, or does not know Cablecar's actions."""

    name = "AuthorityUnavailable"


class InvalidName(CablecarError):
    """A link name outside the grammar."""

    name = "InvalidName"


class InvalidSetting(CablecarError):
    """An unknown setting, or a value that the setting does not take; `key` says which, if it is known."""

    name = "InvalidSetting"

    def __init__(self, sentence: str, key: str = "") -> None:
        super().__init__(sentence)
        self.key = key


class InvalidPassword(CablecarError):
    """A password that pppd cannot carry."""

    name = "InvalidPassword"


class InvalidArgument(CablecarError):
    """A method argument out of range."""

    name = "InvalidArgument"


class NoSuchLink(CablecarError):
    """No link of this name, or it was removed meanwhile."""

    name = "NoSuchLink"


class LinkExists(CablecarError):
    """A link of this name exists already."""

    name = "LinkExists"


class PeerFileExists(CablecarError):
    """`/etc/ppp/peers/NAME` belongs to somebody else."""

    name = "PeerFileExists"


class LimitExceeded(CablecarError):
    """Too many links, calls or questions at once, or a message that is too large."""

    name = "LimitExceeded"


class StorageFailed(CablecarError):
    """A file could not be written; the old one is intact."""

    name = "StorageFailed"


class NoSuchPeer(CablecarError):
    """Nothing of this name could be imported; `ListPeers` names what can."""

    name = "NoSuchPeer"


class PeerNotUsable(CablecarError):
    """A foreign configuration that does not say enough, or is not safe to read."""

    name = "PeerNotUsable"


class CallFailed(CablecarError):
    """A call that did not come up, or was given up; carries the reason."""

    def __init__(self, reason: reasons.Reason) -> None:
        super().__init__(reason.sentence)
        self.reason = reason

    @property
    def dbus_name(self) -> str:
        """The D-Bus error name of the reason."""
        return ERROR_PREFIX + self.reason.error


ALL: Final = (
    Failed,
    NotAuthorized,
    NotAuthorizedCanObtain,
    NotAuthorizedDismissed,
    AuthorityUnavailable,
    InvalidName,
    InvalidSetting,
    InvalidPassword,
    InvalidArgument,
    NoSuchLink,
    LinkExists,
    PeerFileExists,
    LimitExceeded,
    StorageFailed,
    NoSuchPeer,
    PeerNotUsable,
)
