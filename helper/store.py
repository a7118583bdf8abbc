"""What is kept on disk about links: settings, secrets, and what the user wants.

    /etc/cablecar/links/NAME.toml     settings, for people to read and edit
    /etc/cablecar/secrets/NAME        the password, in UTF-8
    /var/lib/cablecar/wishes/NAME     the uid of who wants the link up; no file means down. A wish outlives a reboot
    /var/lib/cablecar/strict/NAME     there while strict mode holds for the link: its local networks, one a line
    /run/cablecar/NAME.json           what the helper leaves for the next one of this boot: the call, or the rest

A file that cannot be read harms no other link: it is reported and left alone.
"""

import contextlib
import fcntl
import json
import logging
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from cablecar.helper import safefile
from cablecar.helper.carriers import BY_PROTOCOL
from cablecar.helper.errors import CablecarError, InvalidPassword, InvalidSetting, StorageFailed, printable
from cablecar.helper.names import LINK_NAME
from cablecar.helper.settings import Preset, Settings, check, check_password, fill, parse

if TYPE_CHECKING:
    from tomlkit.items import Array

log = logging.getLogger(__name__)

AUTOMATIC: Final = -1  # in place of a uid: nobody asked, the link is to be up since boot
# Files in `run` (lookup.py).
_ERRANDS: Final = ("lookup", "resolv", "addresses", "probe", "probed", "question", "answers")
_WRITTEN: Final = tuple(ending for carrier in BY_PROTOCOL.values() for ending in carrier.endings)  # written by call.py
_HEAD: Final = "A Cablecar link. After editing: busctl call org.cablecar1 /org/cablecar1 org.cablecar1.Manager Reload"

