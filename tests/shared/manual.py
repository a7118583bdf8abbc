"""The commands on the pages that users read: which ones a test runs as they stand, and why the others cannot be run.

A fence `sh` is run, a fence `console` is not. Imported by the host's tests and by the lab's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Run from the first fence to the last, as a reader would: tests/lab/cases/test_manual.py.
RUN = ("README.md", "doc/GUIDE.md", "doc/TROUBLESHOOTING.md")
# Run one by one: tests/lab/cases/test_cookbook.py.
RECIPES = "dbus/COOKBOOK.md"
# Each repeats what a page above has: tests/files/test_manual.py.
REPEATING = ("doc/man/cablecar-applet.1.md", "doc/man/cablecar-helper.8.md", "dbus/README.md", "dbus/SETTINGS.md")

# The reason for a command that no test runs, by its first words on its page.
NOT_RUN = {
    ("README.md", "make demo"): "it starts the lab; every `make test` does what it does, and more",
    ("README.md", "make test"): "it is what runs the tests",
    ("README.md", "make deb"): "`make check` does it first",
    ("README.md", "sudo apt install --reinstall ./build/deb/"): "`make apt` does it, in a guest",
    ("README.md", "sudo apt remove"): "`make apt` does it, in a guest",
    ("README.md", "sudo apt purge"): "`make apt` does it, in a guest, in two steps",
    ("README.md", "sudo systemctl disable --now xl2tpd"): "the guests have it masked",
    ("README.md", "sudo apt install gnome-"): "no guest has GNOME",
    ("README.md", "gnome-extensions enable"): "no guest has GNOME",
    ("README.md", "sudo rm /var/lib/cablecar/strict.nft"): "tests/lab/cases/test_strict.py deletes the table",
    ("README.md", "sudo apt install python3-"): "it needs Debian's servers",
    ("README.md", "sudo python3 -m venv"): "`make pip` makes one without pip, and with the guest's own libraries in it",
    ("README.md", "sudo /opt/cablecar/bin/pip"): "it needs PyPI; `make pip` installs the wheel without what that needs",
    ("README.md", "sudo /opt/cablecar/bin/cablecar-helper install"): "`make pip` runs it",
    ("README.md", "sudo pipx"): "it needs PyPI and a newer pipx than Debian 12 has",
    ("README.md", "sudo PIPX_HOME"): "it needs PyPI",
    ("README.md", "sudo /usr/local/bin/cablecar-helper install"): "`make pip` runs it, from elsewhere",
    ("README.md", "sudo cablecar-helper uninstall"): "`make pip` runs it, where it was installed so",
    ("README.md", "sudo rm -r /etc/cablecar"): "it takes the links that the other commands of the page have made",
    ("doc/GUIDE.md", "busctl call org.cablecar1 /org/cablecar1 org.cablecar1.Manager ImportPeer"): (
        "it needs a peer file that somebody wrote by hand; tests/lab/cases/test_settings.py imports one"
    ),
    ("doc/GUIDE.md", "systemctl disable --now xl2tpd"): "the guests have it masked",
    ("doc/GUIDE.md", "pon "): "it is what one used to type; tests/lab/cases/test_settings.py runs it",
    ("doc/GUIDE.md", "ip "): "it is what one used to type",
    ("doc/GUIDE.md", "man "): "a pager for people; tests/files/test_man_pages.py formats the pages",
    (
        "doc/TROUBLESHOOTING.md",
        "make docs",
    ): "it is for who changes the page; tests/files/test_manual.py does what it does",
    ("doc/TROUBLESHOOTING.md", "cablecar-helper install"): "`make pip` runs it",
    ("dbus/README.md", "busctl tree"): "it asks each object what `busctl introspect` asks",
    ("dbus/README.md", "busctl introspect"): "tests/lab/cases/test_call.py runs it, for another link",
    ("dbus/README.md", "busctl get-property"): "doc/TROUBLESHOOTING.md runs it for another link",
    ("dbus/README.md", "busctl monitor"): "it does not end; the cookbook's recipes listen so",
    ("dbus/SETTINGS.md", "pon NAME"): "tests/lab/cases/test_settings.py runs it",
    ("dbus/SETTINGS.md", "poff NAME"): "tests/lab/cases/test_settings.py runs it",
    ("dbus/SETTINGS.md", "nft list table"): "tests/lab/cases/test_strict.py runs it",
    ("dbus/SETTINGS.md", "nft list ruleset"): "tests/lab/cases/test_firewalls.py runs it",
    ("dbus/SETTINGS.md", "firewall-cmd --permanent"): "tests/bus/test_firewalld.py has a firewalld where it was run",
    (RECIPES, "systemctl disable --now"): "it undoes a recipe, and the recipe's test does it",
    (RECIPES, "systemctl list-timers"): "it shows what the recipe's test asks `systemctl show` for",
    ("doc/man/cablecar-helper.8.md", "systemctl start"): "it runs already where it is installed",
    ("doc/man/cablecar-helper.8.md", "rm /var/lib/cablecar/strict.nft"): "README.md has it",
    ("doc/man/cablecar-helper.8.md", "pon NAME"): "tests/lab/cases/test_settings.py runs it",
}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# More than one word, the first in small letters, is a command, but for lines of files and rules that are quoted.
_IN_TEXT = re.compile(r"`([a-z][a-z-]* [^`]+)`")
QUOTED = ("cablecar NAME", "ct state ", "iface ", "inet cablecar", "up ip ")


@dataclass(frozen=True)
class Fence:
    """One fenced block of a page."""

    language: str
    text: str


def fences(page: str) -> list[Fence]:
    """Return the fenced blocks of a page, a path like `doc/GUIDE.md`, in order."""
    return [Fence(*found) for found in _FENCE.findall((ROOT / page).read_text())]


def commands_in_text(page: str) -> list[str]:
    """Return the commands that stand in a page's sentences."""
    spans = _IN_TEXT.findall(_FENCE.sub("", (ROOT / page).read_text()))
    return [" ".join(span.split()) for span in spans if not span.startswith(QUOTED)]


def commands(fence: Fence) -> list[str]:
    """Return the commands of a fence, each in one line and without its comment."""
    lines = re.sub(r"\\\n\s*", "", fence.text).splitlines()
    return [command for line in lines if (command := re.sub(r"(^|\s+)#.*", "", line))]


def why_not_run(page: str, command: str) -> str:
    """Return the reason for a command that is not run; empty when there is none."""
    reasons = [reason for (where, words), reason in NOT_RUN.items() if where == page and command.startswith(words)]
    return reasons[0] if reasons else ""


def commands_run() -> Iterator[str]:
    """Yield the text of each fence that a test in the lab runs."""
    for page in (*RUN, RECIPES):
        yield from (fence.text for fence in fences(page) if fence.language == "sh")
