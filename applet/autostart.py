"""Whether the desktop starts the applet at login: the files of the XDG autostart specification.

An installation brings the entry in /etc/xdg/autostart; the user's file of the same name takes its place. Owns that
file as far as it is about whether to start: what somebody has changed in it besides stays.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from cablecar.applet import pictures

FILE: Final = f"{pictures.APP}.desktop"

_SECTION: Final = "[Desktop Entry]"
_OFF: Final = f"{_SECTION}\nType=Application\nName=Cablecar\nHidden=true\n"

# Keys that switch an entry off; the second is GNOME's way of writing it.
_HIDDEN: Final = "Hidden"
_ENABLED: Final = "X-GNOME-Autostart-enabled"


class Autostart:
    """The entry of one user.

    Args:
        environment: Where XDG_CONFIG_HOME and XDG_CONFIG_DIRS are taken from.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        home = environment.get("XDG_CONFIG_HOME", "")
        self._own = Path(home if os.path.isabs(home) else Path.home() / ".config", "autostart", FILE)
        folders = (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
        self._systems = [Path(folder, "autostart", FILE) for folder in folders if os.path.isabs(folder)]

    def is_on(self) -> bool:
        """Whether the applet is started at login. The first file that is there decides."""
        for path in (self._own, *self._systems):
            lines = _lines(path)
            if lines is not None:
                keys = {key: value for _line, key, value in _parsed(lines)}
                return keys.get(_HIDDEN) != "true" and keys.get(_ENABLED) != "false"
        return False

    def switch(self, on: bool) -> None:
        """Start it at login from now on, or no longer.

        Raises:
            OSError: The user's file cannot be written.
        """
        lines = _lines(self._own)
        if lines is not None and any(key == "Exec" for _line, key, _value in _parsed(lines)):  # somebody's own entry
            kept = [line for line, key, _value in _parsed(lines) if key not in (_HIDDEN, _ENABLED)]
            at = next((i for i, line in enumerate(kept) if line.strip() == _SECTION), -1) + 1
            self._write("\n".join(kept if on else [*kept[:at], f"{_HIDDEN}=true", *kept[at:]]) + "\n")
        elif not on:
            self._write(_OFF)
        else:
            self._own.unlink(missing_ok=True)
            if not self.is_on():  # nothing installed, or an administrator's entry that is off
                self._write(_entry())

    def _write(self, text: str) -> None:
        path = self._own.resolve()  # whoever keeps it elsewhere behind a symbolic link keeps that
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{FILE}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)


def _entry() -> str:
    # Escaped as the desktop entry specification wants it: a quoted argument, inside a string, inside Exec.
    program = "".join(f"\\{c}" if c in '"`$\\' else c for c in sys.executable).replace("\\", "\\\\")
    command = f'"{program}" -m cablecar.applet --autostart'.replace("%", "%%")
    return f"{_SECTION}\nType=Application\nName=Cablecar\nIcon={pictures.APP}\nExec={command}\n"


def _lines(path: Path) -> list[str] | None:
    """Return the lines of a file; None when it is not there or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None


def _parsed(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each line with its key and value, which are empty where there is none that counts."""
    section = ""
    for line in lines:
        key, equals, value = line.partition("=")
        if line.startswith("["):
            section = line.strip()
        counts = section == _SECTION and bool(equals) and not line.startswith(("#", "["))
        yield (line, key.strip(), value.strip()) if counts else (line, "", "")
