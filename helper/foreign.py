"""What the readers of foreign configurations share: files read with care, and what becomes of one of their lines.

Reads and never writes. Foreign text is data: no name from outside becomes a path, and no foreign value but a name gets
into a sentence or the log: it may be a secret.
"""

import logging
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cablecar.helper.errors import InvalidPassword, PeerNotUsable
from cablecar.helper.settings import MTU_RANGE, OFFERED_BY_DEFAULT, check_password

log = logging.getLogger(__name__)

MAX_FILE: Final = 1 << 16  # bytes
MAX_FILES: Final = 256  # of one folder
IPSEC: Final = "It protects L2TP by IPsec, which Cablecar does not do: without it, all would be readable."
HOST: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(slots=True)
class Line:
    """A line to a provider as a foreign configuration has it, while that is being read.

    Attributes:
        title: Its name for people.
        settings: Keys of the settings' vocabulary; only what was found.
        options: pppd's, where it is dialed by pppd's own options; empty for a profile of NetworkManager.
        link: pppd's `linkname` among them: the name of its pid file and of its folders of scripts.
        profile: The UUID of a profile of NetworkManager.
    """

    title: str
    settings: dict[str, object]
    password: str | None = None
    left_out: list[str] = field(default_factory=list)
    options: Mapping[str, list[bytes]] = field(default_factory=dict)
    link: str = ""
    profile: str = ""


def names(text: str) -> frozenset[str]:
    """Return the words of a table that is written as one text."""
    return frozenset(text.split())


def decoded(value: bytes, what: str) -> str:
    """Return a value of a peer file as text; `what` names it for people."""
    try:
        return one_line(value.decode(), what)
    except UnicodeDecodeError:
        raise PeerNotUsable(f"Its {what} is not in UTF-8. Convert the file, for example with iconv.") from None


def one_line(text: str, what: str) -> str:
    """Return `text`, which must have no control characters."""
    if any(unicodedata.category(char) == "Cc" for char in text):
        raise PeerNotUsable(f"Its {what} has control characters.")
    return text


def take_methods(line: Line, methods: list[str]) -> None:
    """Note the methods by which the line may log in, where some of ours are refused.

    Raises:
        PeerNotUsable: All of them are refused.
    """
    if not methods:
        raise PeerNotUsable("It refuses PAP, CHAP and MS-CHAPv2, so there is no way to log in.")
    if len(methods) < len(OFFERED_BY_DEFAULT):
        line.settings["authentication"] = methods


def take_mtu(line: Line, text: str) -> None:
    """Take an MTU over, or tell that it was left out."""
    low, high = MTU_RANGE
    if re.fullmatch(r"[0-9]{1,5}", text) and low <= int(text) <= high:
        line.settings["mtu"] = int(text)
    elif text and text != "0":
        line.left_out.append(f"`mtu` was left out: it is not from {low} to {high}.")


def take_password(line: Line, value: bytes | None) -> None:
    """Take a password over, or tell why there is none."""
    try:
        if value is not None:
            password = value.decode()
            check_password(password)
            line.password = password
            return
        line.left_out.append("There is no password for this user: set the password.")
    except UnicodeDecodeError:
        line.left_out.append("The password is not in UTF-8: set the password.")
    except InvalidPassword as error:
        line.left_out.append(f"{error} Set the password.")


def shown(names: Iterable[str]) -> str:
    """Return names as they stand in a sentence."""
    return ", ".join(f"`{name}`" for name in sorted(names))


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder and has a name that can be shown, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if entry.name.isprintable()), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("%s is left out: %s", folder, error.strerror)
        return []


def files(folder: Path) -> dict[str, Path]:
    """Return the plain files of a folder by name, without hidden ones."""
    plain = [entry for entry in entries(folder) if entry.is_file(follow_symlinks=False) and entry.name[0] != "."]
    return {entry.name: folder / entry.name for entry in plain[:MAX_FILES]}


def read(path: Path, limit: int = MAX_FILE) -> bytes | None:
    """Return what is in a file, None when there is none or when it is no plain file of at most `limit` bytes."""
    try:
        # O_NONBLOCK: a FIFO put in its place must not hold us.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            facts = os.fstat(file.fileno())
            if stat.S_ISREG(facts.st_mode) and facts.st_size <= limit:
                return file.read(limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s is left out: %s", path, error.strerror)
        return None
    log.warning("%s is left out: it is no plain file of at most %d bytes", path, limit)
    return None
