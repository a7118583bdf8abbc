"""An installation without Debian's packages: `cablecar-helper install` and `uninstall`.

pip puts modules into a folder, and nothing where D-Bus, polkit, systemd and the desktop look. This copies the files of
the system, which the wheel carries in `cablecar/system`, to the places where the packages have them. Owns those that
MANIFEST lists; a file that it did not write, or that somebody has changed since, is neither replaced nor removed. Below
/etc such a file is an administrator's decision and stays in the place of ours; elsewhere it is a reason to refuse. What
root is to run must be root's alone: the interpreter, all that it can import, and every folder on the way.
"""

import hashlib
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cablecar.helper import names, safefile
from cablecar.helper.hooks import others_may_write, unsafe

log = logging.getLogger(__name__)

SYSTEM: Final = Path(__file__).parents[1] / "system"  # in a wheel only: debian/wheel_files.py
# As `sha256sum --check` reads it, with the folders that were made in comments.
MANIFEST: Final = "/usr/lib/cablecar/manifest"
FOLDERS: Final = {"/etc/cablecar": 0o755, "/etc/cablecar/links": 0o700, "/etc/cablecar/providers.d": 0o755}
NEEDED: Final = {
    "/usr/bin/busctl": "systemd",
    "/usr/sbin/nft": "nftables",
    "/usr/sbin/pppd": "ppp",
    "/usr/sbin/pptp": "pptp-linux",
    "/usr/share/dbus-1/system.conf": "default-dbus-system-bus",
    "/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service": "polkitd",
}
# The units' cages have other folders, or none, in the place of these.
HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")

_PYTHON: Final = "/usr/bin/python3"  # in the units and hooks as they stand in the tree
_PROGRAMS: Final = {"helper": "main", "applet": "app"}
_PLAIN: Final = re.compile(r"/[A-Za-z0-9._/+-]{1,100}")  # neither a unit nor a first line with #! needs quotes for it
_LINE: Final = re.compile(r"([0-9a-f]{64})  (/.+)|# made: (/.+)")
# Whoever runs it could import it, from these places, as what pip has installed now.
_QUESTION: Final = (
    "import json, sys, cablecar.helper.main, cablecar.helper.probe as here;"
    "print(json.dumps([here.__file__, sys.prefix, sys.base_prefix, sys.path]))"
)
_UNIT: Final = "cablecar-helper.service"
_AT_BOOT: Final = (_UNIT, "cablecar-strict.service")
_BUS: Final = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_RELOAD: Final = (("busctl", "--quiet", "call", *_BUS, "ReloadConfig"), ("systemctl", "daemon-reload"))
_TMPFILES: Final = ("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/cablecar-helper.conf")
_ENABLE: Final = ("systemctl", "--quiet", "enable", *_AT_BOOT)
_DISABLE: Final = ("systemctl", "--quiet", "disable", *_AT_BOOT)
_RESTART: Final = ("systemctl", "restart", _UNIT)
# _RELOAD before it: the helper asks for its name, and needs the policy then.
_BEGIN: Final = (_TMPFILES, *_RELOAD, _ENABLE, _RESTART)
_MANAGER: Final = (names.BUS_NAME, names.MANAGER_PATH, names.MANAGER_INTERFACE)
_END: Final = (
    # By the helper while it runs; where it does not, what it has left is swept below.
    ("busctl", "--quiet", "--timeout=60", "--auto-start=no", "call", *_MANAGER, "RestoreNetwork"),
    _DISABLE,
    # Otherwise an applet's next question would start the helper again, by bus activation, while its files go.
    ("systemctl", "--quiet", "mask", "--runtime", _UNIT),
    ("systemctl", "stop", "cablecar-*"),  # the helper, the calls, and what these have started
)
_ENDED: Final = (("systemctl", "--quiet", "unmask", "--runtime", _UNIT), *_RELOAD)
_AUTOSTART: Final = "/etc/xdg/autostart/"  # what `apt remove cablecar` leaves of the applet
_BOOTED: Final = "/run/systemd/system"  # sd_booted(3)
_ICONS: Final = "/usr/share/icons/hicolor"
_NOBODY: Final = 65534


class InstallError(Exception):
    """Nothing was changed; `str()` of it says why, and what to do."""


