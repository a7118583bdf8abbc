"""The command line of tests/lab/run."""

import argparse
import fcntl
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from tests.lab.host import debs, guest
from tests.lab.host.conversation import Limits
from tests.lab.host.job import REPOSITORY, Job
from tests.lab.host.say import LAB_FAILED, LabError, fail, say
from tests.lab.host.system import ensure_packages, extend_path
from tests.lab.host.tree import SUITES, ensure_tree

_PASSED_ON = ("CI",)


def main() -> int:
    """Do what the command line says; return the exit status."""
    wanted = _arguments()
    signal.signal(signal.SIGTERM, _terminated)
    extend_path()
    try:
        ensure_packages()
        tree = ensure_tree(wanted.guest)
        if wanted.build_only:
            return 0
        packages = [] if wanted.no_install else debs.ensure_packages()
        results = _results(wanted)
        job = Job(
            script=None if wanted.shell else _script(wanted.script),
            arguments=wanted.arguments,
            environment=_environment(wanted),
            packages=packages,
            terminal=_terminal(),
        )
        say(f"{wanted.guest}; console and results in {results}")
        limits = Limits(wanted.boot_timeout, wanted.timeout, 0.0 if wanted.shell else wanted.silence)
        status = guest.run(tree, job, results, limits, desktop=wanted.desktop)
        say("the guest is off")
        return status
    except LabError as error:
        fail(f"failed: {error}")
    except KeyboardInterrupt:
        say("interrupted")
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/lab/run",
        description="Boot a guest with Cablecar installed and a provider beside it, and run SCRIPT there as root.",
        epilog=f"Exit status: SCRIPT's; {LAB_FAILED} when the lab itself failed; 124 when SCRIPT took too long.",
    )
    parser.add_argument("--guest", choices=sorted(SUITES), default="debian12")
    parser.add_argument("--shell", action="store_true", help="a root shell on this terminal instead of SCRIPT")
    parser.add_argument("--desktop", action="store_true", help="with the desktop started before SCRIPT")
    parser.add_argument("--no-install", action="store_true", help="leave Cablecar's packages out")
    parser.add_argument("--build-only", action="store_true", help="see to the guest's tree and stop")
    parser.add_argument("--results", metavar="DIR", type=Path, help="what the guest sees as /mnt/results")
    parser.add_argument("--env", metavar="NAME=VALUE", action="append", default=[], help="a variable for SCRIPT")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=3600.0, help="for SCRIPT (0: none)")
    parser.add_argument("--silence", metavar="SECONDS", type=float, default=300.0, help="of SCRIPT (0: no limit)")
    parser.add_argument("--boot-timeout", metavar="SECONDS", type=float, default=600.0, help="until SCRIPT starts")
    parser.add_argument("script", metavar="SCRIPT", nargs="?", type=Path)
    parser.add_argument("arguments", metavar="ARG", nargs=argparse.REMAINDER)
    wanted = parser.parse_args()
    if wanted.script is None and not (wanted.shell or wanted.build_only):
        parser.error("a SCRIPT is needed, or --shell")
    if wanted.shell and wanted.timeout:
        wanted.timeout = 0.0
    return wanted


def _script(script: Path) -> Path:
    path = script.resolve()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise LabError(f"{script} is not a program")
    return path


def _results(wanted: argparse.Namespace) -> Path:
    """Return an empty folder for this run's files."""
    if wanted.results is not None:
        return Path(wanted.results).absolute()
    name = f"{wanted.guest}-{'shell' if wanted.shell else wanted.script.name}"
    parent = REPOSITORY / "build" / "lab"
    parent.mkdir(parents=True, exist_ok=True)
    # The same script may be running at the same time: the second one gets a folder of its own. The lock is held until
    # this process ends.
    lock = os.open(parent / f".{name}.lock", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        name = f"{name}-{os.getpid()}"
    shutil.rmtree(parent / name, ignore_errors=True)
    return parent / name


def _environment(wanted: argparse.Namespace) -> dict[str, str]:
    environment = {"LAB_GUEST": wanted.guest, "LAB_RESULTS": "/mnt/results", "LAB_REPO": "/mnt/repo"}
    environment |= {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    for setting in wanted.env:
        name, equals, value = setting.partition("=")
        if not equals or not name.isidentifier():
            raise LabError(f"--env wants NAME=VALUE, not {setting!r}")
        environment[name] = value
    return environment


def _terminal() -> tuple[str, int, int]:
    size = shutil.get_terminal_size()
    return os.environ.get("TERM", "dumb"), size.lines, size.columns


def _terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
