"""Strict mode: when it begins, what it outlives, and who ends it."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest
from dbus_next.signature import Variant

from cablecar.helper.errors import Failed, StorageFailed
from cablecar.helper.pppd import Exit
from cablecar.helper.store import Store
from tests.bus.test_members import by_hand_is_up, dialed_by_hand
from tests.bus.test_restart import another
from tests.bus.test_service import added, come_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bus.conftest import Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"
LOCAL = ("192.168.1.0/24",)
HOLDS = {LINK: tuple(map(IPv4Network, LOCAL))}


async def strict(stage: Stage) -> None:
    await added(stage)
    await update(stage, Variant("as", list(LOCAL)))
    assert stage.routes.strict == {}, "nobody wants the link yet"


async def update(stage: Stage, value: Variant) -> None:
    assert not (await stage.client.link("Update", "a{sv}", {"strict": value})).error_name


async def fail(stage: Stage) -> None:
    stage.units.say(LINK, "PAP authentication failed")
    stage.units.end(LINK, Exit(code=19))
    await stage.until(lambda: stage.links.get(LINK).status.state == "failed")


@pytest.mark.parametrize("ended", ["Disconnect", "Update", "RemoveLink", "RestoreNetwork"])
async def test_it_outlives_calls_and_helpers_and_a_person_ends_it(stage: Stage, ended: str) -> None:
    await strict(stage)
    await come_up(stage)
    assert stage.routes.strict == HOLDS
    await fail(stage)
    assert stage.routes.strict == HOLDS, "trying again is pointless, but nobody has ended it"
    stage.routes.strict.clear()
    async with another(stage):
        assert stage.routes.strict == HOLDS, "the next helper goes on with it"
    if ended == "Disconnect":
        await stage.client.link("Disconnect")
    elif ended == "Update":
        await update(stage, Variant("b", False))
    else:
        await stage.client.manager(ended, *(("s", LINK) if ended == "RemoveLink" else ()))
    assert (stage.routes.strict, stage.store.strict()) == ({}, {})


async def test_it_goes_on_while_the_settings_cannot_be_read(stage: Stage) -> None:
    await strict(stage)
    await come_up(stage)
    await fail(stage)
    (stage.store.configuration / f"links/{LINK}.toml").write_text("nonsense")
    (stage.store.state / f"strict/{LINK}").write_bytes(b"\xff")
    stage.routes.strict.clear()
    restarted = type(stage.links)(stage.machinery)
    await restarted.begin(at_boot=False)
    assert stage.routes.strict == {LINK: ()}


async def test_a_wanted_link_takes_it_at_once(stage: Stage) -> None:
    await added(stage)
    await come_up(stage)
    await update(stage, Variant("b", True))
    assert stage.routes.strict == {LINK: ()}


async def test_nothing_is_dialed_where_it_cannot_hold(stage: Stage) -> None:
    await strict(stage)
    stage.routes.refusal = Failed("The firewall refuses.")
    reply = await stage.client.link("Connect")
    assert (reply.error_name, reply.body) == ("org.cablecar1.Error.Failed", ["The firewall refuses."])
    assert (stage.units.started, stage.store.wish(LINK), stage.store.strict()) == (0, None, {})
    assert await stage.client.state() == "down"


async def test_who_may_not_end_a_call_by_hand_does_not_where_it_cannot_hold(stage: Stage, tmp_path: Path) -> None:
    await strict(stage)
    pppd = await dialed_by_hand(tmp_path)
    try:
        await by_hand_is_up(stage, pppd)
        stage.routes.refusal = Failed("The firewall refuses.")
        for member in ("Connect", "Reconnect"):
            assert (await stage.client.link(member)).error_name == "org.cablecar1.Error.Failed"
        assert (stage.links.get(LINK).status.state, pppd.returncode) == ("up", None)
        assert stage.links.get(LINK).machine.is_by_hand
        assert (stage.store.wish(LINK), stage.store.strict(), stage.routes.strict) == (None, {}, {})
    finally:
        pppd.kill()
        await pppd.wait()


async def test_two_who_ask_at_once_are_both_refused_where_it_cannot_hold(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await strict(stage)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def set_strict(link: str, local: tuple[IPv4Network, ...] | None) -> None:
        known = stage.routes.strict.get(link) == local  # `Routes` answers for a change that is still on its way
        stage.routes.expect_strict(link, local)
        if local is not None and not known:
            asked.set()
            await go_on.wait()
            raise Failed("The firewall refuses.")

    monkeypatch.setattr(stage.routes, "set_strict", set_strict)
    first = asyncio.ensure_future(stage.client.link("Connect"))
    await asked.wait()
    second = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.client.manager("ListLinks")
    go_on.set()
    assert (await first).error_name == "org.cablecar1.Error.Failed"
    assert (await second).error_name == "org.cablecar1.Error.Cancelled"
    assert (stage.units.started, stage.store.wish(LINK), stage.routes.strict) == (0, None, {})


async def test_who_asks_in_vain_ends_nothing_that_held_before(stage: Stage) -> None:
    await strict(stage)
    await come_up(stage)
    await fail(stage)
    stage.routes.refusal = Failed("The firewall refuses.")
    assert (await stage.client.link("Connect")).error_name == "org.cablecar1.Error.Failed"
    assert (stage.routes.strict, stage.store.strict(), stage.store.wish(LINK)) == (HOLDS, {LINK: LOCAL}, None)


@pytest.mark.parametrize("ended", [True, False])
async def test_what_the_disk_has_no_room_for_only_a_person_ends(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    await strict(stage)
    save = Store.save_strict

    def full(store: Store, name: str, local: Sequence[str] | None) -> None:
        if local is not None:
            raise StorageFailed("No space left on device.")
        save(store, name, local)

    monkeypatch.setattr(Store, "save_strict", full)
    await come_up(stage)
    await fail(stage)
    if ended:
        await stage.client.link("Disconnect")
    assert not (await stage.client.manager("Reload")).error_name
    await stage.client.link("Update", "a{sv}", {"title": Variant("s", "T")})
    assert stage.routes.strict == ({} if ended else HOLDS)


async def test_a_link_that_is_up_without_it_by_hand_is_left_out(stage: Stage) -> None:
    await strict(stage)
    async with another(stage):
        assert stage.routes.strict == {}


async def test_who_connects_while_the_network_is_restored_keeps_it(stage: Stage) -> None:
    await strict(stage)
    await stage.client.add_link("slow")
    stage.links.set_password("slow", b"x")
    slow = asyncio.ensure_future(stage.links.get("slow").connect(0))
    await stage.until(lambda: "slow" in stage.units.active)
    stage.units.say("slow", *stage.up_lines)
    await slow
    stage.units.ends_when_stopped = False
    restoring = asyncio.ensure_future(stage.client.manager("RestoreNetwork"))
    await stage.until(lambda: stage.links.get("slow").status.state == "stopping")
    await come_up(stage)
    stage.units.ends_when_stopped = True
    stage.units.end("slow", Exit(code=5))
    assert (await restoring).error_name is None
    assert set(stage.routes.strict) == set(stage.store.strict()) == {LINK}
