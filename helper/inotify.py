"""inotify(7): tells that files changed. Two functions of libc are called: the standard library has no binding."""

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

MODIFIED: Final = 0x2  # IN_MODIFY
MOVED_IN: Final = 0x80  # IN_MOVED_TO
REPLACED: Final = 0x4 | 0x800  # IN_ATTRIB, told also when the name is lost, and IN_MOVE_SELF


def follow(on_change: Callable[[], None]) -> int:
    """Call `on_change` in the event loop when something that is watched has happened; return what `watch` needs.

    Raises:
        OSError: There are too many.
    """
    descriptor: int = ctypes.CDLL(None, use_errno=True).inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")

    def changed() -> None:
        os.read(descriptor, 4096)
        on_change()

    asyncio.get_running_loop().add_reader(descriptor, changed)
    return descriptor


def watch(descriptor: int, path: Path, events: int) -> None:
    """Watch a file, or the files of a folder; once more changes nothing.

    Raises:
        OSError: It is not there, or there are too many.
    """
    if ctypes.CDLL(None, use_errno=True).inotify_add_watch(descriptor, os.fsencode(path), events) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(path))
