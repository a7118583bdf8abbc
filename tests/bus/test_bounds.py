"""What the messages of a stranger may cost: 30 MiB, deep nesting, many signatures, many at once; and what dbus-next's
private parts must be for the cure."""

from __future__ import annotations

import asyncio
import inspect
import socket
import struct
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.aio import MessageBus
from dbus_next.aio.message_bus import _MessageWriter
from dbus_next.constants import MessageFlag, MessageType
from dbus_next.message import Message
from dbus_next.signature import SignatureTree, Variant

from cablecar.helper import bus, names
from cablecar.helper.bus import Bus, CallError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.bus.conftest import Client, Stage


MIB = 2**20
LIMIT_EXCEEDED = "org.cablecar1.Error.LimitExceeded"


def marshalled(message: Message) -> bytes:
    return bytes(message._marshall())  # type: ignore[no-untyped-call]


def large(size: int, destination: str = names.BUS_NAME, **fields: Any) -> bytes:
    """Return a message `av` of `size` bytes: variants of one byte each, the slowest to decode."""
    fields = {"path": names.MANAGER_PATH, "interface": names.MANAGER_INTERFACE, "member": "AddLink", **fields}
    message = Message(destination=destination, signature="av", body=[[]], serial=4711, **fields)
    header = marshalled(message)[:-4]
    body = struct.pack("<I", size) + b"\x01y\x00\x07" * (size // 4)
    return header[:4] + struct.pack("<I", len(body)) + header[8:] + body


def memory(what: str) -> int:
    """Bytes of this process: `VmRSS` now, `VmHWM` at most since `rest`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


@asynccontextmanager
async def bounded(stage: Stage) -> AsyncIterator[None]:
    """Demand that the helper's event loop is never held, that it answers meanwhile, and that it takes little memory.

    Each gap is the loop's own, in processor time: the bus daemon needs most of a second to look through 30 MiB, whoever
    they are for, and what else the host does is not the helper's fault.
    """
    pinger, answers, gaps, over = await stage.new_client(), 0, [0.0], asyncio.Event()

    async def keep_pinging() -> None:
        nonlocal answers
        while not over.is_set():
            await ping(pinger)
            answers += 1

    async def watch() -> None:
        while not over.is_set():
            begin = time.thread_time()
            await asyncio.sleep(0.01)
            gaps.append(time.thread_time() - begin)

    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before = memory("VmRSS")
    pinging = asyncio.gather(keep_pinging(), watch())
    yield
    over.set()
    await pinging
    growth = memory("VmHWM") - before
    print(f"{answers} answers, the longest gap {max(gaps):.3f} s; {growth / MIB:.1f} MiB more")
    assert answers
    assert max(gaps) < 1
    assert growth < 32 * MIB


async def send(client: Client, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(client.connection._sock, data)


def answer(client: Client) -> asyncio.Future[Message]:
    """Return what will come back for the message with serial 4711."""
    future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def on_message(message: Message) -> None:
        if message.reply_serial == 4711:
            future.set_result(message)

    client.connection.add_message_handler(on_message)
    return future


async def ping(client: Client) -> None:
    reply = await client.call("/", "org.freedesktop.DBus.Peer", "Ping")
    assert reply.message_type is MessageType.METHOD_RETURN


async def test_a_call_of_30_mib_is_refused_at_once(stage: Stage) -> None:
    mallory, data = await stage.new_client(), large(30 * MIB)
    reply = answer(mallory)
    async with bounded(stage):
        await send(mallory, data)
        message = await asyncio.wait_for(reply, 10)
        await ping(mallory)
    assert message.error_name == LIMIT_EXCEEDED
    assert message.body[0].startswith("The message is too large: ")
    assert (await stage.client.add_link()).message_type is MessageType.METHOD_RETURN


@pytest.mark.parametrize("to_the_unique_name", [False, True])
async def test_a_signal_of_30_mib_is_ignored(stage: Stage, to_the_unique_name: bool) -> None:
    mallory = await stage.new_client()
    destination = str(stage.bus.unique_name) if to_the_unique_name else names.BUS_NAME
    data = large(30 * MIB, destination, message_type=MessageType.SIGNAL)
    async with bounded(stage):
        await send(mallory, data)
        await ping(mallory)
    assert (await stage.client.add_link()).message_type is MessageType.METHOD_RETURN


async def test_a_large_call_that_wants_no_answer_gets_none(stage: Stage) -> None:
    mallory = await stage.new_client()
    reply = answer(mallory)
    await send(mallory, large(bus.BODY_LIMIT, flags=MessageFlag.NO_REPLY_EXPECTED))
    await ping(mallory)
    assert not reply.done()


async def test_a_path_of_1_mib_is_ignored(stage: Stage) -> None:
    mallory = await stage.new_client()
    reply = answer(mallory)
    async with bounded(stage):
        await send(mallory, large(1024, path="/x" * (MIB // 2)))
        await ping(mallory)
    assert not reply.done()


@pytest.mark.parametrize("text", ["server", "user", "title"])
async def test_a_text_of_1_mib_is_refused(stage: Stage, text: str) -> None:
    settings = {text: Variant("s", "x" * MIB)}
    assert (await stage.client.manager("AddLink", "sa{sv}", "large", settings)).error_name == LIMIT_EXCEEDED


async def test_replies_to_our_own_calls_may_be_larger(stage: Stage) -> None:
    systemd = await stage.new_client()

    def on_message(message: Message) -> Message | None:
        if message.member in ("Long", "TooLong"):
            size = bus.REPLY_LIMIT - 100 if message.member == "Long" else bus.REPLY_LIMIT + 1
            return Message.new_method_return(message, "s", ["x" * size])
        return None

    systemd.connection.add_message_handler(on_message)
    target = (str(systemd.connection.unique_name), "/", "x.y")
    (text,) = await stage.bus.ask(target, "Long")
    assert len(text) == bus.REPLY_LIMIT - 100
    with pytest.raises(CallError, match="NoReply"):
        await stage.bus.ask(target, "TooLong", timeout=0.5)
    await ping(systemd)


def nested(depth: int) -> Variant:
    value = Variant("s", "deep")
    for _ in range(depth):
        value = Variant("v", value)
    return value


@pytest.mark.parametrize("depth", [60, 128])
async def test_deep_nesting_is_harmless(stage: Stage, depth: int) -> None:
    mallory = await stage.new_client()
    message = Message(destination=names.BUS_NAME, path=names.MANAGER_PATH, interface=names.MANAGER_INTERFACE,
        member="AddLink", signature="sa{sv}", body=["deep", {"server": nested(depth)}], serial=4711)  # fmt: skip
    reply = answer(mallory)
    await send(mallory, marshalled(message))
    if depth < 64:
        assert (await asyncio.wait_for(reply, 10)).error_name == "org.cablecar1.Error.InvalidSetting"
    else:  # the bus itself ends the connection of who sends that
        gone = mallory.connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
        with pytest.raises(EOFError):
            await asyncio.wait_for(gone, 10)
    await ping(stage.client)


async def test_signatures_are_not_hoarded(stage: Stage) -> None:
    mallory = await stage.new_client()
    async with bounded(stage):
        for first in range(20):
            # Variants with empty arrays of structures; 250 bytes of signature each, and no two alike.
            fillers = [f"{first * 100 + number:012b}".replace("0", "y").replace("1", "n") for number in range(100)]
            body = b""
            for filler in fillers:
                signature = f"a({filler}{'y' * 234})".encode()
                body += bytes([len(signature)]) + signature + b"\0"
                body += bytes(-(4 + len(body)) % 4) + bytes(4)
                body += bytes(-(4 + len(body)) % 8)
            data = large(0, flags=MessageFlag.NO_REPLY_EXPECTED)
            await send(
                mallory, data[:4] + struct.pack("<I", len(body) + 4) + data[8:-4] + struct.pack("<I", len(body)) + body
            )
        await ping(mallory)
    assert len(SignatureTree._cache) < 500


async def test_a_flood_leaves_the_loop_its_turns(stage: Stage) -> None:
    mallory = await stage.new_client()
    turn = 0
    turns: list[int] = []

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def on_message(message: Message) -> None:
        if message.sender == mallory.connection.unique_name:
            turns.append(turn)

    stage.bus.add_message_handler(on_message)
    counting = asyncio.ensure_future(count())
    small = Message(destination=names.BUS_NAME, path="/", member="Nothing", serial=1,
        flags=MessageFlag.NO_REPLY_EXPECTED)  # fmt: skip
    await send(mallory, marshalled(small) * 500)
    await ping(mallory)
    counting.cancel()
    assert len(turns) == 501
    assert len(set(turns)) == len(turns)


async def test_the_calls_of_one_sender_are_limited(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    mallory, known = await stage.new_client(), asyncio.Event()

    async def uid_of(name: str) -> int:
        await known.wait()
        return 0

    monkeypatch.setattr(stage.bus, "uid_of", uid_of)
    calls = [asyncio.ensure_future(mallory.manager("RemoveLink", "s", "nothere")) for _ in range(bus.CALLS_LIMIT + 3)]
    await stage.until(lambda: sum(call.done() for call in calls) == 3)
    assert {call.result().error_name for call in calls if call.done()} == {LIMIT_EXCEEDED}
    assert (await stage.client.manager("ListLinks")).message_type is MessageType.METHOD_RETURN
    known.set()
    assert {reply.error_name for reply in (await asyncio.gather(*calls))[:5]} == {"org.cablecar1.Error.NoSuchLink"}
    assert (await mallory.manager("ListLinks")).message_type is MessageType.METHOD_RETURN
    assert not stage.bus._running


async def test_a_bus_that_is_slower_than_the_helper_is_waited_for(stage: Stage) -> None:
    questions = [stage.bus.ask(bus.DBUS, "NameHasOwner", "s", [names.BUS_NAME]) for _ in range(3000)]
    assert await asyncio.gather(*questions) == [[True]] * len(questions)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("step", [1, 7, 4096])
def test_frames_are_found_however_they_come(order: str, step: int) -> None:
    def frame(kind: int, fields: int, body: int) -> bytes:
        start = bytes([ord("l" if order == "<" else "B"), kind, 0, 1]) + struct.pack(f"{order}III", body, 7, fields)
        return start + b"f" * (fields + -fields % 8) + b"b" * body

    call, signal, reply = 1, 4, 2
    whole = [frame(call, 13, 0), frame(signal, 8, 21), frame(reply, 16, bus.BODY_LIMIT + 1)]
    cut = [frame(call, 12, bus.BODY_LIMIT + 1), frame(signal, 16, bus.BODY_LIMIT + 1)]
    lost = frame(call, bus._HEADER_LIMIT + 1, 3)
    data = b"".join([whole[0], cut[0], lost, whole[1], cut[1], whole[2]])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        frames, found = bus._frames(ours), []
        for start in range(0, len(data), step):
            theirs.sendall(data[start : start + step])
            # It yields None after each chunk that it skips; what is left in the socket then comes with the next bytes.
            if (found_one := next(frames)) is not None:
                found.append(found_one)
        theirs.close()
        with pytest.raises(EOFError):
            found.extend(one for one in frames if one is not None)
    headers = [one[:4] + bytes(4) + one[8 : -bus.BODY_LIMIT - 1] for one in cut]
    size = bus.BODY_LIMIT + 1
    expected = [(whole[0], 0), (headers[0], size), (whole[1], 0), (headers[1], size), (whole[2], 0)]
    assert [(one.data, one.dropped) for one in found] == expected


def test_what_is_no_message_ends_the_connection() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 400 Bad Request\r\n")
        with pytest.raises(KeyError):
            next(bus._frames(ours))


def test_what_cannot_be_decoded_is_dropped() -> None:
    data = bytearray(large(0))
    assert bus._decode(bytes(data)) is not None
    data[1] = 200  # there is no such type of message
    assert bus._decode(bytes(data)) is None


def test_dbus_next_has_the_private_parts_that_are_overridden_and_used() -> None:
    for name in ("_message_reader", "_send_reply", "_make_method_handler"):
        overridden, own = (inspect.signature(getattr(one, name)).parameters for one in (MessageBus, Bus))
        assert len(overridden) == len(own)
    # Who calls the one that we override, and what the one that we replace did with a message and an error.
    assert "_message_reader" in MessageBus.connect.__code__.co_names
    assert {"_on_message", "_finalize"} <= set(MessageBus._message_reader.__code__.co_names)
    # That the writer writes by `send`, and waits when that took not everything.
    assert {"sock", "send", "offset"} <= set(_MessageWriter.write_callback.__code__.co_names)
    assert next(iter(inspect.signature(Unmarshaller).parameters)) == "stream"
    assert isinstance(SignatureTree._cache, dict)
