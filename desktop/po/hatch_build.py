"""The wheel's translations: compiles the catalogues to where the applet looks first, beside its modules."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Catalogues(BuildHookInterface):  # type: ignore[type-arg]
    """Compile before the files of the wheel are listed; also for an editable install, into the tree itself."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the catalogues, and have them taken in although git ignores them."""
        if shutil.which("msgfmt") is None:
            self.app.display_warning("gettext is not installed: the applet will speak English only")
            return
        subprocess.run([Path(self.root, "desktop/po/catalogues"), "mo", Path(self.root, "applet/locale")], check=True)
        build_data["artifacts"].append("applet/locale/*/LC_MESSAGES/cablecar.mo")
