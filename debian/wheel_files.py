"""What the wheel has beside the modules: the translations, and the files of the system.

The translations are compiled to where the applet looks first, beside its modules: for an editable install in the tree
itself, which is otherwise left as it is, because root may be who builds the wheel. The files of the system are those of
the Debian packages, in cablecar/system/helper and applet, read off the lists in this folder, so that there is one list;
`cablecar-helper install` (helper/install.py) puts them into place.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PARTS = {"cablecar-helper": "helper", "cablecar": "applet"}


class WheelFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Make them before the files of the wheel are listed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Have the catalogues and the files of the system taken in from a folder of ours."""
        if version == "editable":
            self._compile("applet/locale")
            return
        self._made = TemporaryDirectory(prefix="cablecar-wheel-")  # gone with this object
        locale, image = Path(self._made.name, "locale"), Path(self._made.name, "system")
        self._compile(str(locale))
        if locale.exists():
            build_data["force_include"][str(locale)] = "cablecar/applet/locale"
        self._make_image(image)
        build_data["force_include"][str(image)] = "cablecar/system"

    def _compile(self, folder: str) -> None:
        if shutil.which("msgfmt") is None:
            self.app.display_warning("gettext is not installed: the applet will speak English only")
        else:
            self._run("desktop/po/catalogues", "mo", folder)

    def _make_image(self, image: Path) -> None:
        helper, applet = image / "helper", image / "applet"
        manual = image / "manual"
        self._run(sys.executable, "-I", "doc/man/pages", str(manual))
        for package, part in PARTS.items():
            for source, folder in self._listed(package):
                _copy(source, image / part / folder)
            for page in Path(self.root, "debian", f"{package}.manpages").read_text().split():
                name = Path(page).name
                _copy(manual / name, image / part / "usr/share/man" / f"man{name[-1]}")
        shutil.rmtree(manual)
        tmpfiles = helper / "usr/lib/tmpfiles.d/cablecar-helper.conf"
        tmpfiles.parent.mkdir(parents=True)
        shutil.copyfile(Path(self.root, "debian/cablecar-helper.tmpfiles"), tmpfiles)
        try:
            self._run("debian/place-files", str(helper), str(applet))
        except (OSError, subprocess.CalledProcessError):
            self.app.display_warning("gettext or appstream is not installed: the system's texts stay English")
            self._run("debian/place-files", str(helper), str(applet), "untranslated")

    def _listed(self, package: str) -> list[tuple[Path, str]]:
        """Return the files of debian/PACKAGE.install that come out of the tree, each with its folder."""
        found = []
        for line in Path(self.root, "debian", f"{package}.install").read_text().splitlines():
            pattern, *folder = line.split()
            if folder:  # without one it is a file of the modules
                place = folder[0].replace("lib/systemd", "usr/lib/systemd", 1)  # where the packages have it in the end
                found += [(path, place) for path in sorted(Path(self.root).glob(pattern))]
        return found

    def _run(self, *command: str) -> None:
        subprocess.run(command, cwd=self.root, check=True)


def _copy(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, folder / source.name)
    else:
        shutil.copyfile(source, folder / source.name)
