"""polkit is asked rightly, and every answer but a plain yes is a refusal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from dbus_next.constants import MessageType
from dbus_next.message import Message

from cablecar.helper import authority, bus, names
from cablecar.helper.bus import Caller

if TYPE_CHECKING:
    from tests.bus.conftest import FakePolkit, Stage

pytestmark = pytest.mark.asyncio
LINK = "yosefcom"

MEMBERS: list[tuple[str, str, str, list[Any]]] = [
    ("Connect", names.ACTION_CONNECT, "", []),
    ("Disconnect", names.ACTION_CONNECT, "", []),
    ("Reconnect", names.ACTION_CONNECT, "", []),
    ("SetPassword", names.ACTION_MODIFY, "s", ["secret"]),
    ("SetTunnelSecret", names.ACTION_MODIFY, "s", ["secret"]),
    ("Details", names.ACTION_VIEW_DETAILS, "", []),
    ("Log", names.ACTION_VIEW_DETAILS, "u", [5]),
]


@pytest.mark.parametrize(("member", "action", "signature", "body"), MEMBERS, ids=[row[0] for row in MEMBERS])
@pytest.mark.parametrize("interactive", [False, True])
async def test_the_subject_is_the_callers_bus_name(
    stage: Stage, polkit: FakePolkit, member: str, action: str, signature: str, body: list[Any], interactive: bool
) -> None:
    polkit.answer = [False, False, {}]
    reply = await stage.client.link(member, signature, *body, interactive=interactive)
    assert reply.error_name == "org.cablecar1.Error.NotAuthorized"
    ((subject, asked, details, flags, cancel_id),) = polkit.questions
    assert (subject[0], subject[1]["name"].value) == ("system-bus-name", stage.client.connection.unique_name)
    assert (asked, details, flags) == (action, {"link": LINK}, 0)
    assert len(cancel_id) == 32


@pytest.mark.parametrize("interactive", [False, True])
async def test_people_are_asked_only_when_polkit_wants_a_password_and_the_caller_lets_it(
    stage: Stage, polkit: FakePolkit, interactive: bool
) -> None:
    polkit.asks_people = True
    reply = await stage.client.link("Log", "u", 5, interactive=interactive)
    assert (reply.message_type is MessageType.METHOD_RETURN) == interactive
    assert [question[3] for question in polkit.questions] == [0, 1][: 1 + interactive]
    assert len({question[4] for question in polkit.questions}) == len(polkit.questions)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ([False, True, {}], "NotAuthorizedCanObtain"),
        ([False, False, {}], "NotAuthorized"),
        ([False, False, {"polkit.dismissed": "true"}], "NotAuthorizedDismissed"),
    ],
)
async def test_three_refusals(stage: Stage, polkit: FakePolkit, answer: list[Any], error: str) -> None:
    polkit.answer = answer
    assert (await stage.client.link("Log", "u", 5)).error_name == f"org.cablecar1.Error.{error}"


async def test_a_yes_lets_in(stage: Stage, polkit: FakePolkit) -> None:
    assert (await stage.client.link("Log", "u", 5)).message_type is MessageType.METHOD_RETURN


async def test_nothing_is_asked_for_malformed_arguments(stage: Stage, polkit: FakePolkit) -> None:
    assert (await stage.client.add_link("../x")).error_name == "org.cablecar1.Error.InvalidName"
    assert (await stage.client.link("SetPassword", "s", "a\nb")).error_name == "org.cablecar1.Error.InvalidPassword"
    assert polkit.questions == []


async def test_without_polkit_everybody_is_refused(stage: Stage) -> None:
    await stage.client.add_link()
    stage.be_user(1000)
    assert (await stage.client.link("Connect")).error_name == "org.cablecar1.Error.AuthorityUnavailable"


async def test_a_refused_caller_leaves_no_match_rule(stage: Stage) -> None:
    async def rules() -> int:
        bus = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.Debug.Stats")
        message = Message(*bus, "GetConnectionStats", signature="s", body=[names.BUS_NAME])
        answer = await stage.client.connection.call(message)
        assert answer is not None
        return int(answer.body[0]["MatchRules"].value)

    await stage.client.add_link()
    before = await rules()
    stage.be_user(1000)
    for _ in range(10):
        replies = await asyncio.gather(*(stage.client.link("Connect") for _ in range(5)))
        assert all(reply.message_type is MessageType.ERROR for reply in replies)
    async with asyncio.timeout(5):
        while await rules() > before:
            await asyncio.sleep(0.01)


async def test_a_polkit_that_hangs_refuses_and_holds_nobody_up(
    stage: Stage, polkit: FakePolkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "PATIENCE", 0.2)
    polkit.hangs = True
    asked = asyncio.ensure_future(stage.client.link("Log", "u", 5))
    await stage.until(lambda: polkit.questions)
    assert (await stage.client.manager("ListLinks")).message_type is MessageType.METHOD_RETURN
    assert not asked.done()
    assert (await asked).error_name == "org.cablecar1.Error.AuthorityUnavailable"
    await stage.until(lambda: polkit.cancelled == [polkit.questions[0][4]])


async def test_a_caller_who_leaves_takes_the_question_along(stage: Stage, polkit: FakePolkit) -> None:
    polkit.hangs = True
    other = await stage.new_client()
    asked = asyncio.ensure_future(other.link("SetPassword", "s", "new"))
    await stage.until(lambda: polkit.questions)
    other.connection.disconnect()  # type: ignore[no-untyped-call]
    await stage.until(lambda: polkit.cancelled == [polkit.questions[0][4]])
    assert stage.store.password(LINK) is None
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


@pytest.mark.parametrize("asks_people", [True, False])
async def test_questions_that_wait_are_limited_for_a_user_and_altogether(
    stage: Stage, polkit: FakePolkit, asks_people: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    polkit.hangs, polkit.asks_people = True, asks_people
    per_user, altogether = authority.PEOPLE if asks_people else authority.AT_ONCE
    waiting = []

    async def ask() -> Message:
        client = await stage.new_client()  # the calls of one sender have a limit of their own
        return await client.link("Log", "u", 5, interactive=True)

    def hanging() -> int:
        return sum(question[3] == asks_people for question in polkit.questions)

    for uid in range(1000, 1000 + altogether // per_user):
        stage.be_user(uid)
        waiting += [asyncio.ensure_future(ask()) for _ in range(per_user)]
        await stage.until(lambda: hanging() == len(waiting))  # noqa: B023 - it is called before the next turn
        assert (await ask()).error_name == "org.cablecar1.Error.LimitExceeded"
    stage.be_user(2000)
    assert (await ask()).error_name == "org.cablecar1.Error.LimitExceeded"
    polkit.release.set()
    assert {reply.message_type for reply in await asyncio.gather(*waiting)} == {MessageType.METHOD_RETURN}
    assert (await ask()).message_type is MessageType.METHOD_RETURN


async def test_as_many_questions_as_one_may_have_calls_are_no_flood(stage: Stage, polkit: FakePolkit) -> None:
    calls = [stage.client.link("Log", "u", 5, interactive=True) for _ in range(bus.CALLS_LIMIT)]
    assert {reply.message_type for reply in await asyncio.gather(*calls)} == {MessageType.METHOD_RETURN}


async def test_a_link_that_was_removed_meanwhile_is_not_touched(stage: Stage, polkit: FakePolkit) -> None:
    polkit.hangs = True
    asked = asyncio.ensure_future(stage.client.link("SetPassword", "s", "new"))
    await stage.until(lambda: polkit.questions)
    await stage.links.remove(LINK)
    polkit.release.set()
    assert (await asked).error_name == "org.cablecar1.Error.NoSuchLink"
    assert stage.store.password(LINK) is None


async def test_another_users_link_needs_more(stage: Stage, polkit: FakePolkit) -> None:
    stage.store.save_wish(LINK, 1001)
    await stage.client.link("Disconnect")
    assert [question[1] for question in polkit.questions] == [names.ACTION_CONNECT, names.ACTION_DISCONNECT_OTHER]


async def test_a_late_answer_to_a_call_that_nobody_waits_for_harms_nothing(stage: Stage, polkit: FakePolkit) -> None:
    polkit.hangs = True
    assert stage.bus.guard is not None
    caller = Caller(stage.client.connection.unique_name or "", 1000, False)
    asking = asyncio.ensure_future(stage.bus.guard.demand(caller, names.ACTION_CONNECT, {}))
    await stage.until(lambda: polkit.questions)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    polkit.release.set()
    assert (await stage.client.manager("ListLinks")).message_type is MessageType.METHOD_RETURN


async def test_connecting_somebody_elses_link_does_not_make_it_ones_own(stage: Stage, polkit: FakePolkit) -> None:
    stage.store.save_password(LINK, b"secret")
    stage.store.save_wish(LINK, 1001)
    dialing = asyncio.ensure_future(stage.client.link("Connect"))
    await stage.until(lambda: LINK in stage.units.active)
    assert stage.store.wish(LINK) == 1001
    stage.units.say(LINK, *stage.up_lines)
    await dialing
    polkit.questions.clear()
    polkit.answer = [False, False, {}]
    await stage.client.link("Disconnect")
    polkit.answer = [True, False, {}]
    await stage.client.link("Disconnect")
    assert [question[1] for question in polkit.questions][1:] == [names.ACTION_CONNECT, names.ACTION_DISCONNECT_OTHER]


async def test_the_question_names_the_link(stage: Stage, polkit: FakePolkit) -> None:
    polkit.answer = [False, False, {}]
    await stage.client.add_link("another")
    assert polkit.questions[0][2] == {"link": "another"}
