"""Calls that were dialed by hand: the process is pppd's, and it is followed to its end."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cablecar.helper import byhand


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called pppd, as far as the kernel knows."""
    program = shutil.copy("/bin/sleep", tmp_path / "pppd")
    with subprocess.Popen([program, "60"]) as running:
        while Path(f"/proc/{running.pid}/comm").read_text() != "pppd\n":
            time.sleep(0.001)  # it is still us
        yield running
        running.kill()


def note(folder: Path, text: str) -> None:
    (folder / "ppp-yosefcom.pid").write_text(text)


async def test_it_is_found_followed_and_hung_up(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    note(tmp_path, f"{process.pid}\nppp0\n")
    found = byhand.find("yosefcom", [tmp_path / "none", tmp_path])
    assert found is not None
    assert found.pid == process.pid
    over = asyncio.Event()
    found.follow(over.set)
    found.hang_up()
    await asyncio.wait_for(over.wait(), 5)
    assert process.wait() != 0
    found.hang_up()  # harmless


@pytest.mark.parametrize("text", ["", "no number", "0", "-1", "999999999", "1"])
def test_a_stale_or_strange_pid_file_names_nobody(tmp_path: Path, text: str) -> None:
    note(tmp_path, text)
    assert byhand.find("yosefcom", [tmp_path]) is None


def test_another_program_under_the_number_is_nobody(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        note(tmp_path, str(other.pid))
        assert byhand.find("yosefcom", [tmp_path]) is None
        other.kill()