Presets = Callable[[], Mapping[str, Preset]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the settings files say.

    Attributes:
        links: The settings of each link whose file is in order.
        broken: A sentence with file name and line for each of the others.
    """

    links: dict[str, Settings] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


class Dialed(NamedTuple):
    """The call of a link that runs.

    Attributes:
        settings: What it was dialed with.
        dialed_at: Seconds of the wall clock; 0 when it is not known.
        connected_at: Likewise, when it came up; 0 while it has not.
        up_since: The same moment in seconds of the machine's clock (CLOCK_BOOTTIME); 0 while it has not come up.
        cable: The index of the interface that it goes by; 0 while that is not known.
        by_hand: Whether somebody else has started its unit.
    """

    settings: Settings
    dialed_at: float = 0.0
    connected_at: float = 0.0
    up_since: float = 0.0
    cable: int = 0
    by_hand: bool = False


class Rest(NamedTuple):
    """What a link without a call was last known to be; times as in `link.Status`."""

    state: str
    reason: str
    since: float
    attempt: int = 0
    next_retry: float = 0.0


@dataclass(frozen=True, slots=True)
class Store:
    """The folders of this machine, or of a test.

    Attributes:
        configuration: `/etc/cablecar`.
        state: `/var/lib/cablecar`.
        run: `/run/cablecar`.
    """

    configuration: Path = Path("/etc/cablecar")
    state: Path = Path("/var/lib/cablecar")
    run: Path = Path("/run/cablecar")

    def sweep(self) -> None:
        """Remove what a killed helper has left half written, and its questions that nobody waits for any more."""
        for folder in ("links", "secrets"):
            safefile.sweep(self.configuration / folder)
        for folder in ("wishes", "history", "strict"):
            safefile.sweep(self.state / folder)
        safefile.sweep(self.run)
        for kind in _ERRANDS:
            safefile.sweep(self.run, f"*.{kind}")

    def load_links(self, presets: Presets) -> Loaded:
        """Return what all settings files say; `presets` is only called when one of them names a provider."""
        loaded = Loaded()
        for path in safefile.toml_files(self._folder(self.configuration / "links")):
            try:
                if LINK_NAME.fullmatch(path.stem) is None:
                    raise InvalidSetting(f"{path}: the name is not one that a link can have ([a-z][a-z0-9_]{{0,30}}).")
                loaded.links[path.stem] = self.load_link(path.stem, presets)
            except (CablecarError, OSError) as error:
                loaded.broken[path.stem] = str(error)
                log.error("%s is left out: %s", printable(path), error)
        return loaded

    def has_link(self, name: str) -> bool:
        """Return whether there is a settings file of this name, in order or not."""
        return self._settings_path(name).exists()

    def load_link(self, name: str, presets: Presets) -> Settings:
        """Return what a link's file says.

        Raises:
            FileNotFoundError: There is none.
            InvalidSetting: It says something wrong; the sentence names the file and, where known, the line.
            StorageFailed: It is not safe to read.
        """
        path = self._settings_path(name)
        text = ""
        try:
            text = safefile.read(path).decode("utf-8-sig")  # some editors put a mark before the first line
            values = tomllib.loads(text)
            return parse(_filled(path, values, presets) if "provider" in values else values)
        # Also UnicodeDecodeError, and what `int` says of thousands of digits; RecursionError: thousands of brackets.
        except (ValueError, RecursionError) as error:
            raise InvalidSetting(f"{path}: {error}.") from None
        except InvalidSetting as error:
            line = _line_of(error.key, text)
            raise InvalidSetting(f"{path}{f', line {line}' if line else ''}: {error}", error.key) from None

    def save_link(self, name: str, settings: Settings, remarks: Sequence[str] = ()) -> None:
        """Write a link's settings; what people wrote around them in the file stays. A new file begins with `remarks`.

        Raises:
            StorageFailed: They could not be written; nothing changed.
        """
        path = self._settings_path(name)
        try:
            old = safefile.read(path).decode("utf-8-sig")
        except FileNotFoundError:
            old = "".join(f"# {line}\n" for line in (_HEAD, *remarks))
        safefile.replace(path, _edited(old, settings))

    def leave(self, name: str, what: Dialed | Rest) -> None:
        """Leave word of a link for the next helper of this boot.

        Raises:
            StorageFailed: It could not be written.
        """
        values = what._asdict() | ({"settings": what.settings.as_dict()} if isinstance(what, Dialed) else {})
        safefile.replace(self.run / f"{name}.json", json.dumps({type(what).__name__.lower(): values}).encode())

    def dialed(self, name: str) -> Dialed | None:
        """Return what the last helper left of the call that runs, None when nothing is known."""
        values = self._left(name).get("dialed")
        try:
            return None if values is None else Dialed(**values | {"settings": parse(values["settings"])})
        except (CablecarError, TypeError, KeyError) as error:
            log.warning("what the call of link %s was dialed with cannot be read: %s", name, error)
            return None

    def rest(self, name: str) -> Rest | None:
        """Return what the last helper left of a link without a call, None when nothing is known."""
        values = self._left(name).get("rest")
        try:
            return None if values is None else Rest(**values)
        except TypeError as error:
            log.warning("what link %s was before cannot be read: %s", name, error)
            return None

    def _left(self, name: str) -> dict[str, Any]:
        try:
            values = json.loads(safefile.read(self.run / f"{name}.json"))
            return values if type(values) is dict else {}
        except FileNotFoundError:
            return {}
        except (StorageFailed, ValueError) as error:
            log.warning("what the last helper left of link %s cannot be read: %s", name, error)
            return {}

    def save_password(self, name: str, password: bytes) -> None:
        """Store a link's password, readable by root only.

        Raises:
            StorageFailed: It could not be written; the old one is intact.
        """
        safefile.replace(self._secret_path(name), password)

    def remembered(self) -> set[str]:
        """Return the names of which something is kept that another link of that name must not inherit."""
        folders = (self.configuration / "secrets", self.state / "wishes", self.state / "strict")
        names = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
        return {name for name in names if LINK_NAME.fullmatch(name)}

    def password(self, name: str) -> bytes | None:
        """Return a link's password, None when none was set.

        Raises:
            StorageFailed: The file is not in order, or holds what `SetPassword` would not take.
        """
        path = self._secret_path(name)
        try:
            text = safefile.read(path).decode().removesuffix("\n")  # an editor, or `echo`, ends it so
            return check_password(text) if text else None
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise StorageFailed(f"{path}: The password is not in UTF-8.") from None
        except InvalidPassword as error:
            raise StorageFailed(f"{path}: {error}") from None

    def save_wish(self, name: str, uid: int | None) -> None:
        """Remember that user `uid` wants the link up, or with None that nobody does."""
        path = self._folder(self.state / "wishes") / name
        if uid is None:
            safefile.remove(path)
        else:
            safefile.replace(path, f"{uid}\n".encode())

    def wish(self, name: str) -> int | None:
        """Return who wants the link up. Unreadable means nobody: not dialing is the safe side."""
        try:
            return int(safefile.read(self.state / "wishes" / name))
        except FileNotFoundError:
            return None
        except (StorageFailed, ValueError) as error:
            log.warning("the wish for link %s is unreadable and taken for down: %s", name, error)
            return None

    def save_strict(self, name: str, local: Sequence[str] | None) -> None:
        """Remember that strict mode holds for a link, but for these local networks; or with None that it does not."""
        path = self._folder(self.state / "strict") / name
        if local is None:
            safefile.remove(path)
        else:
            safefile.replace(path, "".join(f"{network}\n" for network in local).encode())

    def strict(self) -> dict[str, tuple[str, ...]]:
        """Return the links that strict mode holds for, each with its local networks: none where they are unreadable."""
        folder = self._folder(self.state / "strict")
        return {path.name: _networks(path) for path in folder.iterdir() if LINK_NAME.fullmatch(path.name)}

    def forget(self, name: str) -> None:
        """Remove everything about a link; the settings last, so that a kill in between leaves a link to remove.

        Raises:
            StorageFailed: Something could not be removed.
        """
        self.save_wish(name, None)
        self.save_strict(name, None)
        for kind in ("json", "log", "byhand.log", "dns", *_WRITTEN, *_ERRANDS):
            safefile.remove(self.run / f"{name}.{kind}")
        self._forget_hooks(name)
        safefile.remove(self._secret_path(name))
        safefile.remove(self._settings_path(name))

    def _forget_hooks(self, name: str) -> None:
        """Remove the record of a call that died before its scripts were run; while some run, it is theirs to remove."""
        path = self.run / f"{name}.hooks"
        with contextlib.suppress(FileNotFoundError, BlockingIOError), open(path, "rb") as record:
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
            safefile.remove(path)

    def _settings_path(self, name: str) -> Path:
        return self._folder(self.configuration / "links") / f"{name}.toml"

    def _secret_path(self, name: str) -> Path:
        return self._folder(self.configuration / "secrets") / name

    @staticmethod
    def _folder(path: Path) -> Path:
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StorageFailed(f"{path} cannot be made: {error.strerror}.") from error
        return path


def _networks(path: Path) -> tuple[str, ...]:
    try:
        lines = safefile.read(path).decode().split()
        return tuple(check("strict", lines)) if lines else ()
    except (CablecarError, OSError, UnicodeDecodeError) as error:
        log.warning("%s is taken for strict mode without local networks: %s", path, error)
        return ()


def _filled(path: Path, values: Mapping[str, object], presets: Presets) -> Mapping[str, object]:
    try:
        return fill(values, presets())
    except InvalidSetting as error:
        # A preset that is no more must not take down a link whose file says all that is needed.
        if "server" not in values:
            raise
        log.warning("%s: %s", path, error)
        return values


def _line_of(key: str, text: str) -> int:
    """Return the number of the first line that sets `key` or something in it, 0 when none does."""
    match = re.search(rf"^[ \t\[]*[\"']?{re.escape(key)}[\"']?[ \t]*[=.\]]", text, re.MULTILINE) if key else None
    return text.count("\n", 0, match.start()) + 1 if match else 0


def _edited(old: str, settings: Settings) -> bytes:
    # Imported where it is needed: writing is rare, and tomlkit is large.
    import tomlkit

    document = tomlkit.parse(old)
    present = document.unwrap()
    values = settings.as_dict()
    for key in present:
        # What a file says is never taken out, only changed: a comment beside it may be somebody's.
        if key not in values:
            values[key] = getattr(settings, key)
    for key, value in values.items():
        plain = list(value) if isinstance(value, tuple) else value
        if key in present and check(key, present[key]) == check(key, plain):
            continue
        if isinstance(plain, list) and isinstance(present.get(key), list):
            array = cast("Array", document[key])
            _edit_list(array, plain)
            if _is_list_of(array.as_string(), key, plain):
                continue
        document[key] = plain
    return tomlkit.dumps(document).encode()


def _is_list_of(text: str, key: str, wanted: object) -> bool:
    """Return whether an edited list says what it should: tomlkit spoils one whose comma stands behind a comment."""
    try:
        return bool(check(key, tomllib.loads(f"list = {text}")["list"]) == check(key, wanted))
    except (ValueError, InvalidSetting):
        return False


def _edit_list(items: "Array", wanted: Sequence[str]) -> None:
    """Take out and put in what differs, in its place: the comments beside the others stay."""
    from difflib import SequenceMatcher

    changes = SequenceMatcher(None, [*items], wanted, autojunk=False).get_opcodes()
    for change, begin, end, wanted_begin, wanted_end in reversed(changes):
        if change != "equal":
            for _ in range(begin, end):
                del items[begin]
            for place, item in enumerate(wanted[wanted_begin:wanted_end], begin):
                items.insert(place, item)
