"""When the table is made, when not, and who is heard of."""

import errno
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cablecar.helper import nft
from cablecar.helper.errors import Failed
from cablecar.helper.nft import Change, Ear, Nft

CHAINS = "  chain x {\n  }\n"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Play nft: what it is told is added to `told`; with a file `refuses` it refuses."""
    path = tmp_path / "nft"
    path.write_text(
        f'#!/bin/sh\n[ ! -e {tmp_path}/refuses ] || exit 1\ncat >>{tmp_path}/told\necho "#" >>{tmp_path}/told\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def table(tmp_path: Path, program: Path) -> Nft:
    return Nft(tmp_path / "note", str(program))


def told(folder: Path) -> list[str]:
    path = folder / "told"
    return path.read_text().split("#\n")[:-1] if path.exists() else []


MADE = "table inet cablecar\ndelete table inet cablecar\ntable inet cablecar {\n  chain x {\n  }\n}\n"
TAKEN = "table inet cablecar\ndelete table inet cablecar\n"


def test_it_is_made_once_and_taken_away_once(tmp_path: Path, table: Nft) -> None:
    for chains in ("", CHAINS, CHAINS, "", ""):
        assert not table.make(chains)
    assert told(tmp_path) == [MADE, TAKEN]
    assert not (tmp_path / "note").exists()


def test_who_comes_after_a_crash_makes_it_again_or_takes_it_away(tmp_path: Path, table: Nft, program: Path) -> None:
    table.make(CHAINS)
    Nft(tmp_path / "note", str(program)).make(CHAINS)
    Nft(tmp_path / "note", str(program)).make("")
    Nft(tmp_path / "note", str(program)).make("")
    assert told(tmp_path) == [MADE, MADE, TAKEN]


def test_what_is_kept_for_the_start_of_the_machine_is_a_table_as_a_whole(tmp_path: Path, program: Path) -> None:
    at_boot = tmp_path / "strict.nft"
    table = Nft(tmp_path / "note", str(program), at_boot)
    table.keep(CHAINS)
    assert at_boot.read_text() == MADE
    assert at_boot.stat().st_mode & 0o777 == 0o600
    at_boot.write_text("somebody else's\n")
    table.keep(CHAINS)
    assert at_boot.read_text() == "somebody else's\n", "it is written when it changes"
    Nft(tmp_path / "note", str(program), at_boot).keep("")
    assert not at_boot.exists(), "also by who does not know of it"
    assert told(tmp_path) == []


def test_what_a_helper_before_has_kept_is_not_written_again(tmp_path: Path, program: Path) -> None:
    at_boot = tmp_path / "strict.nft"
    Nft(tmp_path / "note", str(program), at_boot).keep(CHAINS)
    before = at_boot.stat().st_ino
    Nft(tmp_path / "note", str(program), at_boot).keep(CHAINS)
    assert at_boot.stat().st_ino == before
    at_boot.write_bytes(b"\xff")
    Nft(tmp_path / "note", str(program), at_boot).keep(CHAINS)
    assert at_boot.read_text() == MADE


def test_a_table_that_the_start_of_the_machine_has_left_is_taken_away(tmp_path: Path, table: Nft) -> None:
    (tmp_path / "note").touch()
    table.make("")
    assert told(tmp_path) == [TAKEN]


def test_a_refusal_is_told_and_tried_again(tmp_path: Path, table: Nft) -> None:
    (tmp_path / "refuses").touch()
    with pytest.raises(Failed, match="journal"):
        table.make(CHAINS)
    (tmp_path / "refuses").unlink()
    table.make(CHAINS)
    assert told(tmp_path) == [MADE]


def test_a_program_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="could not be changed"):
        Nft(tmp_path / "note", "/nonexistent/nft").make(CHAINS)


def message(kind: int, name: bytes = b"cablecar\0", sender: int = 4711) -> bytes:
    """Return an event of nftables as the kernel tells it."""
    attribute = struct.pack("=HH", 4 + len(name), 1) + name + b"\0" * (-len(name) % 4)
    body = b"\1\0\0\0" + attribute
    return struct.pack("=IHHII", 16 + len(body), 10 << 8 | kind, 0, 1, sender) + body


@pytest.fixture
def kernel(table: Nft, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    monkeypatch.setattr(table._ear, "_socket", ours)
    yield kernels
    ours.close()
    kernels.close()


NEWTABLE, DELTABLE, DELRULE, NEWSET = 0, 2, 8, 9


@pytest.mark.parametrize(
    ("data", "is_lost"),
    [
        (message(DELTABLE), True),
        (message(NEWTABLE) + message(DELRULE), True),
        (message(NEWTABLE), False),
        (message(DELTABLE, b"cablecar2\0"), False),
        (message(DELTABLE, b"filter\0"), False),
    ],
)
def test_a_loss_is_heard_and_mended(
    tmp_path: Path, table: Nft, kernel: socket.socket, data: bytes, is_lost: bool
) -> None:
    heard = []
    table.follow(lambda: heard.append(True))
    table.make(CHAINS)
    kernel.send(data)
    table._ear._heard()
    assert bool(heard) is is_lost
    assert table.make(CHAINS) is is_lost
    assert len(told(tmp_path)) == 1 + is_lost


def test_our_own_doing_is_no_loss(table: Nft, kernel: socket.socket) -> None:
    table.follow(lambda: pytest.fail("nobody else was there"))
    table.make(CHAINS)
    kernel.send(message(DELTABLE, sender=table._child))
    table._ear._heard()


def test_an_ear_tells_whose_table_it_was_and_of_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Change] = []
    ear = Ear(heard.extend)
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    with ours, kernels:
        monkeypatch.setattr(ear, "_socket", ours)
        kernels.send(message(NEWSET) + message(NEWTABLE) + message(DELRULE, b"filter\0", 7))
        ear._heard()
    assert heard == [Change(False, True, False, 4711), Change(True, False, True, 7)]


async def test_an_ear_hears_the_kernel_only_while_it_is_to() -> None:
    ear = Ear(lambda changes: None)
    for wanted in (False, True, True, False, False):
        ear.listen(wanted)
        assert ear.hears is wanted


def test_a_table_that_is_lost_while_it_is_made_is_made_again(
    tmp_path: Path, table: Nft, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = nft.run

    def run_and_lose(text: str, **arguments: Any) -> None:
        run(text, **arguments)
        table._heard([Change(is_loss=True, is_ours=True, is_others=True, sender=4711)])

    monkeypatch.setattr(nft, "run", run_and_lose)
    table.make(CHAINS)
    monkeypatch.setattr(nft, "run", run)
    table.make(CHAINS)
    table.make(CHAINS)
    assert told(tmp_path) == [MADE, MADE]


async def test_a_loss_is_heard_from_before_the_table_is_made(table: Nft) -> None:
    table.listen(wanted=True)
    assert table._ear.hears
    table.listen()
    assert not table._ear.hears


async def test_a_kernel_without_nftables_tells_nothing_and_stops_no_call(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*of: object) -> socket.socket:
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    ear = Ear(lambda changes: None)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", refused)
        for wanted in (True, True, False, True):
            ear.listen(wanted)
    assert not ear.hears
    assert [record.levelname for record in caplog.records] == ["WARNING"], "told once"
