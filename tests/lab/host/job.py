"""What a guest is started for, and how it is put where the guest's agent finds it."""

import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.host.tree import LAB

REPOSITORY = LAB.parent.parent
_GUEST_REPOSITORY = "/mnt/repo"
_GUEST_RESULTS = "/mnt/results"
_JOB = ".job"
_SCRIPTS = ".script"


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

    def put(self, results: Path) -> None:
        """Leave the job in the results folder, where guest/usr/local/lib/lab/agent looks for it."""
        (results / _JOB).write_text(self._text())
        if self.script is not None and not self.script.is_relative_to(REPOSITORY):
            (results / _SCRIPTS).mkdir(exist_ok=True)
            shutil.copy(self.script, results / _SCRIPTS / self.script.name)

    def take_away(self, results: Path) -> None:
        """Leave nothing of the job in the results folder."""
        (results / _JOB).unlink(missing_ok=True)
        shutil.rmtree(results / _SCRIPTS, ignore_errors=True)

    def _in_guest(self) -> str:
        """Return where the script is in the guest; one of the repository keeps its place there."""
        if self.script is None:
            return "true"
        if self.script.is_relative_to(REPOSITORY):
            return f"{_GUEST_REPOSITORY}/{self.script.relative_to(REPOSITORY)}"
        return f"{_GUEST_RESULTS}/{_SCRIPTS}/{self.script.name}"

    def _text(self) -> str:
        """Return the job as shell variables and words."""
        packages = " ".join(f"{_GUEST_REPOSITORY}/{path.relative_to(REPOSITORY)}" for path in self.packages)
        term, rows, columns = self.terminal
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()]
        lines += [
            f"lab_packages={shlex.quote(packages)}",
            f"lab_shell={'' if self.script else 'yes'}",
            f"lab_term={shlex.quote(term)} lab_rows={rows} lab_columns={columns}",
            shlex.join(["set", "--", self._in_guest(), *self.arguments]),
        ]
        return "\n".join(lines) + "\n"
