"""A helper that comes after another one of the same boot: it knows what that one knew."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

import pytest

from cablecar.helper import call, reasons, remains
from cablecar.helper.bus import CallError
from cablecar.helper.errors import StorageFailed
from cablecar.helper.links import Changes, Links
from cablecar.helper.pppd import Exit
from tests.bus.test_members import dialed_by_hand
from tests.bus.test_service import added, come_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from cablecar.helper.managed import ManagedLink
    from tests.bus.conftest import Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"


@contextlib.asynccontextmanager
async def another(stage: Stage, at_boot: bool = False) -> AsyncIterator[ManagedLink]:
    """The link as the next helper has it."""
    links = Links(stage.machinery)
    await links.begin(at_boot=at_boot)
    link = links.get(LINK)
    yield link
    link.wake_after(None)
    link.calls.hang_up()


async def call_that_fails(stage: Stage, code: int, *words: str) -> None:
    """Dial once; pppd says these words and ends with this exit status."""
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    stage.units.say(LINK, *words)
    stage.units.end(LINK, Exit(code=code))
    await dialing


async def test_a_call_that_goes_on_is_as_old_as_it_was(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    old = stage.links.get(LINK)
    async with another(stage) as link:
        assert link.status == old.status._replace(attempt=0)
        assert link.calls.call is not None
        assert old.calls.call is not None
        assert link.calls.call.dialed == old.calls.call.dialed
        stage.units.end(LINK, Exit(code=16))
        await stage.until(lambda: link.status.state != "up")
    (record, *_) = stage.machinery.history.read(LINK, 9)[-1:]
    assert 0 < record.dialed <= record.connected <= record.ended


async def test_a_call_that_is_ending_at_the_start_was_hung_up_by_nobody(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    stage.units.stopping.add(LINK)  # as by a Reconnect of the helper before
    stage.units.say(LINK, "Terminating on signal 15")
    async with another(stage) as link:
        assert link.status.state == "dialing"
        assert LINK in stage.routes.wanted and not stage.routes.wanted[LINK].tunnel
        stage.units.stopping.clear()
        stage.units.end(LINK, Exit(code=5))
        await stage.until(lambda: stage.units.started == 2)
        assert stage.machinery.history.read(LINK, 1)[0].reason == "interrupted"


async def test_what_calls_left_that_were_killed_with_the_helper_is_seen_to_before_anything_is_dialed(
    stage: Stage,
) -> None:
    await added(stage)
    await call_that_fails(stage, 16, "LCP terminated by peer")
    assert stage.links.get(LINK).status.state == "waiting"
    for name in (LINK, "settings_are_gone"):
        (stage.units.run / f"{name}.hooks").write_text("what is up")
    stage.units.have_run.clear()
    async with another(stage):  # the fake unit demands that no call runs
        assert sorted(stage.units.have_run) == [
            f"cablecar-killed@{name}.service" for name in ("settings_are_gone", LINK)
        ]


@pytest.mark.parametrize("why", ["runs in its unit", "runs by hand", "its scripts run"])
async def test_what_is_not_left_is_not_seen_to(stage: Stage, tmp_path: Path, why: str) -> None:
    await added(stage)
    await come_up(stage)
    (stage.units.run / f"{LINK}.hooks").write_text("what is up")
    if why != "runs in its unit":
        stage.units.active.clear()
    if why == "its scripts run":
        stage.units.say(LINK, remains.MEANWHILE)
    stage.units.have_run.clear()
    pppd = await dialed_by_hand(tmp_path)
    if why == "runs by hand":
        (stage.units.run / f"ppp-{LINK}.pid").write_text(f"{pppd.pid}\nppp0\n")
    try:
        async with another(stage):
            assert stage.units.have_run == []
    finally:
        with contextlib.suppress(ProcessLookupError):
            pppd.kill()
        await pppd.wait()


async def test_the_password_of_a_link_that_was_removed_behind_our_back_is_nobodys(stage: Stage) -> None:
    await added(stage)
    stage.store.save_wish(LINK, 1000)
    (stage.store.configuration / f"links/{LINK}.toml").unlink()
    await Links(stage.machinery).begin(at_boot=False)
    assert (stage.store.password(LINK), stage.store.wish(LINK)) == (None, None)


async def test_a_refused_password_is_still_known(stage: Stage) -> None:
    await added(stage)
    await call_that_fails(stage, 19, "Using interface ppp0", "PAP authentication failed")
    async with another(stage) as link:
        assert link.status == stage.links.get(LINK).status
        assert (link.status.state, link.status.reason) == ("failed", reasons.AUTHENTICATION_FAILED)
        assert link.calls.log_lines(9) == ["Using interface ppp0", "PAP authentication failed"]
        assert stage.units.started == 1


async def test_who_waits_goes_on_waiting(stage: Stage) -> None:
    await added(stage)
    await call_that_fails(stage, 16, "anon warn[x]: connect: Connection refused")
    old = stage.links.get(LINK)
    old.wake_after(None)
    assert old.status.state == "waiting"
    async with another(stage) as link:
        assert link.status == old.status
        assert stage.units.started == 1
        link.wake_after(None)
        link.machine.wake()
        await stage.until(lambda: stage.units.started == 2)
        assert link.status.attempt == old.status.attempt


async def test_a_wish_that_a_kill_left_without_a_call_is_dialed(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    await stage.client.link("Disconnect")
    stage.store.save_wish(LINK, 1000)
    async with another(stage) as link:
        await stage.until(lambda: LINK in stage.units.active)
        assert link.status.state == "dialing"


async def test_a_call_without_settings_has_its_scripts_and_its_firewall_seen_to_before_it_is_forgotten(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(stage)
    await come_up(stage)
    (stage.units.run / f"{LINK}.hooks").write_text("what is up")
    (stage.units.run / "openings").write_text(LINK)
    (stage.store.configuration / f"links/{LINK}.toml").unlink()
    stage.units.ends_when_stopped = False
    stage.units.have_run.clear()
    closed, looks = [], []

    async def is_running(link: str) -> bool:
        looks.append(link)
        return link in stage.units.active

    async def close(link: str) -> None:
        assert link not in stage.units.active
        assert stage.store.password(link), "what is forgotten first is not taken back by the next start after a kill"
        closed.append(link)

    monkeypatch.setattr(stage.machinery.openings, "close", close)
    monkeypatch.setattr(stage.units, "is_running", is_running)
    monkeypatch.setattr(call, "LOOK_EVERY", 0.01)
    links = Links(stage.machinery)
    await links.begin(at_boot=False)
    making = asyncio.ensure_future(links.add(LINK, {"server": "203.0.113.7", "user": "u"}))
    await stage.until(lambda: len(looks) > 2)
    assert not closed and not stage.units.have_run and not making.done()
    assert (stage.peers / LINK).exists() and (stage.units.run / f"{LINK}.hooks").exists()
    stage.units.active.clear()
    await making
    assert (stage.units.have_run, closed) == ([f"cablecar-killed@{LINK}.service"], [LINK])
    assert stage.store.password(LINK) is None and not (stage.peers / LINK).exists()


@pytest.mark.parametrize("fault", ["systemd refuses", "it does not end"])
async def test_a_call_without_settings_that_goes_on_keeps_what_it_has(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    await added(stage)
    await come_up(stage)
    (stage.store.configuration / f"links/{LINK}.toml").unlink()

    async def stop(link: str) -> None:
        if fault == "systemd refuses":
            raise CallError("x", "y")

    monkeypatch.setattr(stage.units, "stop", stop)
    monkeypatch.setattr(call, "END_LIMIT", 0.05)
    monkeypatch.setattr(call, "LOOK_EVERY", 0.01)
    await Links(stage.machinery).begin(at_boot=False)
    await stage.until(lambda: "could not be stopped" in caplog.text or "does not end" in caplog.text)
    assert (stage.peers / LINK).exists()


async def test_what_is_left_of_a_removed_link_goes(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    await stage.client.link("Disconnect")
    (stage.store.configuration / f"links/{LINK}.toml").unlink()
    (stage.peers / "foreign").write_text("pty cat\n")
    await Links(stage.machinery).begin(at_boot=False)
    assert [path.name for path in stage.peers.iterdir()] == ["foreign"]
    assert stage.store.password(LINK) is None


async def test_a_broken_file_that_was_mended_is_dialed_as_its_wish_says(stage: Stage) -> None:
    await added(stage)
    path = stage.store.configuration / f"links/{LINK}.toml"
    whole = path.read_text()
    path.write_text("user = [")
    stage.store.save_wish(LINK, 1000)
    links = Links(stage.machinery)
    await links.begin(at_boot=False)
    assert not links.by_name
    path.write_text(whole)
    await links.reload(Changes())
    await stage.until(lambda: LINK in stage.units.active)
    links.get(LINK).wake_after(None)


async def test_a_full_disk_keeps_nobody_from_dialing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await added(stage)
    await come_up(stage)
    await stage.client.link("Disconnect")

    def full(*_: object) -> None:
        raise StorageFailed("the disk is full")

    monkeypatch.setattr("cablecar.helper.safefile.replace", full)
    await come_up(stage)


async def test_a_call_of_the_unit_that_somebody_else_started_comes_up(stage: Stage, tmp_path: Path) -> None:
    await added(stage)
    pppd = await dialed_by_hand(tmp_path)
    try:
        (stage.units.run / f"ppp-{LINK}.pid").write_text(f"{pppd.pid}\nppp0\n")
        stage.units.active.add(LINK)
        stage.units.say(LINK, *stage.up_lines)
        stage.links.network_changed()
        await stage.until(lambda: stage.links.get(LINK).status.state == "up")
    finally:
        pppd.kill()
        await pppd.wait()


@pytest.mark.parametrize("is_up", [True, False])
async def test_a_call_of_the_unit_that_somebody_else_started_goes_on(stage: Stage, tmp_path: Path, is_up: bool) -> None:
    await added(stage)
    pppd = await dialed_by_hand(tmp_path)
    try:
        (stage.units.run / f"ppp-{LINK}.pid").write_text(f"{pppd.pid}\nppp0\n")
        stage.units.active.add(LINK)
        stage.units.say(LINK, *stage.up_lines[: None if is_up else 1])
        stage.links.network_changed()
        await stage.until(lambda: stage.links.get(LINK).status.state == ("up" if is_up else "dialing"))
        for _ in range(2):
            links = Links(stage.machinery)
            await links.begin(at_boot=False)
            assert links.get(LINK).status.state == ("up" if is_up else "dialing")
            assert links.get(LINK).machine.is_by_hand
        stage.units.end(LINK, Exit(code=5))
        await stage.until(lambda: links.get(LINK).status.state == "down")
        stage.units.active.add(LINK)  # and now it is nobody's
        async with another(stage) as link:
            assert not link.machine.is_by_hand
            await stage.until(lambda: link.status.state in ("down", "failed"))
            assert stage.units.active == set()
    finally:
        pppd.kill()
        await pppd.wait()


async def test_a_call_by_hand_that_says_nothing_is_seen_by_its_interface(stage: Stage, tmp_path: Path) -> None:
    await added(stage)
    pppd = await dialed_by_hand(tmp_path)
    pid_file = stage.units.run / f"ppp-{LINK}.pid"
    ends = stage.routes.point_to_point.pop("ppp0")
    try:
        pid_file.write_text(f"{pppd.pid}\n")
        stage.links.network_changed()
        await stage.until(lambda: stage.links.get(LINK).status.state == "dialing")
        pid_file.write_text(f"{pppd.pid}\nppp0\n")
        stage.routes.point_to_point["ppp0"] = ends
        stage.links.network_changed()
        await stage.until(lambda: stage.links.get(LINK).status.state == "up")
        details = (await stage.client.link("Details")).body[0]
        assert (details["local_address"].value, details["remote_address"].value) == tuple(map(str, ends))
    finally:
        pppd.kill()
        await pppd.wait()


@pytest.mark.parametrize(("arguments", "why"), [([], "a helper runs already"), (["--sweep"], "the helper runs")])
async def test_a_second_helper_touches_nothing(stage: Stage, private_bus: str, arguments: list[str], why: str) -> None:
    await added(stage)
    # What goes on regardless must not meet this machine's network.
    program = (
        "import os; os.geteuid = lambda: 0; from cablecar.helper import main; main.Routes = None;"
        f"raise SystemExit(main.main({arguments}))"
    )
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={"DBUS_SYSTEM_BUS_ADDRESS": private_bus}, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        _, said = await second.communicate()
    assert second.returncode == 1
    assert why.encode() in said
