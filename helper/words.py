"""pppd's own word grammar (`getword` in its options.c), in which its option files and secrets files are written.

It differs from a shell's and from every line-based reading: a backslash escapes inside quotes of both kinds, a newline
in quotes belongs to the word, a NUL cuts the word, and an open quote takes the rest of the file.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_WORD: Final = 1023  # bytes; pppd's MAXWORDLEN less the final NUL: the rest of a longer word is dropped

_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@:/+=,-")
_GAP: Final = re.compile(rb"(?P<space>[ \t\n\v\f\r]+)|#[^\n]*|\\\n")
_ESCAPE: Final = rb"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9A-Fa-f]{0,2})|(?P<other>.))?"
_BARE: Final = re.compile(rb"(?P<plain>[^\\\"'# \t\n\v\f\r]+)|(?P<quote>[\"'])|" + _ESCAPE, re.DOTALL)
_QUOTED: Final = {
    quote: re.compile(rb"(?P<plain>[^\\" + quote + rb"]+)|(?P<quote>" + quote + rb")|" + _ESCAPE, re.DOTALL)
    for quote in (b'"', b"'")
}
_NAMED: Final = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"s": b" ", b"t": b"\t", b"\n": b""}


def quote(value: bytes) -> str:
    """Return `value` as one word of pppd's option files (`getword` in pppd's options.c).

    Every byte outside a short safe list is written as a three-digit octal escape, which pppd decodes inside quotes,
    so the word can end neither early nor late.

    Raises:
        ValueError: It holds a NUL, which cuts a word, or more than 255 bytes, which pppd would cut.
    """
    if b"\0" in value or len(value) > 255:
        raise ValueError("not a word that pppd can hold")
    return '"' + "".join(chr(byte) if byte in _SAFE else f"\\{byte:03o}" for byte in value) + '"'


class Word(NamedTuple):
    """A word, and whether it is the first of a line: only there an entry of a secrets file begins."""

    value: bytes
    begins_line: bool


def words(text: bytes) -> Iterator[Word]:
    """Yield the words of an option file or a secrets file as pppd reads them."""
    position, begins_line = 0, True
    while position < len(text):
        if gap := _GAP.match(text, position):
            begins_line |= gap["space"] is not None and b"\n" in gap["space"]
            position = gap.end()
            continue
        value, position = _word(text, position)
        if not value and position == len(text):
            return  # an empty word at the very end is none
        yield Word(value[:MAX_WORD].partition(b"\0")[0], begins_line)
        begins_line = False


def _word(text: bytes, position: int) -> tuple[bytes, int]:
    """Return the word at `position`, uncut, and where it ends."""
    parts: list[bytes] = []
    quote = b""
    while piece := (_QUOTED[quote] if quote else _BARE).match(text, position):
        position = piece.end()
        if piece["quote"]:
            quote = b"" if quote else piece["quote"]
        elif piece["plain"]:
            parts.append(piece["plain"])
        else:
            parts.append(_unescaped(piece))
    return b"".join(parts), position


def _unescaped(piece: re.Match[bytes]) -> bytes:
    if piece["octal"]:
        return bytes([int(piece["octal"], 8) & 0xFF])
    if piece["hex"] is not None:
        return bytes([int(piece["hex"] or b"0", 16)])
    other = piece["other"] or b""  # nothing after a backslash that ends the file
    return _NAMED.get(other, other)
