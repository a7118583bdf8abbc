"""The keys that, with Alt, go to a part of a window: in a text, an & stands before the letter.

Owns what such a mark means. Which letter it is has been chosen with the words, by whoever wrote or translated them, and
for the whole page that they are on. Knows no widget.
"""

import re
from typing import Final

_MARK: Final = re.compile("&(.)")


def literal(text: str) -> str:
    """Return `text`, whatever is in it, so that it is shown as it is where a single & would underline a letter."""
    return text.replace("&", "&&")


def bare(text: str) -> str:
    """Return `text` without its mark, for where there are no such keys: menus of a tray, screen readers."""
    return _MARK.sub(r"\1", text)
