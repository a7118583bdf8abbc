"""The file that a call writes to: followed, bounded, printable."""

import asyncio
from pathlib import Path

import pytest

from cablecar.helper import calllog
from cablecar.helper.calllog import CallLog, printable
from cablecar.helper.discovery import lost_session
from cablecar.helper.pppd import Facts

pytestmark = pytest.mark.asyncio


async def test_lines_are_told_as_they_are_written(tmp_path: Path) -> None:
    told: list[str] = []
    log = CallLog("a", told.append, list, tmp_path)
    log.begin(fresh=True)
    with (tmp_path / "a.log").open("a") as file:
        file.write("one\ntwo\nhal")
        file.flush()
        async with asyncio.timeout(5):
            while len(told) < 2:
                await asyncio.sleep(0.005)
        file.write("f\n")
    log.read()
    log.close()
    assert told == ["one", "two", "half"]
    assert (tmp_path / "a.log").stat().st_mode & 0o777 == 0o600


async def test_a_call_that_says_too_much_keeps_its_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calllog, "MAX_FILE", 1000)
    log = CallLog("a", lambda line: None, lambda: ["Using interface ppp0"], tmp_path)
    log.begin(fresh=True)
    for number in range(100):
        with (tmp_path / "a.log").open("a") as file:
            file.write(f"line {number}\n" + "x" * 90 + "\n")
        log.read()
    log.close()
    assert (tmp_path / "a.log").stat().st_size < 2000
    restarted: list[str] = []
    again = CallLog("a", restarted.append, list, tmp_path)
    again.begin(fresh=False)
    again.close()
    assert restarted[0] == "Using interface ppp0"
    assert list(log.lines)[-2] == "line 99"


async def test_a_flood_of_lines_lets_others_have_their_turn_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calllog, "MAX_FILE", 100_000)
    told: list[str] = []
    log = CallLog("a", told.append, lambda: ["kept"], tmp_path)
    log.begin(fresh=True)
    said = [f"line {number}" for number in range(50_000)]
    with (tmp_path / "a.log").open("a") as file:
        file.writelines(f"{line}\n" for line in said)
    steps = []
    async with asyncio.timeout(5):
        while len(told) < len(said) // 2:
            before = len(told)
            await asyncio.sleep(0)
            steps.append(len(told) - before)
    log.read()
    log.close()
    assert max(steps) < 5_000
    assert told == said
    assert (tmp_path / "a.log").stat().st_size < 100_000


async def test_the_session_of_a_call_that_says_too_much_can_still_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calllog, "MAX_FILE", 1000)
    facts, path = Facts(), tmp_path / "a.log"
    log = CallLog("a", facts.read, lambda: facts.lines, tmp_path)
    log.begin(fresh=True)
    opening = ["PPP session is 7", "Connected to 02:00:00:00:00:02 via interface eth0", "Using interface ppp0"]
    for line in [*opening, *["rcvd [LCP EchoRep id=0x1 magic=0x2]"] * 50]:
        with path.open("a") as file:
            file.write(line + "\n")
        log.read()
    assert path.stat().st_size < 1000
    assert lost_session(path.read_text()) == ("eth0", b"\x02\0\0\0\0\x02", 7)
    with path.open("a") as file:
        file.write("Sent PADT\n" + "x\n" * 600)
    log.read()
    log.close()
    assert path.stat().st_size < 1000
    assert lost_session(path.read_text()) is None


@pytest.mark.parametrize(
    ("line", "shown"),
    [(b"a\x1b[2Jb", "a\\x1b[2Jb"), (b"\xff", "\\xff"), ("\u202e".encode(), "\\x202e"), ("é".encode(), "é")],
)
async def test_lines_can_forge_nothing(line: bytes, shown: str) -> None:
    assert printable(line) == shown
