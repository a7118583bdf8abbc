"""A network or a file system of their own for programs that tests start."""

import os

# A chroot has no user namespaces, not even for root, who needs none.
AS_ROOT = [] if os.geteuid() == 0 else ["--map-root-user"]


def unshare(*own: str) -> list[str]:
    """Return what to put before a command that is to run as root with its `--net`, `--mount` or the like."""
    return ["unshare", *AS_ROOT, *own]
