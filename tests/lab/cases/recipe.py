"""Commands of a page, run as they stand there: by themselves, meanwhile, or with somebody who answers them."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lab


@dataclass(frozen=True)
class Recipe:
    """What to run, and what it prints, where the page shows that."""

    commands: str
    prints: str = ""

    def run(self) -> str:
        """Run it; return what a person would see, errors first."""
        answer = lab.run("sh", "-c", self.commands)
        return answer.error + answer.output

    def run_with_answer(self, question: str, answer: str) -> None:
        """Run it on a terminal of its own, as a person has; type the answer when it asks."""
        ours, theirs = os.openpty()
        with subprocess.Popen(
            ["setsid", "--ctty", "--wait", "sh", "-ec", self.commands], stdin=theirs, stdout=theirs, stderr=theirs
        ) as shell:
            os.close(theirs)
            asked = b""
            while question.encode() not in asked:
                asked += os.read(ours, 100)
            os.write(ours, f"{answer}\n".encode())
            status = shell.wait(timeout=90)
        os.close(ours)
        assert status == 0, f"{self.commands}\n{asked.decode(errors='replace')}"

    def shows(self, printed: str) -> bool:
        """Whether the page shows what was printed; an ellipsis on the page stands for the rest of a line."""
        return re.fullmatch(re.escape(self.prints).replace("…", ".*"), printed) is not None

    @contextmanager
    def running(self, output: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run it meanwhile; what it prints goes to a file."""
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["sh", "-c", self.commands], stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
