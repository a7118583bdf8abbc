"""Calls that were dialed by hand: the process is pppd's, and it is followed to its end."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cablecar.helper import byhand


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called pppd and calls yosefcom, as far as the kernel knows."""
    with subprocess.Popen(pppd(tmp_path, "yosefcom")) as running:
        while b"call" not in Path(f"/proc/{running.pid}/cmdline").read_bytes():
            time.sleep(0.001)  # Popen returns while the kernel is still about to tell
        yield running
        running.kill()


def pppd(folder: Path, link: str) -> list[str]:
    # A shell that reads from nobody: it is not replaced by what it runs.
    program = str(shutil.copy("/bin/bash", folder / "pppd"))
    return [program, "-c", "coproc cat; wait", "call", link]


def note(folder: Path, text: str) -> None:
    (folder / "ppp-yosefcom.pid").write_text(text)


async def test_it_is_found_followed_and_hung_up(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    note(tmp_path, f"{process.pid}\nppp0\n")
    found = byhand.find("yosefcom", [tmp_path / "none", tmp_path])
    assert found is not None
    assert (found.pid, found.interface) == (process.pid, "ppp0")
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


def test_the_call_of_another_link_under_the_number_is_nobody(tmp_path: Path) -> None:
    with subprocess.Popen(pppd(tmp_path, "office")) as other:
        while b"call" not in Path(f"/proc/{other.pid}/cmdline").read_bytes():
            time.sleep(0.001)
        note(tmp_path, str(other.pid))
        before = len(os.listdir("/proc/self/fd"))
        assert byhand.find("yosefcom", [tmp_path]) is None
        assert len(os.listdir("/proc/self/fd")) == before
        other.kill()
