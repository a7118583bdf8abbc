"""The machine's sleep, by a logind that is played on the bus, and by clocks that are."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from dbus_next.aio import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message

from cablecar.helper import reasons
from cablecar.helper import sleep as sleep_module
from cablecar.helper.bus import CallError
from cablecar.helper.pppd import Exit
from cablecar.helper.sleep import LOGIND, Sleep
from tests.bus.conftest import close
from tests.bus.test_service import added, come_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.bus.conftest import Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"


@dataclass
class FakeLogind:
    """Plays logind: gives inhibitors out, and knows which are held."""

    connection: MessageBus
    asked: list[list[Any]] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    refuses: bool = False
    hangs: bool = False

    def on_message(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "Inhibit":
            return None
        self.asked.append(message.body)
        if self.hangs:
            return True
        if self.refuses:
            return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "no")
        mine, theirs = os.pipe()
        os.set_blocking(mine, False)
        self.held.append(mine)
        sent = self.connection.send(Message.new_method_return(message, "h", [0], unix_fds=[theirs]))
        sent.add_done_callback(lambda _: os.close(theirs))
        return True

    def is_released(self) -> bool:
        try:
            return os.read(self.held[-1], 1) == b""
        except BlockingIOError:
            return False

    async def say(self, begins: bool) -> None:
        signal = Message.new_signal(LOGIND[1], LOGIND[2], "PrepareForSleep", "b", [begins])
        await self.connection.send(signal)


@pytest_asyncio.fixture
async def logind(stage: Stage) -> AsyncIterator[FakeLogind]:
    connection = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    played = FakeLogind(connection)
    connection.add_message_handler(played.on_message)
    await connection.request_name(LOGIND[0])
    yield played
    await close(connection)
    for descriptor in played.held:
        os.close(descriptor)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cablecar.helper.link.LEASE_LIMIT", 0.05)


def followed(stage: Stage, seconds_slept: Any = lambda: 0.0) -> Sleep:
    links = stage.links
    return Sleep(stage.bus, links.fall_asleep, links.wake_up, links.slept_unawares, seconds_slept)


async def test_a_logind_that_does_not_answer_holds_nobody_up(stage: Stage, logind: FakeLogind) -> None:
    logind.hangs = True
    async with asyncio.timeout(2):
        await followed(stage).begin()


async def test_a_call_is_hung_up_before_the_sleep_and_dialed_after_it(stage: Stage, logind: FakeLogind) -> None:
    await followed(stage).begin()
    await stage.until(lambda: logind.asked)
    assert logind.asked == [["sleep", "Cablecar", "Calls are hung up", "delay"]]
    await added(stage)
    await come_up(stage)
    assert not logind.is_released()
    await logind.say(True)
    await stage.until(logind.is_released)
    assert stage.units.active == set()
    link = stage.links.get(LINK)
    assert (link.status.state, link.status.reason, link.wanted_by) == ("waiting", reasons.SUSPENDED, 0)
    await logind.say(False)
    await stage.until(lambda: LINK in stage.units.active)
    await stage.until(lambda: len(logind.held) == 2)
    assert not logind.is_released()


async def test_a_call_that_is_being_dialed_is_hung_up_too(stage: Stage, logind: FakeLogind) -> None:
    await followed(stage).begin()
    await added(stage)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    await logind.say(True)
    assert (await dialing).error_name == "org.cablecar1.Error.Suspended"
    await stage.until(logind.is_released)
    assert stage.units.active == set()


async def test_the_sleep_is_not_held_up_by_a_call_that_does_not_end(
    stage: Stage, logind: FakeLogind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sleep_module, "HANG_UP_LIMIT", 0.05)
    await followed(stage).begin()
    await added(stage)
    await come_up(stage)

    async def never(link: str) -> None: ...

    monkeypatch.setattr(stage.units, "stop", never)
    await logind.say(True)
    await stage.until(logind.is_released)
    assert stage.links.get(LINK).status.state == "stopping"
    stage.units.end(LINK, Exit(code=5))


async def test_who_may_not_delay_the_sleep_hangs_up_all_the_same(stage: Stage, logind: FakeLogind) -> None:
    logind.refuses = True
    await followed(stage).begin()
    await added(stage)
    await come_up(stage)
    await logind.say(True)
    await stage.until(lambda: not stage.units.active)


async def test_a_logind_that_comes_later_is_asked_then(stage: Stage) -> None:
    await followed(stage).begin()
    connection = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    played = FakeLogind(connection)
    connection.add_message_handler(played.on_message)
    await connection.request_name(LOGIND[0])
    await stage.until(lambda: played.held)
    await close(connection)
    os.close(played.held[0])


async def test_the_signal_of_a_stranger_is_not_logind_s(stage: Stage, logind: FakeLogind) -> None:
    await followed(stage).begin()
    await added(stage)
    await come_up(stage)
    stranger = (await stage.new_client()).connection
    await stranger.send(Message.new_signal(LOGIND[1], LOGIND[2], "PrepareForSleep", "b", [True]))
    assert await stage.client.state() == "up"
    assert not logind.is_released()


async def test_what_is_no_descriptor_is_refused(stage: Stage) -> None:
    with pytest.raises(CallError, match="no descriptor"):
        await stage.bus.ask_for_descriptor(("org.freedesktop.DBus", "/", "org.freedesktop.DBus"), "GetId", "", [])


async def test_a_sleep_that_nobody_told_is_seen_by_the_clocks(stage: Stage) -> None:
    seconds = 100.0
    sleep = followed(stage, lambda: seconds)
    await added(stage)
    await come_up(stage)
    sleep.look()
    assert await stage.client.state() == "up"
    seconds = 130.0
    sleep.look()
    await stage.until(lambda: stage.units.started == 2)
    sleep.look()
    await stage.until(lambda: any(signal.member == "Disconnected" for signal in stage.client.signals))
    ended = {signal.member: signal.body for signal in stage.client.signals}["Disconnected"]
    assert ended == ["suspended", reasons.SUSPENDED.sentence, True]
    assert stage.units.started == 2


async def test_a_call_that_a_sleep_has_ended_is_not_the_providers_fault(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(stage)
    await come_up(stage)
    monkeypatch.setattr("cablecar.helper.call.slept", lambda: sleep_module.slept() + 60)
    stage.units.say(LINK, "No response to 3 echo-requests", "Serial link appears to be disconnected.")
    stage.units.end(LINK, Exit(code=15))
    await stage.until(lambda: stage.units.started == 2)
    assert stage.machinery.history.read(LINK, 1)[0].reason == "suspended"
