"""The past calls of each link: `/var/lib/cablecar/history/NAME.json`, the newest last.

A record is written when a call has ended; the file is always whole and holds the last `KEPT` of them. One that cannot
be read counts as empty: nothing depends on it.
"""

import json
import logging
from pathlib import Path
from typing import Final, NamedTuple

from cablecar.helper import safefile
from cablecar.helper.errors import StorageFailed

log = logging.getLogger(__name__)

KEPT: Final = 300  # records of one link; they fit safefile.MAX_BYTES


class Record(NamedTuple):
    """One call that is over. Times are microseconds since the epoch.

    Attributes:
        dialed: When it was dialed; 0 when that is not known.
        connected: When it came up; 0 when it never did.
        ended: When it ended.
        reason: The id of the reason that it ended for.
        received: Bytes that came through it, as pppd counted them; 0 when it did not say.
        sent: Bytes that went through it.
    """

    dialed: int
    connected: int
    ended: int
    reason: str
    received: int = 0
    sent: int = 0


class History:
    """The records of all links.

    Args:
        folder: Where the files are; it is made when needed.
    """

    def __init__(self, folder: Path = Path("/var/lib/cablecar/history")) -> None:
        self._folder = folder

    def add(self, link: str, record: Record) -> None:
        """Add a record; when that fails it is lost, and the log says so."""
        records = [*self.read(link, KEPT - 1), record]
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            safefile.replace(self._path(link), json.dumps(records).encode())
        except (OSError, StorageFailed) as error:
            log.error("link %s: its history could not be written: %s", link, error)

    def read(self, link: str, count: int) -> list[Record]:
        """Return the last `count` records."""
        try:
            return [Record(*row) for row in json.loads(safefile.read(self._path(link)))][-count:]
        except FileNotFoundError:
            return []
        except (StorageFailed, ValueError, TypeError) as error:
            log.warning("the history of link %s is unreadable and begins anew: %s", link, error)
            return []

    def forget(self, link: str) -> None:
        """Remove a link's records.

        Raises:
            StorageFailed: They could not be removed.
        """
        safefile.remove(self._path(link))

    def _path(self, link: str) -> Path:
        return self._folder / f"{link}.json"
