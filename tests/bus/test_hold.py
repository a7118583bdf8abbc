"""A cable that loses its carrier while a call is up: for a short time the call stands still, and goes on after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cablecar.helper import hold
from cablecar.helper.bus import CallError
from tests.bus.test_restart import another
from tests.bus.test_service import added, come_up

if TYPE_CHECKING:
    from tests.bus.conftest import Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"
CABLE = 2


async def unplugged(stage: Stage) -> None:
    """A call that is up, and whose cable has just lost its carrier."""
    await added(stage)
    await come_up(stage)
    call = stage.links.get(LINK).dialer.call
    await stage.until(lambda: call is not None and call._cable)
    stage.routes.dead.add(CABLE)
    stage.links.network_changed()
    await stage.until(lambda: LINK in stage.units.standing_still)


async def test_a_short_loss_costs_no_call(stage: Stage) -> None:
    await unplugged(stage)
    stage.links.network_changed()  # the lease goes, too
    stage.routes.dead.clear()
    await stage.until(lambda: not stage.units.standing_still)
    assert (await stage.client.state(), stage.units.started) == ("up", 1)
    stage.routes.dead.add(CABLE)
    stage.links.network_changed()
    await stage.until(lambda: LINK in stage.units.standing_still)


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


async def test_the_next_helper_lets_it_go_on(stage: Stage) -> None:
    await unplugged(stage)
    async with another(stage) as link:
        assert link.status.state == "up"
        await stage.until(lambda: not stage.units.standing_still)


async def test_pppd_alone_decides_where_systemd_refuses(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def refuse(link: str) -> None:
        asked.append(link)
        raise CallError("org.freedesktop.DBus.Error.AccessDenied", "no")

    monkeypatch.setattr(stage.units, "pause", refuse)
    await added(stage)
    await come_up(stage)
    call = stage.links.get(LINK).dialer.call
    await stage.until(lambda: call is not None and call._cable)
    stage.routes.dead.add(CABLE)
    stage.links.network_changed()
    await stage.until(lambda: asked)
    assert await stage.client.state() == "up"
