"""/etc/resolv.conf while links are up. Runs outside of the helper's cage: in the hooks, in cablecar-resolver.service.

Who owns the file:

    systemd-resolved    it leads to a file of its own: it is left alone, `resolved.py` speaks to the owner
    resolvconf          that program is installed: the hooks of the distribution get the servers and hand them on
    nobody              then it is ours from the coming up of the first link to the going down of the last

What was there before stands beside it under another name, the very same file, and is put back by a rename, so it is the
same to the last byte and attribute. Whoever writes the file meanwhile, such as a DHCP client, has written what is put
back; but not who makes his out of ours, as vpnc-script and pppd's own hook do: they put ours back when they end.
/run/cablecar/servers/NAME has what each link that is up brings. `restore` is all the repair there is, after a kill, a
power cut or a foreign hand; doing it twice changes nothing.
"""

import contextlib
import fcntl
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

FILE: Final = Path("/etc/resolv.conf")
STATE: Final = Path("/run/cablecar")
INTERFACES: Final = Path("/sys/class/net")
RESOLVCONF: Final = Path("/sbin/resolvconf")
MARK: Final = "# Made by Cablecar while a link is up; what was here before is in "
MOST_SERVERS: Final = 3  # resolv.conf(5), MAXNS: further ones are ignored
BESIDE: Final = ".before-cablecar"
SERVERS: Final = ("DNS1", "DNS2", "USEPEERDNS")  # pppd's variables that name servers
RECORDS: Final = "servers"  # in /run/cablecar
_NEW: Final = ".cablecar-new"
_RESOLVEDS: Final = ("/run/systemd/resolve/", "/usr/lib/systemd/", "/lib/systemd/")
_STUBS: Final = (["nameserver", "127.0.0.53"], ["nameserver", "127.0.0.54"])
_MOST: Final = 65536  # bytes; no more of a file is read
_ADDRESS: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_WISH: Final = re.compile(rf"peer|none|{_ADDRESS.pattern}(?: {_ADDRESS.pattern})*")


