"""The system bus: one connection, its callers, and the boundary that no exception text crosses.

With `wire.py` the only module that imports dbus-next, and the place of the cures for its defects: a method knows its
caller, polkit is asked before the method's body runs, an unforeseen exception goes to the journal and not to the
peer, no file descriptor is ever accepted that was not asked for, and a message that is too large is skipped without
being decoded: anybody may send one of 32 MiB, and decoding it would stop the helper for half a minute and take 1 GiB.
"""

import asyncio
import errno
import inspect
import io
import logging
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, Self

from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.aio import MessageBus
from dbus_next.constants import BusType, MessageFlag, MessageType, NameFlag, RequestNameReply
from dbus_next.errors import DBusError
from dbus_next.message import Message
from dbus_next.service import ServiceInterface
from dbus_next.signature import SignatureTree

from cablecar.helper.errors import CablecarError, Failed, LimitExceeded, NotAuthorized
from cablecar.helper.names import LINK_PATH_PREFIX, MANAGER_PATH
from cablecar.helper.wire import OPEN

log = logging.getLogger(__name__)

DBUS: Final = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
DEFAULT_TIMEOUT: Final = 25.0  # seconds, as libdbus has it
BODY_LIMIT: Final = 64 * 1024  # bytes, of what anybody may send
REPLY_LIMIT: Final = 4 * 1024 * 1024  # the bus lets only those through that we asked for
CALLS_LIMIT: Final = 32  # of one sender at once; each costs some KiB until it is answered
_HEADER_LIMIT: Final = 64 * 1024  # an object path has no limit of its own
_CHUNK: Final = 64 * 1024
_SIGNATURES: Final = 100  # twice what honest messages have

SignalHandler = Callable[[list[Any]], None]


