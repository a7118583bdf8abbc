"""What is kept on disk about links: settings, secrets, and what the user wants.

    /etc/cablecar/links/NAME.toml     settings, for people to read and edit
    /etc/cablecar/secrets/NAME        the password, as bytes
    /var/lib/cablecar/wishes/NAME     the uid of who wants the link up; no file means down. A wish outlives a reboot

A file that cannot be read harms no other link: it is reported and left alone.
"""

import logging
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cablecar.helper import safefile
from cablecar.helper.errors import CablecarError, StorageFailed
from cablecar.helper.names import LINK_NAME
from cablecar.helper.settings import Settings, parse

log = logging.getLogger(__name__)

AUTOMATIC = -1  # in place of a uid: nobody asked, the link is to be up since boot


@dataclass(frozen=True, slots=True)
class Store:
    """The folders of this machine, or of a test.

    Attributes:
        configuration: `/etc/cablecar`.
        state: `/var/lib/cablecar`.
    """

    configuration: Path = Path("/etc/cablecar")
    state: Path = Path("/var/lib/cablecar")

    def load_links(self) -> dict[str, Settings]:
        """Return every link whose file is in order; name the others in the log with the reason."""
        found = {}
        for path in sorted(self._folder(self.configuration / "links").glob("*.toml")):
            try:
                found[path.stem] = _load(path)
            except (CablecarError, OSError, ValueError) as error:
                log.error("%s is left out: %s", path, error)
        return found

    def save_link(self, name: str, settings: Settings) -> None:
        """Write a link's settings.

        Raises:
            StorageFailed: They could not be written; nothing changed.
        """
        safefile.replace(self._settings_path(name), _toml(settings))

    def save_password(self, name: str, password: bytes) -> None:
        """Store a link's password, readable by root only.

        Raises:
            StorageFailed: It could not be written; the old one is intact.
        """
        safefile.replace(self._secret_path(name), password)

    def password(self, name: str) -> bytes | None:
        """Return a link's password, None when none was set.

        Raises:
            StorageFailed: The file is not in order.
        """
        try:
            return safefile.read(self._secret_path(name)) or None
        except FileNotFoundError:
            return None

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

    def forget(self, name: str) -> None:
        """Remove everything about a link; the settings last, so that a kill in between leaves a link to remove.

        Raises:
            StorageFailed: Something could not be removed.
        """
        self.save_wish(name, None)
        safefile.remove(self._secret_path(name))
        safefile.remove(self._settings_path(name))

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


def _load(path: Path) -> Settings:
    if LINK_NAME.fullmatch(path.stem) is None:
        raise ValueError("its name is not one that a link can have ([a-z][a-z0-9_]{0,30})")
    return parse(tomllib.loads(safefile.read(path).decode()))


def _toml(settings: Settings) -> bytes:
    # Imported where it is needed: writing is rare, and tomlkit is large.
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment("A Cablecar link. After editing: systemctl restart cablecar-helper (links stay up)."))
    values: dict[str, Any] = settings.as_dict()
    for key, value in values.items():
        document.add(key, value)
    return tomlkit.dumps(document).encode()
