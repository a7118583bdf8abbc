"""What pppd and pptp said, with plain words under the lines that deserve some.

Owns a small table of such lines. Why a call ended is the helper's to say (the link's reason); this table only helps
to read along. Every line comes from the network or from a program: it is inserted as plain text, never as markup.
"""

import re
from collections.abc import Sequence
from typing import Final

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QFontDatabase, QTextBlockFormat, QTextCharFormat, QTextCursor
from PyQt6.QtWidgets import QTextEdit

from cablecar.applet.i18n import _
from cablecar.applet.model import clean

LINES: Final = 1000  # as many as the helper keeps
_MAX_LINE: Final = 1024  # characters

_TABLE: Final = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"pppd \S+ started by", _("The call begins.")),
        (r"Client connection established", _("The provider's server has answered.")),
        (r"Outgoing call established", _("The provider's server has taken the call.")),
        (r"Using interface ppp\d+", _("The network interface of the tunnel is there.")),
        (r"authentication succeeded", _("The provider accepted the user name and the password.")),
        (r"authentication failed", _("The provider did not accept the user name and the password.")),
        (r"peer refused to authenticate", _("The link demands that the server logs in here, and it does not.")),
        (r"local +IP address", _("The address that the provider gave this machine.")),
        (r"remote IP address", _("The address of the provider's end of the tunnel.")),
        (r"(?:primary|secondary) +DNS address", _("A DNS server of the provider.")),
        (r"LCP: timeout sending Config-Requests", _("Nothing came back through the tunnel: GRE may be blocked.")),
        (
            r"No response to \d+ echo-requests|missing echo reply",
            _("The server stopped answering the regular question whether it is there."),
        ),
        (r"LCP terminated by peer", _("The provider's server ended the call.")),
        (r"Received Stop Control Connection Request", _("The provider's server ended the call.")),
        (r"Modem hangup|peer has closed", _("The connection that carried the call was closed.")),
        (r"Terminating on signal", _("The call was ended on this machine.")),
        (r"Connection refused", _("The server is there, and takes no calls of this kind.")),
        (r"No route to host|Connection timed out", _("The server cannot be reached.")),
        (r"Network is unreachable", _("No cable leads to the server.")),
        (r"possesses no IPv4 address|getaddrinfo\(\)", _("The server's name could not be looked up.")),
        (r"recursion detected", _("The tunnel's own packets went into the tunnel.")),
        (r"MPPE required", _("One side demands encryption, and the other does not offer it.")),
        (r"MPPE .*enabled", _("Encrypted with MPPE, which keeps nobody out today.")),
        (r"Connect time \d", _("How long the call lasted.")),
        (r"Sent \d+ bytes, received \d+ bytes", _("How much went through in this call.")),
        (r"Connection terminated", _("The call is over.")),
    )
)  # fmt: skip


def explain(line: str) -> str:
    """Say what a line means; empty when it is not in the table."""
    return next((text for pattern, text in _TABLE if pattern.search(line)), "")


def parse(answer: object) -> tuple[str, ...]:
    """Make sense of what `Log` answered, the newest line last."""
    lines = [clean(line, _MAX_LINE) for line in answer[-LINES:]] if isinstance(answer, list) else []
    return tuple(line for line in lines if line)


class LogView(QTextEdit):
    """Shows lines and their explanations; follows the newest for as long as it is scrolled to the end."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: tuple[str, ...] = ()
        self.setReadOnly(True)
        self.setAcceptRichText(False)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setAccessibleName(_("Log"))
        self.setPlaceholderText(_("Nothing has been said yet."))

    def show_lines(self, lines: tuple[str, ...]) -> None:
        """Show these lines."""
        if lines == self._lines:
            return
        bar = self.verticalScrollBar()
        assert bar is not None
        at_end, place = bar.value() >= bar.maximum() - 2, bar.value()
        gone = next(n for n in range(len(self._lines) + 1) if lines[: len(self._lines) - n] == self._lines[n:])
        place -= self._drop(gone)
        self._append(lines[len(self._lines) - gone :])
        self._lines = lines
        bar.setValue(bar.maximum() if at_end else place)

    def _drop(self, count: int) -> int:
        """Take away the oldest lines, and return how high they were; all else stays selected as it is."""
        document = self.document()
        assert document is not None
        first = document.findBlockByNumber(sum(2 if explain(line) else 1 for line in self._lines[:count]))
        if not first.isValid():
            self.clear()
            return 0
        layout = document.documentLayout()
        assert layout is not None
        top = layout.blockBoundingRect(document.firstBlock()).top()
        height = layout.blockBoundingRect(first).top() - top
        cursor = QTextCursor(document)
        cursor.setPosition(first.position(), QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        return round(height)

    def _append(self, lines: Sequence[str]) -> None:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.beginEditBlock()
        for line in lines:
            self._insert(cursor, line, self._said())
            if meaning := explain(line):
                self._insert(cursor, f"— {meaning}", self._explained())
        cursor.endEditBlock()

    def _insert(self, cursor: QTextCursor, text: str, look: tuple[QTextBlockFormat, QTextCharFormat]) -> None:
        document = self.document()
        assert document is not None
        if document.isEmpty():
            cursor.setBlockFormat(look[0])
        else:
            cursor.insertBlock(look[0])
        cursor.insertText(text, look[1])

    def _said(self) -> tuple[QTextBlockFormat, QTextCharFormat]:
        """What programs say is English: left to right, in every language."""
        block, characters = QTextBlockFormat(), QTextCharFormat()
        block.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        block.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignAbsolute)
        characters.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        return block, characters

    def _explained(self) -> tuple[QTextBlockFormat, QTextCharFormat]:
        block, characters = QTextBlockFormat(), QTextCharFormat()
        block.setLayoutDirection(self.layoutDirection())
        block.setIndent(1)
        block.setBottomMargin(self.fontMetrics().height() / 4)
        characters.setFont(self.font())
        characters.setFontItalic(True)
        return block, characters
