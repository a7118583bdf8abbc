"""Which pppd is installed: what it can do decides about options of the peer file.

pppd cannot be asked from the helper's cage: before it answers `--version` it drops privileges to read ~/.ppprc, which
the cage forbids. So the version is read from the program itself, which names its folder of plugins
(`/usr/lib/pppd/2.4.9`). An upgrade that replaces the program is noticed at the next dial.
"""

import logging
import re
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

PPPD: Final = Path("/usr/sbin/pppd")
OLDEST: Final = (2, 4, 9)  # that Cablecar is for
_PLUGINS: Final = re.compile(rb"/pppd/([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\0")

Version = tuple[int, int, int]


class Pppd:
    """The installed pppd."""

    def __init__(self, path: Path = PPPD) -> None:
        self._path = path
        self._known: tuple[tuple[int, int, int], Version] | None = None

    def version(self) -> Version:
        """Return its version; the oldest that there is for one that does not tell.

        Raises:
            OSError: It is not there.
        """
        facts = self._path.stat()
        identity = facts.st_ino, facts.st_size, facts.st_mtime_ns
        if self._known is None or self._known[0] != identity:
            self._known = identity, self._read()
        return self._known[1]

    def _read(self) -> Version:
        if (match := _PLUGINS.search(self._path.read_bytes())) is None:
            log.warning("%s does not tell its version; taken for %d.%d.%d", self._path, *OLDEST)
            return OLDEST
        return int(match[1]), int(match[2]), int(match[3])