class Resolver:
    """The file and what it is made of.

    Args:
        tell: Called with a sentence when something cannot be done.
        file: The file, or a symbolic link to it.
        state: `/run/cablecar`.
        interfaces: Has an entry for each network interface.
        resolvconf: The program.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        file: Path = FILE,
        state: Path = STATE,
        interfaces: Path = INTERFACES,
        resolvconf: Path = RESOLVCONF,
    ) -> None:
        self._tell = tell
        self._link = file
        self._file = Path(os.path.realpath(file))
        self._before = self._file.with_name(self._file.name + BESIDE)
        self._state = state
        self._records = state / RECORDS
        self._interfaces = interfaces
        self._resolvconf = resolvconf

    @property
    def owner(self) -> str:
        """Who owns the file: `systemd-resolved`, `resolvconf`, or nobody, which is empty."""
        lines = read(self._file).splitlines()
        if str(self._file).startswith(_RESOLVEDS) or any(line.split()[:2] in _STUBS for line in lines):
            return "systemd-resolved"
        # systemd-resolved's package brings a resolvconf too, which only speaks to itself.
        if os.access(self._resolvconf, os.X_OK) and not os.path.realpath(self._resolvconf).endswith("resolvectl"):
            return "resolvconf"
        return ""

    def up(self, link: str, variables: Mapping[str, str]) -> dict[str, str]:
        """Bring the servers of a link that has come up; return its variables with them, for the scripts.

        A link that the helper has not dialed since the boot has no wish, and gets what pppd and the distribution do.
        """
        wish = read(self._state / f"{link}.dns").strip()
        if not _WISH.fullmatch(wish):
            return dict(variables)
        servers = _chosen(wish, variables)
        others = {name: value for name, value in variables.items() if name not in SERVERS}
        owner = self.owner
        if servers and not owner:
            self._note(link, [variables.get("IFNAME", ""), *servers])
        # By this the distribution's hook knows that it is to act: of resolvconf's, not of the file.
        told = {"USEPEERDNS": "1"} if servers and owner == "resolvconf" else {}
        return {**others, **told, **dict(zip(("DNS1", "DNS2"), servers, strict=False))}

    def down(self, link: str) -> None:
        """Take the servers of a link away."""
        if (self._records / link).exists():
            self._note(link, [])

    def _note(self, link: str, lines: list[str]) -> None:
        """Write down what a link brings, and act on it."""
        record = self._records / link
        try:
            with self._alone():
                self._records.mkdir(mode=0o700, exist_ok=True)
                record.write_text("\n".join(lines) + "\n") if lines else record.unlink(missing_ok=True)
        except OSError as error:
            self._tell(f"{record}: {error.strerror}")
        self.restore()

    def restore(self) -> None:
        """Make the file what the links that are up want, else what it was before."""
        try:
            with self._alone():
                if (servers := self._wanted()) and not self.owner:
                    self._write(servers)
                else:
                    self._forget()
                    self._put_back()
        except OSError as error:
            self._forget()  # nobody tries again and again what cannot be done
            with contextlib.suppress(OSError):
                self._put_back()  # half of it may be done
            self._tell(f"{self._link} stays as it is: {error.filename or self._file}: {error.strerror}")

    def _wanted(self) -> list[str]:
        """Return the servers of the links that are up, the newest first; forget links whose interface is gone."""
        found: list[str] = []
        for record in sorted(self._records.glob("*"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
            interface, *servers = read(record).splitlines() or [""]
            if interface and (self._interfaces / interface).exists():
                found += servers
            else:
                record.unlink(missing_ok=True)
        return list(dict.fromkeys(found))

    def _forget(self) -> None:
        for record in self._records.glob("*"):
            record.unlink(missing_ok=True)

    def _write(self, servers: list[str]) -> None:
        present = read(self._file)
        made_of_ours = MARK in present and self._before.exists()
        if self._file.exists() and not made_of_ours and not is_ours(present):
            # Somebody's: from now on it is what is put back.
            self._before.unlink(missing_ok=True)
            os.link(self._file, self._before)
        text = resolv_conf(read(self._before), servers, str(self._before))
        if text != present:
            self._replace(text)

    def _put_back(self) -> None:
        present = read(self._file)
        if MARK not in present:
            self._before.unlink(missing_ok=True)  # somebody has written the file since
        elif self._before.exists():
            os.rename(self._before, self._file)
        elif is_ours(present):
            self._file.unlink()  # there was none

    def _replace(self, text: str) -> None:
        new = self._file.with_name(self._file.name + _NEW)
        new.unlink(missing_ok=True)
        mode = stat.S_IMODE(self._file.stat().st_mode) if self._file.exists() else 0o644
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(new, flags, 0o600), "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
                os.fchmod(file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())
            os.rename(new, self._file)
        finally:
            new.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with open(self._state / "resolver.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def resolv_conf(before: str, servers: Sequence[str], kept_in: str) -> str:
    """Return the file that names these servers and leaves what else was there (`before`) as it was."""
    rest = [line for line in before.split("\n") if line.split()[:1] != ["nameserver"]]
    text = "\n".join([f"{MARK}{kept_in}", *(f"nameserver {server}" for server in servers[:MOST_SERVERS]), *rest])
    return text if text.endswith("\n") else f"{text}\n"


def is_ours(text: str) -> bool:
    """Return whether a file of this text was written here."""
    return text.startswith(MARK)


def read(path: Path) -> str:
    """Return what a file says, nothing when there is none."""
    try:
        # O_NONBLOCK: a FIFO put in its place must not hold us.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(_MOST).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _chosen(wish: str, variables: Mapping[str, str]) -> list[str]:
    """Return the servers that a link brings."""
    if wish == "none":
        return []
    if wish != "peer":
        return wish.split()
    from ipaddress import IPv4Address  # here, because nobody else needs them, and a call's end waits for the rest

    from cablecar.helper.dns import believable

    told = [variables[name] for name in ("DNS1", "DNS2") if name in variables]
    own = [IPv4Address(variables["IPLOCAL"])] if "IPLOCAL" in variables else []
    return [str(server) for server in believable(told, own)]


def main() -> int:
    """Repair the file, as the helper asks for it; return the exit status."""

    def tell(text: str) -> None:
        sys.stderr.write(f"<4>{text}\n")

    Resolver(tell).restore()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
