"""A cable that loses its carrier while a call is up: for a short time the call stands still, and goes on after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cablecar.helper import hold
from cablecar.helper.bus import CallError
from cablecar.helper.pppd import Exit
from tests.bus.conftest import CABLE
from tests.bus.test_restart import another
from tests.bus.test_service import added, come_up

if TYPE_CHECKING:
    from tests.bus.conftest import Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"
INDEX = CABLE.interface.index
REFUSED = CallError("org.freedesktop.DBus.Error.NoReply", "no")


async def up(stage: Stage) -> None:
    """A call that is up, and known to go by the cable."""
    await added(stage)
    await come_up(stage)
    call = stage.links.get(LINK).calls.call
    await stage.until(lambda: call is not None and call.dialed.cable == INDEX)


async def unplugged(stage: Stage) -> None:
    """A call that is up, and whose cable has just lost its carrier."""
    await up(stage)
    stage.routes.dead.add(INDEX)
    stage.links.network_changed()
    await stage.until(lambda: LINK in stage.units.standing_still)


async def test_a_short_loss_costs_no_call(stage: Stage) -> None:
    await unplugged(stage)
    stage.links.network_changed()  # the lease goes, too
    stage.routes.dead.clear()
    await stage.until(lambda: not stage.units.standing_still)
    assert (await stage.client.state(), stage.units.started) == ("up", 1)
    stage.routes.dead.add(INDEX)
    stage.links.network_changed()
    await stage.until(lambda: LINK in stage.units.standing_still)


async def test_a_lease_may_come_back_after_the_carrier(stage: Stage) -> None:
    await unplugged(stage)
    stage.routes.reached = False
    stage.routes.dead.clear()
    stage.links.network_changed()
    with pytest.raises(TimeoutError):
        await stage.until(lambda: not stage.units.standing_still, seconds=3 * hold.LOOK_EVERY)
    stage.routes.reached = True
    await stage.until(lambda: not stage.units.standing_still)
    assert (await stage.client.state(), stage.units.started) == ("up", 1)


async def test_pppd_decides_when_only_the_lease_stays_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "LIMIT", 0.05)
    await unplugged(stage)
    stage.routes.reached = False
    stage.routes.dead.clear()
    await stage.until(lambda: not stage.units.standing_still)
    assert (await stage.client.state(), stage.units.started) == ("up", 1)


async def test_another_cable_that_leads_there_will_do(stage: Stage) -> None:
    await up(stage)
    stage.routes.dead.add(INDEX)
    stage.routes.cable_ = CABLE._replace(interface=replace(CABLE.interface, index=3))
    looks = len(stage.routes.reconciled)
    stage.links.network_changed()
    await stage.until(lambda: len(stage.routes.reconciled) > looks)
    assert await stage.client.state() == "up"
    assert not stage.units.standing_still


async def test_a_long_one_ends_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "LIMIT", 0.05)
    await unplugged(stage)
    await stage.until(lambda: stage.units.started == 2)
    assert not stage.units.standing_still
    assert stage.machinery.history.read(LINK, 1)[0].reason == "path-lost"


async def test_who_hangs_up_need_not_wait(stage: Stage) -> None:
    await unplugged(stage)
    assert (await stage.client.link("Disconnect")).error_name is None
    await stage.until(lambda: not stage.units.standing_still)
    assert (await stage.client.state(), stage.units.started) == ("down", 1)
    assert stage.machinery.history.read(LINK, 1)[0].reason == "requested"


async def test_poff_meanwhile_is_respected(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "LIMIT", 0.05)

    async def wake(link: str) -> None:
        if link in stage.units.standing_still:
            stage.units.standing_still.discard(link)
            stage.units.say(LINK, "Terminating on signal 15")

    monkeypatch.setattr(stage.units, "resume", wake)
    await unplugged(stage)
    await stage.until(lambda: not stage.units.standing_still)
    stage.units.end(LINK, Exit(code=5))
    await stage.until(lambda: stage.links.get(LINK).status.state == "failed")
    assert stage.machinery.history.read(LINK, 1)[0].reason == "hung-up-here"
    assert stage.units.started == 1


async def test_the_next_helper_lets_it_go_on(stage: Stage) -> None:
    await unplugged(stage)
    async with another(stage) as link:
        assert link.status.state == "up"
        await stage.until(lambda: stage.units.resumed)  # until it is seen that the plug is still out
        assert link.calls.call is not None
        assert link.calls.call.dialed.cable == INDEX  # also while the plug is out


async def test_pppd_alone_decides_where_systemd_refuses(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def refuse(link: str) -> None:
        asked.append(link)
        raise REFUSED

    monkeypatch.setattr(stage.units, "pause", refuse)
    await up(stage)
    stage.routes.dead.add(INDEX)
    stage.links.network_changed()
    await stage.until(lambda: asked)
    assert await stage.client.state() == "up"


async def test_systemd_is_asked_until_the_call_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "AGAIN", 0.005)
    answers = [REFUSED, REFUSED, None]

    async def resume(link: str) -> None:
        if (answer := answers.pop(0)) is not None:
            raise answer

    monkeypatch.setattr(stage.units, "resume", resume)
    await hold.go_on(LINK, stage.units)  # type: ignore[arg-type]
    assert not answers
