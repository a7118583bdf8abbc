"""The RAM disk of one boot: busybox, the modules that find the tree, the lab's own files, and the job."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.host.cpio import Archive
from tests.lab.host.tree import LAB, Tree

REPOSITORY = LAB.parent.parent
_GUEST_REPOSITORY = "/mnt/repo"
_GUEST_SCRIPT = "/usr/local/lib/lab/script"


@dataclass(frozen=True)
class Job:
    """What a guest is started for.

    Attributes:
        script: the program to run there, as a file of this machine; None for a shell.
        arguments: what the script gets, word by word.
        environment: more variables for it.
        packages: Cablecar's Debian packages to install first, files in the repository.
        terminal: TERM, rows and columns of the shell's terminal.
    """

    script: Path | None
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    packages: list[Path] = field(default_factory=list)
    terminal: tuple[str, int, int] = ("dumb", 24, 80)

    def in_guest(self) -> str:
        """Return where the script is in the guest; one of the repository keeps its place there."""
        if self.script is None:
            return "true"
        if self.script.is_relative_to(REPOSITORY):
            return f"{_GUEST_REPOSITORY}/{self.script.relative_to(REPOSITORY)}"
        return f"{_GUEST_SCRIPT}/{self.script.name}"

    def text(self) -> str:
        """Return the job as the shell variables and words that guest/usr/local/lib/lab/agent reads."""
        packages = " ".join(f"{_GUEST_REPOSITORY}/{path.relative_to(REPOSITORY)}" for path in self.packages)
        term, rows, columns = self.terminal
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()]
        lines += [
            f"lab_packages={shlex.quote(packages)}",
            f"lab_shell={'' if self.script else 'yes'}",
            f"lab_term={shlex.quote(term)} lab_rows={rows} lab_columns={columns}",
            shlex.join(["set", "--", self.in_guest(), *self.arguments]),
        ]
        return "\n".join(lines) + "\n"


def initrd(tree: Tree, job: Job) -> bytes:
    """Return the RAM disk that boots TREE and does JOB."""
    archive = Archive()
    archive.file("bin/busybox", tree.busybox.read_bytes(), 0o755)
    archive.file("init", (LAB / "host" / "init").read_bytes(), 0o755)
    for module in tree.modules:
        archive.file(f"modules/{module.name}", module.read_bytes())
    archive.tree(LAB / "guest", "guest")
    archive.file("guest/etc/lab/job", job.text().encode(), 0o600)
    if job.script is not None and not job.script.is_relative_to(REPOSITORY):
        archive.file(f"guest{job.in_guest()}", job.script.read_bytes(), 0o755)
    return archive.finish()
