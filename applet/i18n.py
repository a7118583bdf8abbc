"""Translation: `_()` for every text that a person reads.

Owns the choice of the catalogue; must not know any text. Without a catalogue the English text is shown. Texts
with numbers use abbreviated units, so that no plural forms are needed.
"""

import gettext
from typing import Final

DOMAIN: Final = "cablecar"

_catalogue: Final = gettext.translation(DOMAIN, fallback=True)


def _(text: str) -> str:
    """Return `text` in the user's language. The empty text stays empty (gettext would answer its header)."""
    return _catalogue.gettext(text) if text else ""