class NotStarted(Exception):
    """The files are in place, but the helper does not run, or will not after a boot; `str()` of it says what to do."""


class ProgramFailed(Exception):
    """A program is not there, or has failed."""


def run(*command: str, user: int | None = None) -> str:
    """Run a program to its end, as another user if wanted, and return its output.

    Raises:
        ProgramFailed: With the last that it said.
    """
    groups: list[int] | None = None if user is None else []
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            user=user,
            group=user,
            extra_groups=groups,
        )
    except OSError as error:
        raise ProgramFailed(str(error)) from error
    if done.returncode:
        raise ProgramFailed((done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1])
    return done.stdout


class Installation:
    """The files of the system, as they are and as they should be.

    Args:
        root: The folder that stands for `/`; whose it is and what it lies in is not looked at.
        system: The files to install.
        python: The interpreter to put into them, a path below `root`.
        run: Runs a program.
        dry: Say what would be done, and do nothing.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        system: Path = SYSTEM,
        python: str = sys.executable,
        run: Callable[..., str] = run,
        dry: bool = False,
    ) -> None:
        self._root = root
        self._system = system
        self._python = python
        self._run = run
        self._dry = dry
        # By path: what each file may hold to be ours. Two while a newer version takes an older one's place.
        self._ours: dict[str, set[str]] = {}
        self._made: list[str] = []
        self._read_manifest()

    def install(self) -> None:
        """Put the files into place, enable and start the helper; also over an older version.

        Where systemd does not run, as in a chroot or in an image that is being made, it is enabled only.

        Raises:
            InstallError: Nothing was changed.
            StorageFailed: Something was; doing it again, or `uninstall`, goes on from there.
            NotStarted: All was, but the helper could not be enabled or started.
        """
        if not self._system.is_dir():
            raise InstallError(
                "There is nothing to install: Debian's packages bring all files, and a checkout is no place for a "
                "service. See README.md, `Without Debian's packages`."
            )
        for path, package in NEEDED.items():
            if not self._at(path).exists():
                raise InstallError(f"{path} is missing. Debian has it in a package: apt install {package}")
        self._check_python()
        files = {path: (data, mode) for path, data, mode in self._files()}
        folders = {*FOLDERS, *(str(parent) for path in (*FOLDERS, *files) for parent in Path(path).parents)}
        kept = self._check_places(files)
        stale = [path for path in self._ours if path not in files]
        made = sorted({*self._made, *(folder for folder in folders if not self._at(folder).exists())})
        hashes = {path: {hashlib.sha256(data).hexdigest()} for path, (data, _) in files.items()}
        for folder in made:
            self._make(folder)
        # The manifest before the files: whatever ends this, `uninstall` knows what may be there.
        both = {path: self._ours.get(path, set()) | hashes.get(path, set()) for path in {*self._ours, *hashes}}
        self._write_manifest(both, made)
        for path, (data, mode) in files.items():
            if path not in kept:
                self._write(path, data, mode)
        for path in filter(self._is_ours, stale):
            self._remove(path)
        self._write_manifest(hashes, made)
        begun = self._systemd_runs()
        if not begun:
            log.info("systemd does not run here: the helper is only enabled, and starts when the system is booted")
        failed = self._do(*(_BEGIN if begun else (_TMPFILES, _ENABLE)))
        self._refresh_icons()
        if not {_ENABLE, _RESTART}.isdisjoint(failed):
            raise NotStarted(
                "The files are in place, but the helper does not run, or would not after a boot. See "
                f"`systemctl status {_UNIT}`, and repeat `cablecar-helper install` when that is mended."
            )

    def uninstall(self) -> None:
        """Restore the network, end the helper and remove what `install` has put there, but no settings.

        Raises:
            InstallError: Nothing was changed.
            StorageFailed: A file could not be removed; doing it again goes on from there.
        """
        if not self._ours:
            raise InstallError(
                f"{MANIFEST} is not there: `cablecar-helper install` has installed nothing. What Debian's packages "
                "have installed, `apt remove cablecar-helper` removes."
            )
        runs = self._systemd_runs()
        # In a chroot the network, which --sweep looks at, and perhaps the bus are those of the machine around it.
        self._do(*((*_END, (self._python, "-I", "-m", "cablecar.helper", "--sweep")) if runs else (_DISABLE,)))
        gone = {MANIFEST}
        for path in sorted(self._ours):
            if self._is_ours(path):
                self._remove(path)
                gone.add(path)
            elif os.path.lexists(self._at(path)):
                log.warning("%s stays: it is not what was installed", path)
        self._remove(MANIFEST)
        for folder in sorted(self._made, reverse=True):
            self._unmake(folder, gone)
        if runs:
            self._do(*_ENDED)
        if runs or not self._at(_BOOTED).is_dir():  # or else /run, too, is of the machine around this chroot
            self._do(("rm", "-rf", "/run/cablecar"))
        self._refresh_icons()

    def _files(self) -> Iterator[tuple[str, bytes, int]]:
        """Yield path, contents and mode of each file."""
        parts = ["helper", "applet"] if find_spec("PyQt6") else ["helper"]
        if parts == ["helper"]:
            log.info("without the tray icon: it needs PyQt6 (pip install 'cablecar[applet]')")
        for part in parts:
            for source in sorted(path for path in (self._system / part).rglob("*") if path.is_file()):
                path, data = f"/{source.relative_to(self._system / part)}", source.read_bytes()
                if path.startswith("/usr/lib/"):
                    data = data.replace(_PYTHON.encode(), self._python.encode())
                yield path, data, 0o755 if path.startswith("/usr/lib/cablecar/") else 0o644
            start = (
                f"#!{self._python} -I\nfrom cablecar.{part}.{_PROGRAMS[part]} import main\n\nraise SystemExit(main())\n"
            )
            yield f"/usr/bin/cablecar-{part}", start.encode(), 0o755

    def _check_python(self) -> None:
        """Refuse an interpreter that somebody else than root has a say in, or that the units cannot reach."""
        if not _PLAIN.fullmatch(self._python):
            raise InstallError(f"{self._python!r} is no plain path. Install into a folder such as /opt/cablecar.")
        try:
            here, prefix, base, paths = json.loads(self._run(self._python, "-I", "-c", _QUESTION))
        except ProgramFailed as error:
            raise InstallError(
                f"{self._python} -I cannot import the helper ({error}). Install it with its dependencies into a "
                "virtual environment of root's, such as /opt/cablecar."
            ) from error
        places = [self._python, here, *([prefix] if prefix != base else []), *paths]
        for place in places:
            for hidden in HIDDEN:
                if self._at(place).resolve().is_relative_to(self._at(hidden)):
                    raise InstallError(
                        f"The helper does not see {hidden} when it runs, and {place} is there. Install into a folder "
                        "such as /opt/cablecar."
                    )
        if why := next(_open_to_others([str(self._at(place)) for place in places], str(self._root)), ""):
            raise InstallError(
                f"{why}. The helper is root's, and so must all be that it runs: install into a folder such as "
                "/opt/cablecar, as root."
            )
        try:
            self._run(self._python, "-I", "-c", "import cablecar.helper.probe", user=_NOBODY)
        except ProgramFailed as error:
            raise InstallError(
                "Ordinary users cannot read it, and some of it runs without root's rights. Try: chmod -R go+rX "
                f"{prefix}"
            ) from error

    def _check_places(self, files: dict[str, tuple[bytes, int]]) -> set[str]:
        """Refuse to write over what is not ours, and where others than root can write; return what stays as it is."""
        kept = set()
        for path, (data, _) in files.items():
            place = self._at(path)
            if os.path.lexists(place) and not self._is_ours(path) and _contents(place) != data:
                if path.startswith("/etc/"):
                    log.warning("%s stays as it is%s", path, self._why_kept(path))
                    kept.add(path)
                    continue
                if path in self._ours:
                    raise InstallError(f"Somebody has changed {path} since it was installed. Move it away first.")
                raise InstallError(
                    f"{path} is there already, and not from here. Remove Debian's packages first if it is theirs: "
                    "apt remove cablecar cablecar-helper (their settings and passwords stay)"
                )
            if why := unsafe(_nearest(place.parent), str(self._root)):
                raise InstallError(f"{why}. {path} would not be safe there.")
        return kept

    def _why_kept(self, path: str) -> str:
        if path in self._ours:
            return ": somebody has changed it since it was installed"
        if path.startswith(_AUTOSTART):  # purging the helper's package would cost the settings and passwords
            return ", and is not from here; where Debian's package has left it, `apt purge cablecar` removes it alone"
        return ", and is not from here"

    def _is_ours(self, path: str) -> bool:
        data = _contents(self._at(path))
        return data is not None and hashlib.sha256(data).hexdigest() in self._ours.get(path, ())

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _read_manifest(self) -> None:
        with suppress(FileNotFoundError):
            for line in safefile.read(self._at(MANIFEST)).decode().splitlines():
                if (match := _LINE.fullmatch(line)) is None or ".." in line:
                    raise InstallError(f"{MANIFEST} is damaged: {line!r}. Nothing was changed.")
                if match[3]:
                    self._made.append(match[3])
                else:
                    self._ours.setdefault(match[2], set()).add(match[1])

    def _write_manifest(self, files: dict[str, set[str]], made: list[str]) -> None:
        lines = [f"{digest}  {path}" for path in sorted(files) for digest in sorted(files[path])]
        lines += [f"# made: {folder}" for folder in made]
        if not self._dry:
            safefile.replace(self._at(MANIFEST), "".join(f"{line}\n" for line in lines).encode(), 0o644)

    def _make(self, folder: str) -> None:
        log.info("folder %s", folder)
        if not self._dry:
            self._at(folder).mkdir(exist_ok=True)
            self._at(folder).chmod(FOLDERS.get(folder, 0o755))  # the umask has no say

    def _write(self, path: str, data: bytes, mode: int) -> None:
        log.info("write %s", path)
        if not self._dry:
            safefile.replace(self._at(path), data, mode)

    def _remove(self, path: str) -> None:
        log.info("remove %s", path)
        if not self._dry:
            safefile.remove(self._at(path))

    def _unmake(self, folder: str, gone: set[str]) -> None:
        """Remove a folder that has nothing but what is gone, or in a dry run would be, and add it to that."""
        with suppress(OSError):
            if {f"{folder}/{name}" for name in os.listdir(self._at(folder))} <= gone:
                if not self._dry:
                    self._at(folder).rmdir()
                log.info("remove %s", folder)
                gone.add(folder)

    def _systemd_runs(self) -> bool:
        """Whether this is a system that systemd has booted, and no chroot in one."""
        with suppress(OSError):
            return self._at(_BOOTED).is_dir() and os.path.samefile(self._at("/proc/1/root"), self._root)
        return False

    def _do(self, *commands: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Run each of the commands; return those that failed."""
        failed = []
        for command in commands:
            log.info("run %s", " ".join(command))
            if not self._dry:
                try:
                    self._run(*command)
                except ProgramFailed as error:
                    log.warning("that failed: %s", error)
                    failed.append(command)
        return failed

    def _refresh_icons(self) -> None:
        if self._at(f"{_ICONS}/icon-theme.cache").exists():  # GTK would look for icons nowhere else
            self._do(("gtk-update-icon-cache", "--quiet", "--force", _ICONS))


def _contents(place: Path) -> bytes | None:
    """Return what is in a plain file; None for all else, a symbolic link too."""
    with suppress(FileNotFoundError):
        if place.is_file() and not place.is_symlink():
            return place.read_bytes()
    return None


def _open_to_others(places: list[str], trusted: str) -> Iterator[str]:
    """Yield each reason for which somebody else than root may write to these, or to what is below or on the way."""
    pending, seen = list(places), set()
    while pending:
        place = pending.pop()
        if why := unsafe(_nearest(Path(place)), trusted):
            yield why
        for folder, below, files in os.walk(os.path.realpath(place)):
            if folder in seen:
                below.clear()
                continue
            seen.add(folder)
            for path in (f"{folder}/{name}" for name in below + files):
                if os.path.islink(path):  # what it leads to may be anywhere
                    pending.append(path)
                    continue
                with suppress(FileNotFoundError):  # a cached module that was just replaced
                    if why := others_may_write(path):
                        yield why


def _nearest(path: Path) -> str:
    """Return the path, or of one that is not there the folder that it would have to be made in."""
    return str(path if path.exists() else next(parent for parent in path.resolve().parents if parent.exists()))
