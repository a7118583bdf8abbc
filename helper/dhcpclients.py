"""The lease of an interface, from whichever program holds it; and word when one of them has written anew.

Only reads, and only what DHCP clients leave in their own folders (`leases.py` knows the formats), never by a name from
outside: of a folder's files those count that begin as the client's own do. NetworkManager keeps no such file and is
asked over D-Bus, if it runs. A lease whose address the interface does not have is an old one and counts for nothing.
"""

import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from cablecar.helper import inotify, leases
from cablecar.helper.bus import DBUS, Bus, CallError
from cablecar.helper.leases import Lease
from cablecar.helper.plan import Interface
from cablecar.helper.wire import plain

log = logging.getLogger(__name__)

MANAGER: Final = ("org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager", "org.freedesktop.NetworkManager")
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
MANAGER_LIMIT: Final = 1.0  # seconds that NetworkManager may take for each answer; repairs wait for it
MAX_FILE: Final = 1 << 16  # bytes at the end of a file: dhclient appends
MAX_FILES: Final = 32  # the newest
_NETWORKD: Final = Path("run/systemd/netif/leases")
_DEVICES: Final = Path("run/NetworkManager/devices")
_DHCLIENT: Final = (Path("var/lib/dhcp"), Path("var/lib/NetworkManager"))
_DHCLIENT_FILE: Final = re.compile(r"dhclient.*\.leases?")
_DHCPCD: Final = (Path("var/lib/dhcpcd"), Path("var/lib/dhcpcd5"))


class Leases:
    """What the DHCP clients of this machine have.

    Args:
        bus: Where NetworkManager is asked.
        root: Where the file system begins.
    """

    def __init__(self, bus: Bus, root: Path = Path("/")) -> None:
        self._bus = bus
        self._root = root
        self._descriptor = -1
        self._told: set[Path] = set()

    def follow(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` in the event loop when a client has written; call once, before the first lease is read."""
        self._descriptor = inotify.follow(on_change)

    async def of(self, interface: Interface) -> Lease | None:
        """Return the lease of an interface, None when nobody is known to have one for the address that it has."""
        if self._descriptor >= 0:
            self._watch_folders()
        found = [await self._from_network_manager(interface), *self._from_files(interface)]
        return next((lease for lease in found if lease is not None and lease.address in interface.addresses), None)

    def _watch_folders(self) -> None:
        # Each time: a folder may appear with the client that is started.
        for folder in (_NETWORKD, _DEVICES, *_DHCLIENT, *_DHCPCD):
            try:
                inotify.watch(self._descriptor, self._root / folder, inotify.MODIFIED | inotify.MOVED_IN)
            except FileNotFoundError:
                continue  # that client is not here
            except OSError as error:
                self._complain(folder, os.strerror(error.errno or 0))

    def _from_files(self, interface: Interface) -> Iterator[Lease | None]:
        """Yield what the clients' files say, the last written first: a client of before has left its own behind."""
        # Of a wireless network the name is IF-SSID.lease.
        of_dhcpcd = re.compile(rf"(?:dhcpcd-)?{re.escape(interface.name)}(?:-.*)?\.lease")
        kinds: tuple[tuple[tuple[Path, ...], re.Pattern[str], Callable[[bytes], Lease | None]], ...] = (
            ((_NETWORKD,), re.compile(str(interface.index)), lambda data: leases.of_networkd(_text(data))),
            (_DHCLIENT, _DHCLIENT_FILE, lambda data: leases.of_dhclient(_text(data), interface.name)),
            (_DHCPCD, of_dhcpcd, leases.of_dhcpcd),
        )
        found = [(*file, read) for folders, name, read in kinds for file in self._files(folders, name)]
        for _, path, read in sorted(found, key=itemgetter(0), reverse=True)[:MAX_FILES]:
            if data := self._read(path):
                yield read(data)

    async def _from_network_manager(self, interface: Interface) -> Lease | None:
        if not (self._root / _DEVICES / str(interface.index)).exists():
            return None
        name = MANAGER[0]
        try:
            # It must not be started by our question.
            if not (await self._bus.ask(DBUS, "NameHasOwner", "s", [name], MANAGER_LIMIT))[0]:
                return None
            (device,) = await self._bus.ask(MANAGER, "GetDeviceByIpIface", "s", [interface.name], MANAGER_LIMIT)
            configuration = await self._property(device, f"{name}.Device", "Dhcp4Config")
            if configuration == "/":
                return None  # it has the interface, but by no lease
            return leases.of_network_manager(await self._property(configuration, f"{name}.DHCP4Config", "Options"))
        except CallError as error:
            log.warning("NetworkManager does not tell the lease of %s: %s", interface.name, error)
            return None

    async def _property(self, path: str, interface: str, name: str) -> Any:
        target = (MANAGER[0], path, PROPERTIES)
        (value,) = await self._bus.ask(target, "Get", "ss", [interface, name], MANAGER_LIMIT)
        return plain(value)

    def _files(self, folders: Iterable[Path], name: re.Pattern[str]) -> Iterator[tuple[int, Path]]:
        """Yield when each file of some folders that has such a name was written, and where it is."""
        for folder in folders:
            try:
                with os.scandir(self._root / folder) as entries:
                    for entry in entries:
                        if name.fullmatch(entry.name):
                            yield entry.stat(follow_symlinks=False).st_mtime_ns, Path(entry.path)
            except FileNotFoundError:
                continue  # that client is not here, or has just written anew
            except OSError as error:
                self._complain(folder, os.strerror(error.errno or 0))

    def _read(self, path: Path) -> bytes:
        """Return the end of a plain file; nothing when there is none."""
        try:
            # O_NONBLOCK: a FIFO put in its place must not hold us.
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                facts = os.fstat(file.fileno())
                if stat.S_ISREG(facts.st_mode):
                    file.seek(max(0, facts.st_size - MAX_FILE))
                    return file.read(MAX_FILE)
                self._complain(path, "it is no plain file")
        except FileNotFoundError:
            pass
        except OSError as error:
            self._complain(path, os.strerror(error.errno or 0))
        return b""

    def _complain(self, path: Path, why: str) -> None:
        if path not in self._told:
            self._told.add(path)
            log.warning("leases in %s are left out: %s", path, why)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
