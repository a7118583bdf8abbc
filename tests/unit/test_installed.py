"""The installed pppd's version: asked once, and again when another one is installed."""

from pathlib import Path

import pytest

from cablecar.helper.errors import CallFailed
from cablecar.helper.installed import PPPD, Pppd


def install(path: Path, output: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(f"#!/bin/sh\necho asked >> {path.parent}/asked\n{output}\n")
    new.chmod(0o755)
    new.rename(path)


async def test_it_is_asked_once_of_each(tmp_path: Path) -> None:
    install(tmp_path / "pppd", "echo pppd version 2.4.9 >&2")
    pppd = Pppd(tmp_path / "pppd")
    assert [await pppd.version() for _ in range(3)] == [(2, 4, 9)] * 3
    install(tmp_path / "pppd", "echo pppd version 2.5.2")
    assert [await pppd.version() for _ in range(3)] == [(2, 5, 2)] * 3
    assert (tmp_path / "asked").read_text() == "asked\n" * 2


@pytest.mark.parametrize("output", ["", "echo pppd version x.y", "exit 1"])
async def test_one_that_does_not_say_is_no_use(tmp_path: Path, output: str) -> None:
    install(tmp_path / "pppd", output)
    with pytest.raises(CallFailed, match="Install"):
        await Pppd(tmp_path / "pppd").version()


async def test_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="Install"):
        await Pppd(tmp_path / "pppd").version()


async def test_the_real_one_answers() -> None:
    assert await Pppd(PPPD).version() >= (2, 4, 9)
