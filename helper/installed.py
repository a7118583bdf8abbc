"""Which pppd is installed: what it can do decides about options of the peer file.

Asked once of each file at /usr/sbin/pppd: an upgrade that replaces it is noticed at the next dial.
"""

import asyncio
import os
import re
from pathlib import Path
from typing import Final

from cablecar.helper import reasons
from cablecar.helper.errors import CallFailed

PPPD: Final = Path("/usr/sbin/pppd")
PATIENCE: Final = 10.0  # seconds
_VERSION: Final = re.compile(rb"pppd version (\d+)\.(\d+)\.(\d+)")

Version = tuple[int, int, int]


class Pppd:
    """The installed pppd."""

    def __init__(self, path: Path = PPPD) -> None:
        self._path = path
        self._known: tuple[tuple[int, int, int], Version] | None = None

    async def version(self) -> Version:
        """Return its version.

        Raises:
            CallFailed: It is not there, or does not say.
        """
        try:
            facts = os.stat(self._path)
            identity = facts.st_ino, facts.st_size, facts.st_mtime_ns
            if self._known is None or self._known[0] != identity:
                self._known = identity, await self._ask()
            return self._known[1]
        except (OSError, TimeoutError, ValueError):
            raise CallFailed(reasons.PROGRAM_MISSING) from None

    async def _ask(self) -> Version:
        process = await asyncio.create_subprocess_exec(
            self._path,
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            raise
        if (match := _VERSION.search(output)) is None:
            raise ValueError("no version in its answer")
        return int(match[1]), int(match[2]), int(match[3])
