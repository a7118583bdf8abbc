"""Names into addresses: through the unit's files, and only addresses that a server can have."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import pytest

from cablecar.helper.bus import CallError
from cablecar.helper.errors import CallFailed
from cablecar.helper.lookup import Lookup
from cablecar.helper.units import Units


@dataclass
class Answering:
    """Plays systemd and the unit."""

    folder: Path
    answer: str | None
    asked: list[str] = field(default_factory=list)

    async def finish(self, unit: str) -> None:
        self.asked.append((self.folder / "yosefcom.lookup").read_text())
        assert unit == "cablecar-lookup@yosefcom.service"
        if self.answer is None:
            raise CallError("org.example", "refused")
        (self.folder / "yosefcom.addresses").write_text(self.answer)


def lookup(folder: Path, answer: str | None) -> tuple[Lookup, Answering]:
    units = Answering(folder, answer)
    return Lookup(cast("Units", units), folder), units


async def test_a_name_becomes_its_addresses(tmp_path: Path) -> None:
    asker, units = lookup(tmp_path, "203.0.113.7 STREAM vpn.example\n203.0.113.7 DGRAM\n203.0.113.8 STREAM\n")
    found = await asker.addresses("yosefcom", "vpn.example")
    assert found == [IPv4Address("203.0.113.7"), IPv4Address("203.0.113.8")]
    assert units.asked == ["SERVER=vpn.example\n"]
    assert list(tmp_path.iterdir()) == []


async def test_an_address_is_asked_of_nobody(tmp_path: Path) -> None:
    asker, units = lookup(tmp_path, None)
    assert await asker.addresses("yosefcom", "203.0.113.7") == [IPv4Address("203.0.113.7")]
    assert units.asked == []


@pytest.mark.parametrize("answer", [None, "", "127.0.0.1 STREAM\n0.0.0.0 STREAM\n224.0.0.1 RAW\n", "\n\nx\n"])
async def test_what_leads_nowhere_is_named(tmp_path: Path, answer: str | None) -> None:
    asker, _ = lookup(tmp_path, answer)
    with pytest.raises(CallFailed) as failure:
        await asker.addresses("yosefcom", "vpn.example")
    assert failure.value.reason.id == "server-not-found"
    assert list(tmp_path.iterdir()) == []
