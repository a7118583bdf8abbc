"""What a person has chosen about the applet itself.

Owns the keys of the user's settings file. How links behave is no choice of one user: that is the helper's.
"""

from typing import Final

from PyQt6.QtCore import QSettings

from cablecar.applet.story import Kind

_LAST_USED: Final = "last-used-link"
_ICON_ALWAYS: Final = "icon-always"
_NOTIFY: Final = "notify-{kind}"


class Choices:
    """The choices of this user.

    Args:
        settings: Where they are kept.
    """

    def __init__(self, settings: QSettings) -> None:
        self._settings = settings

    def tells(self, kind: Kind) -> bool:
        """Whether notices of this kind are wanted; the answer to a click always is."""
        return kind is Kind.ANSWER or self._flag(_NOTIFY.format(kind=kind.value))

    def tell(self, kind: Kind, wanted: bool) -> None:
        """Tell notices of this kind, or not."""
        self._settings.setValue(_NOTIFY.format(kind=kind.value), wanted)

    @property
    def icon_always(self) -> bool:
        """Whether the icon is there also while no link is in use."""
        return self._flag(_ICON_ALWAYS)

    @icon_always.setter
    def icon_always(self, wanted: bool) -> None:
        self._settings.setValue(_ICON_ALWAYS, wanted)

    @property
    def last_used(self) -> str:
        """The name of the link that was clicked last."""
        return str(self._settings.value(_LAST_USED, ""))

    @last_used.setter
    def last_used(self, name: str) -> None:
        if name != self.last_used:
            self._settings.setValue(_LAST_USED, name)

    def _flag(self, key: str) -> bool:
        # The file holds words, and perhaps such as somebody has typed.
        return str(self._settings.value(key, "true")).lower() not in ("false", "0", "no", "off")