class CallError(Exception):
    """A D-Bus call of ours failed; `name` is the error's D-Bus name."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class Caller(NamedTuple):
    """Who called a method.

    Attributes:
        sender: The unique bus name, `:1.42`; the bus daemon vouches for it.
        uid: The user behind it; the bus daemon vouches for that too.
        interactive: Whether the caller lets us ask the person for a password.
    """

    sender: str
    uid: int
    interactive: bool


class Guard(Protocol):
    """Decides whether a caller may do something."""

    async def demand(self, caller: Caller, action: str, details: Mapping[str, str]) -> None:
        """Return when allowed.

        Raises:
            CablecarError: One of the refusals.
        """


_CALLER: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """Return who called the method that is running; only methods that name an action know."""
    return _CALLER.get()


class Bus(MessageBus):
    """The helper's connection."""

    def __init__(self, descriptors: "_Descriptors | None" = None) -> None:
        # DBUS_SYSTEM_BUS_ADDRESS is honoured.
        super().__init__(bus_type=BusType.SYSTEM, negotiate_unix_fd=descriptors is not None)
        self.guard: Guard | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: set[asyncio.Future[Message | None]] = set()
        self._signal_handlers: dict[tuple[str, str, str], SignalHandler] = {}
        self._frames = _frames(self._sock if descriptors is None else descriptors.of(self._sock))
        self._writer.sock = _PatientSocket(self._sock)
        self._running: Counter[str] = Counter()  # calls of each sender that are not answered
        self.add_message_handler(self._dispatch_signal)

    # What we ask of others.

    async def ask(
        self,
        target: tuple[str, str, str],
        member: str,
        signature: str = "",
        body: list[Any] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> list[Any]:
        """Call `member` of `target` (bus name, path, interface) and return the body of the answer.

        Raises:
            CallError: The other side answered with an error, or nobody did in `timeout` seconds.
        """
        destination, path, interface = target
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body or [],
        )
        # The call is never cancelled, only no longer waited for: dbus-next stops reading from the bus for good when a
        # reply comes to a call that was cancelled.
        pending = asyncio.ensure_future(self.call(message))
        self._pending.add(pending)
        pending.add_done_callback(self._pending.discard)
        done, _ = await asyncio.wait({pending}, timeout=timeout)
        if not done:
            raise CallError("org.freedesktop.DBus.Error.NoReply", f"{member} was not answered")
        reply = pending.result()
        if reply is None or reply.message_type is not MessageType.METHOD_RETURN:
            text = reply.body[0] if reply is not None and reply.signature.startswith("s") else ""
            raise CallError(reply.error_name if reply is not None else "", text)
        return list(reply.body)

    async def ask_for_descriptor(
        self, target: tuple[str, str, str], member: str, signature: str, body: list[Any]
    ) -> int:
        """Call `member` of `target`, which answers with a file descriptor; it is the caller's to close.

        On a connection of its own, gone afterwards: on this one nobody can send us any.

        Raises:
            CallError: The other side answered with an error, with something else, or not at all.
        """
        descriptors = _Descriptors()
        connection = Bus(descriptors=descriptors)
        try:
            await connection.connect()
            answer = await connection.ask(target, member, signature, body)
            if answer != [0] or not descriptors.received:
                raise CallError("org.freedesktop.DBus.Error.InconsistentMessage", f"{member} has sent no descriptor")
            return descriptors.received.pop(0)
        except (OSError, ValueError, EOFError) as error:
            raise CallError("org.freedesktop.DBus.Error.NoServer", str(error)) from None
        finally:
            for surplus in descriptors.received:
                os.close(surplus)
            connection.close()

    def close(self) -> None:
        """End the connection; dbus-next's own `disconnect` leaves the socket open."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._fd)
        loop.remove_writer(self._fd)
        self._stream.close()
        self._sock.close()

    async def follow_owner(self, name: str, on_owner: Callable[[], None]) -> None:
        """Call `on_owner` each time that somebody becomes the owner of the bus name `name`."""

        def on_message(message: Message) -> None:
            owned = message.sender == DBUS[0] and message.member == "NameOwnerChanged" and message.body[0] == name
            if owned and message.body[2]:
                on_owner()

        self.add_message_handler(on_message)
        await self.ask(DBUS, "AddMatch", "s", [f"{_rule(*DBUS, 'NameOwnerChanged')},arg0='{name}'"])

    async def follow(self, sender: str, path: str, interface: str, member: str, handler: SignalHandler) -> None:
        """Call `handler` with the body of each such signal of `sender`.

        The match rule names the sender, so the bus daemon keeps spoofed broadcasts away; one handler a signal.
        """
        self._signal_handlers[path, interface, member] = handler
        await self.ask(DBUS, "AddMatch", "s", [_rule(sender, path, interface, member)])

    async def unfollow(self, sender: str, path: str, interface: str, member: str) -> None:
        """Undo `follow`."""
        if self._signal_handlers.pop((path, interface, member), None) is not None:
            await self.ask(DBUS, "RemoveMatch", "s", [_rule(sender, path, interface, member)])

    async def until_gone(self, name: str) -> None:
        """Return when the unique name `name` has left the bus."""
        gone = asyncio.Event()
        rule = f"{_rule(*DBUS, 'NameOwnerChanged')},arg0='{name}'"

        def on_message(message: Message) -> None:
            if message.sender == DBUS[0] and message.member == "NameOwnerChanged" and message.body[::2] == [name, ""]:
                gone.set()

        self.add_message_handler(on_message)
        try:
            await self.ask(DBUS, "AddMatch", "s", [rule])
            if await self.has_owner(name):
                await gone.wait()
        finally:
            self.remove_message_handler(on_message)
            with suppress(CallError):  # there is none when the bus has refused it
                # Also after a cancel in the middle: the bus has got the rule nevertheless.
                await self.ask(DBUS, "RemoveMatch", "s", [rule])

    async def uid_of(self, name: str) -> int:
        """Return the user id behind a unique bus name.

        Raises:
            CallError: It has left the bus.
        """
        return int((await self.ask(DBUS, "GetConnectionUnixUser", "s", [name]))[0])

    async def end(self) -> None:
        """Return when the connection is lost.

        Raises:
            EOFError: The bus ended it.
        """
        await self.wait_for_disconnect()  # type: ignore[no-untyped-call]

    async def has_owner(self, name: str) -> bool:
        """Return whether somebody on the bus has that name."""
        return bool((await self.ask(DBUS, "NameHasOwner", "s", [name]))[0])

    async def own(self, name: str) -> bool:
        """Become the only owner of `name`; False when somebody else is."""
        return await self.request_name(name, NameFlag.DO_NOT_QUEUE) is RequestNameReply.PRIMARY_OWNER

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task that is not forgotten, and whose exception reaches the journal."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("unhandled in a task", exc_info=error)

    def tell(self, whom: Caller, source: tuple[str, str], member: str, signature: str, body: list[Any]) -> None:
        """Send a signal of `source` (path, interface) to one caller, and to nobody else."""
        message = Message.new_signal(*source, member, signature, body)
        message.destination = whom.sender
        self.send(message)

    # What others send us; three private methods of dbus-next 0.2.3 are overridden.

    def _message_reader(self) -> None:
        # dbus-next's own decodes a message of any size, and goes on as long as there are any. This one takes one at a
        # time, so that a flood of them leaves the loop its turns; it is called again while there is more to read.
        try:
            frame = next(self._frames)
        except Exception as error:  # noqa: BLE001 - any: the next frame could not be found
            self._finalize(error)  # type: ignore[no-untyped-call]
            return
        if frame is not None and (message := _decode(frame.data)) is not None:
            if frame.dropped:
                self._refuse(message, frame.dropped)
            else:
                self._on_message(message)  # type: ignore[no-untyped-call]

    def _refuse(self, message: Message, size: int) -> None:
        if message.message_type is MessageType.METHOD_CALL:
            text = f"The message is too large: {size} bytes, and {BODY_LIMIT} are allowed."
            self._send_reply(message).send_error(LimitExceeded(text))
        else:
            log.warning("a message of %d bytes was dropped", size)

    def _dispatch_signal(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL:
            handler = self._signal_handlers.get((message.path, message.interface, message.member))
            if handler is not None:
                try:
                    handler(message.body)
                except Exception:
                    log.exception("unhandled in the handler of %s", message.member)

    def _send_reply(self, message: Message) -> "_Reply":
        return _Reply(self, message)

    def _make_method_handler(self, interface: ServiceInterface, method: Any) -> Callable[[Message, "_Reply"], None]:
        def handler(message: Message, reply: "_Reply") -> None:
            if self._running[message.sender] < CALLS_LIMIT:
                self._running[message.sender] += 1
                self.spawn(self._run(interface, method, message, reply))
            else:
                reply.send_error(LimitExceeded("Too many calls at once; wait for the answers to some."))

        return handler

    async def _run(self, interface: ServiceInterface, method: Any, message: Message, reply: "_Reply") -> None:
        with reply, self._counted_out(message.sender):
            arguments = list(message.body)
            if method.check is not None:
                method.check(*arguments)
            if method.action != OPEN:
                await self._authorize(message, method.action)
            result = method.fn(interface, *arguments)
            if inspect.isawaitable(result):
                result = await result
            # No member has more than one result, and none is a file descriptor.
            body = [result] if method.out_signature else []
            reply(Message.new_method_return(message, method.out_signature, body))

    @contextmanager
    def _counted_out(self, sender: str) -> Iterator[None]:
        try:
            yield
        finally:
            self._running[sender] -= 1
            if not self._running[sender]:
                del self._running[sender]

    async def _authorize(self, message: Message, action: str) -> None:
        if self.guard is None:
            raise Failed("nothing can be authorized")
        try:
            uid = await self.uid_of(message.sender)
        except CallError:
            raise NotAuthorized("The caller has left the bus.") from None
        who = Caller(message.sender, uid, bool(message.flags & MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION))
        _CALLER.set(who)
        # Which link it is about: the object's, or the first argument of a method of the manager, or none.
        named = message.body[0] if message.body and isinstance(message.body[0], str) else ""
        link = message.path.removeprefix(LINK_PATH_PREFIX) if message.path != MANAGER_PATH else named
        await self.guard.demand(who, action, {"link": link})


@dataclass(slots=True)
class _Descriptors:
    """What a connection is read from that takes file descriptors, and those that have come."""

    received: list[int] = field(default_factory=list)
    _socket: socket.socket | None = None

    def of(self, connection: socket.socket) -> Self:
        """Read from `connection` from now on."""
        self._socket = connection
        return self

    def recv(self, size: int) -> bytes:
        """Return what has come, at most `size` bytes."""
        if self._socket is None:
            raise OSError(errno.ENOTCONN, "not connected")
        data, descriptors, _, _ = socket.recv_fds(self._socket, size, 1, socket.MSG_CMSG_CLOEXEC)
        self.received += descriptors
        return data


class _PatientSocket(NamedTuple):
    """What dbus-next's writer writes to. It takes a full socket for a broken one; of this one it waits for the room."""

    socket: socket.socket

    def send(self, data: memoryview) -> int:
        """Send what there is room for; return how many bytes that was."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0


class _Frame(NamedTuple):
    """A message as it came: all of it, or a header that promises no body, and how many bytes of body were dropped."""

    data: bytes
    dropped: int = 0


def _frames(connection: "_Readable") -> Iterator[_Frame | None]:
    """Yield message after message; None each time that the rest of one is still to come."""
    while True:
        # The fixed part of a header: byte order, type, flags, version; the lengths of body and header fields.
        fixed = yield from _read(connection, 16)
        order = {ord("l"): "<", ord("B"): ">"}[fixed[0]]
        body, _, fields = struct.unpack_from(f"{order}III", fixed, 4)
        fields += -fields % 8
        if fields > _HEADER_LIMIT:
            yield from _skip(connection, fields + body)  # and whom to tell is unknown
            continue
        header = fixed + (yield from _read(connection, fields))
        replies = (MessageType.METHOD_RETURN.value, MessageType.ERROR.value)
        if body > (REPLY_LIMIT if fixed[1] in replies else BODY_LIMIT):
            yield _Frame(header[:4] + bytes(4) + header[8:], body)
            yield from _skip(connection, body)
        else:
            yield _Frame(header + (yield from _read(connection, body)))


def _read(connection: "_Readable", size: int) -> Generator[None, None, bytes]:
    data = bytearray()
    while len(data) < size:
        try:
            chunk = connection.recv(min(size - len(data), _CHUNK))
        except BlockingIOError:
            yield
            continue
        if not chunk:
            raise EOFError("the bus has closed the connection")
        data += chunk
    return bytes(data)


def _skip(connection: "_Readable", size: int) -> Iterator[None]:
    while size:
        size -= len((yield from _read(connection, min(size, _CHUNK))))
        yield  # the loop's turn


def _decode(data: bytes) -> Message | None:
    try:
        return Unmarshaller(io.BytesIO(data)).unmarshall()  # type: ignore[no-untyped-call, no-any-return]
    except Exception:
        # It is whole, and the next one begins after it: one that dbus-next cannot read must not end the connection.
        log.warning("a message that cannot be decoded was dropped", exc_info=True)
        return None
    finally:
        # dbus-next keeps every signature that it has ever seen, parsed: 75 KB a signature at worst.
        if len(SignatureTree._cache) > _SIGNATURES:
            SignatureTree._cache.clear()


class _Readable(Protocol):
    """What messages are read from."""

    def recv(self, size: int, /) -> bytes:
        """Return what has come, at most `size` bytes; nothing at the end."""


class _Reply:
    """Stands in for dbus-next's SendReply, which sends exception texts and tracebacks to the peer."""

    def __init__(self, bus: Bus, message: Message) -> None:
        self._bus = bus
        self._message = message

    def __call__(self, reply: Message) -> None:
        if not self._message.flags & MessageFlag.NO_REPLY_EXPECTED:
            self._bus.send(reply)  # marshals at once: a wrong type raises here, inside the boundary

    def send_error(self, error: Exception) -> None:
        self(self._error(error))

    def _error(self, error: Exception) -> Message:
        if isinstance(error, CablecarError):
            return Message.new_error(self._message, error.dbus_name, str(error))
        if isinstance(error, DBusError):  # dbus-next's own: unknown property, read-only property …
            return Message.new_error(self._message, error.type, error.text)
        log.error("unhandled in %s.%s", self._message.interface, self._message.member, exc_info=error)
        text = "Something unforeseen happened; the journal of cablecar-helper has the cause."
        return Message.new_error(self._message, Failed("").dbus_name, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, Exception):
            self.send_error(error)
            return True
        return False


def _rule(sender: str, path: str, interface: str, member: str) -> str:
    return f"type='signal',sender='{sender}',path='{path}',interface='{interface}',member='{member}'"
