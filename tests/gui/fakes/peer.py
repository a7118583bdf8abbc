"""What the fakes share: a D-Bus peer played by a script, driven by lines of JSON.

A fake is a process of its own on the test's private bus. It answers calls from a table, tells every call that it gets
as a line of JSON on standard output, and obeys lines of JSON on standard input. Fakes are fakes: they say so.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from dbus_next import BusType, Message, MessageFlag, MessageType, RequestNameReply, Variant
from dbus_next.aio import MessageBus

Answer = Message | bool | None  # True: answered later


def tell(**event: Any) -> None:
    """Tell the test something."""
    print(json.dumps(event, default=str), flush=True)


def variant(value: Any) -> Variant:
    """Choose the D-Bus type that the contract has for a property of this Python type: ["t", 5] names another."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return Variant(value[0], value[1])
    if isinstance(value, bool):
        return Variant("b", value)
    if isinstance(value, int):
        return Variant("t", value)
    return Variant("s", value)


class Peer:
    """A connection to the bus with a table of answers."""

    def __init__(self, bus_type: BusType) -> None:
        self.bus = MessageBus(bus_type=bus_type)
        self.commands: dict[str, Callable[..., Any]] = {"emit": self.emit, "quit": self.quit, "catch-up": lambda: None}
        self._end = asyncio.Event()

    async def run(self, name: str | None, answer: Callable[[Message], Answer]) -> None:
        """Own `name` (or none) and answer until told to quit."""
        await self.bus.connect()
        self.bus.add_message_handler(lambda message: self._handle(message, answer))
        if name is not None and await self.bus.request_name(name) is not RequestNameReply.PRIMARY_OWNER:
            raise SystemExit(f"{name} is taken")
        tell(event="ready", unique=self.bus.unique_name)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        commands = asyncio.create_task(self._obey(reader))
        await self._end.wait()
        commands.cancel()

    def emit(self, path: str, interface: str, member: str, signature: str = "", body: Any = (), to: Any = None) -> None:
        """Send a signal, whatever it is."""
        message = Message.new_signal(path, interface, member, signature, list(body))
        message.destination = to
        self.bus.send(message)

    def quit(self) -> None:
        """Leave the bus."""
        self._end.set()

    def _handle(self, message: Message, answer: Callable[[Message], Answer]) -> Answer:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        tell(
            event="call",
            path=message.path,
            interface=message.interface,
            member=message.member,
            signature=message.signature,
            body=[str(part) if isinstance(part, dict) else part for part in message.body],
            interactive=bool(message.flags & MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION),
        )
        return answer(message)

    async def _obey(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            command = json.loads(line)
            result = self.commands[command.pop("do")](**command)
            if asyncio.iscoroutine(result):
                result = await result
            tell(event="done", result=result)
        self.quit()
