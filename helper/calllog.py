"""The file in /run/cablecar that a call's pppd and pptp write to (the unit's StandardError).

A file never blocks its writer, survives the helper, and is complete when the unit has ended. inotify tells of new
lines. The journal has the same lines for people: pppd and pptp send them to syslog as well.
"""

import asyncio
import os
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cablecar.helper import inotify
from cablecar.helper.pppd import masked

FOLDER: Final = Path("/run/cablecar")
MAX_LINES: Final = 1000
MAX_LINE: Final = 1024  # characters
MAX_FILE: Final = 1 << 18  # bytes; a call that says more has its file emptied, the last lines are kept here
_CHUNK: Final = 1 << 14  # bytes; others have their turn in between
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class CallLog:
    """Follows one link's file.

    Args:
        link: The link's name.
        on_line: Called with each line.
        keep: Returns the lines that must stay in a file that is emptied: a restarted helper reads them.
        folder: Where the files are.
    """

    def __init__(self, link: str, on_line: Callable[[str], None], keep: Callable[[], list[str]], folder: Path) -> None:
        self.lines: deque[str] = deque(maxlen=MAX_LINES)
        self._path = folder / f"{link}.log"
        self._on_line = on_line
        self._keep = keep
        self._descriptor = -1
        self._offset = 0
        self._rest = b""
        self._comes_back = False  # for the next chunk

    def begin(self, fresh: bool) -> None:
        """Follow the file from its first line; `fresh` empties it before a new call.

        Raises:
            OSError: The file or the watch could not be made.
        """
        self.close()
        self.lines.clear()
        self._offset, self._rest = 0, b""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_TRUNC if fresh else 0)
        os.close(os.open(self._path, flags, 0o600))
        self._descriptor = inotify.follow(self._read_on)
        inotify.watch(self._descriptor, self._path, inotify.MODIFIED)
        self.read()

    def close(self) -> None:
        """Stop following; the lines stay."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self) -> None:
        """Take in what has been written since the last time."""
        left = self._path.stat().st_size - self._offset  # what comes meanwhile may have no end
        while left > 0 and (taken := self._read_chunk()):
            left -= taken

    def _read_on(self) -> None:
        """Take in a chunk, and the next one in another turn of the loop: a server can have pppd say a line a packet."""
        if self._read_chunk() == _CHUNK and not self._comes_back:
            self._comes_back = True
            asyncio.get_running_loop().call_soon(self._come_back)

    def _come_back(self) -> None:
        self._comes_back = False
        if self._descriptor >= 0:
            self._read_on()

    def _read_chunk(self) -> int:
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            data = file.read(_CHUNK)
            size = os.fstat(file.fileno()).st_size
        self._offset += len(data)
        self._take(data)
        if self._offset >= MAX_FILE and size <= 2 * self._offset:  # else what is unread would be moved again and again
            self._empty()
        return len(data)

    def _take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-MAX_LINE:]
        for line in lines:
            text = _shown(line)
            self.lines.append(text)
            self._on_line(text)

    def _empty(self) -> None:
        kept = "".join(f"{line}\n" for line in self._keep()).encode()
        with open(self._path, "r+b") as file:
            file.seek(self._offset)
            unread = file.read()
            file.seek(0)
            file.truncate(0)  # its writers append, so they go on at the new end
            file.write(kept + self._rest + unread)
        self._offset = len(kept) + len(self._rest)


def last_words(link: str, folder: Path) -> list[str]:
    """Return the last lines of a link's file, none when there is no such file."""
    try:
        with open(folder / f"{link}.log", "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_FILE))
            lines = file.read(MAX_FILE).split(b"\n")[:-1]
    except OSError:
        return []
    return [_shown(line) for line in lines[-MAX_LINES:]]


def _shown(line: bytes) -> str:
    return masked(printable(line[:MAX_LINE]))


def printable(line: bytes) -> str:
    """Return a line of the network's or a program's making as text that can forge nothing."""
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", line.decode("utf-8", "backslashreplace"))
