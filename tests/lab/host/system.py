"""The machine that the lab runs on: its Debian packages, its mirror, and commands run as root."""

import os
import shutil
import subprocess
from collections.abc import Sequence

from tests.lab.host.say import LabError, say

# Commands that the lab uses on the host, and the packages that bring them.
NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "make": "make",
}
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def extend_path() -> None:
    """Let an ordinary user's shell find the commands in sbin too."""
    os.environ["PATH"] = f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}"


def as_root(command: Sequence[str]) -> list[str]:
    """Return COMMAND as it must be run to run as root."""
    if os.geteuid() == 0:
        return list(command)
    if shutil.which("sudo") is None:
        raise LabError(f"{command[0]} needs root, and there is no sudo: run the lab as root")
    return ["sudo", *command]


def ensure_packages() -> None:
    """Install what the lab needs and this machine does not have."""
    missing = sorted({package for command, package in NEEDED.items() if shutil.which(command) is None})
    if not os.path.exists("/usr/share/keyrings/debian-archive-keyring.gpg"):
        missing.append("debian-archive-keyring")
    if not missing:
        return
    say(f"installing on this machine: {' '.join(missing)}")
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    for step in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(
            as_root(apt + step), stdin=subprocess.DEVNULL, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise LabError(f"apt-get {step[0]} failed:\n{done.stdout}{done.stderr}")


def mirror() -> str | None:
    """Return the Debian mirror that this machine's apt uses, None where it has none: mmdebstrap has a default."""
    try:
        listed = subprocess.run(
            [
                "apt-get",
                "indextargets",
                "--format",
                "$(REPO_URI)",
                "Created-By: Packages",
                "Origin: Debian",
                "Label: Debian",
            ],
            check=False,
            capture_output=True,
            text=True,
        ).stdout.split()
    except OSError:
        listed = []
    usable = [uri for uri in listed if uri.startswith(("http://", "https://"))]
    return usable[0].rstrip("/") if usable else None
