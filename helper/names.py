"""Every name that crosses the bus: well-known name, paths, interfaces, polkit actions, link grammar.

Imports nothing of the project; the applet imports this module and `cablecar.helper.reasons`, and nothing else of
the helper. The names are the contract with scripts: they change only with the digit in `org.cablecar1`.
"""

import re
from typing import Final

BUS_NAME: Final = "org.cablecar1"
MANAGER_PATH: Final = "/org/cablecar1"
LINK_PATH_PREFIX: Final = "/org/cablecar1/link/"
MANAGER_INTERFACE: Final = "org.cablecar1.Manager"
LINK_INTERFACE: Final = "org.cablecar1.Link"
ERROR_PREFIX: Final = "org.cablecar1.Error."

ACTION_CONNECT: Final = "org.cablecar1.connect"
ACTION_DISCONNECT_OTHER: Final = "org.cablecar1.disconnect-other"
ACTION_VIEW_DETAILS: Final = "org.cablecar1.view-details"
ACTION_MODIFY: Final = "org.cablecar1.modify"
ACTION_SYSTEM: Final = "org.cablecar1.system"

# A link's name becomes a file name, a unit instance, an object path and pppd's `linkname`; this grammar is
# valid in all four without escaping. Use with fullmatch: `$` would let a trailing newline through.
LINK_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")

# The states of a link (property `State`).
DOWN: Final = "down"
WAITING: Final = "waiting"
DIALING: Final = "dialing"
UP: Final = "up"
STOPPING: Final = "stopping"
FAILED: Final = "failed"
STATES: Final = (DOWN, WAITING, DIALING, UP, STOPPING, FAILED)

# The phases of dialing (property `Phase`, empty in every other state).
PREPARING: Final = "preparing"
CONNECTING: Final = "connecting"
AUTHENTICATING: Final = "authenticating"
CONFIGURING: Final = "configuring"
PHASES: Final = (PREPARING, CONNECTING, AUTHENTICATING, CONFIGURING)


def link_path(name: str) -> str:
    """Return the object path of the link called `name`."""
    return LINK_PATH_PREFIX + name
