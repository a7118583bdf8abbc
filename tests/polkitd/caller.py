"""A caller on the bus with a user id of its own: `caller.py UID`, started as root by conftest.py.

It reads messages and writes the answers as lines of hexadecimal pickles; None in place of an answer for a signal.
"""

import asyncio
import os
import pickle
import sys

from dbus_next.aio import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message


async def serve() -> None:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    print(bus.unique_name, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        message = Message(**pickle.loads(bytes.fromhex(line)))
        if message.message_type is MessageType.METHOD_CALL:
            reply = await bus.call(message)
            assert reply is not None
            answer = (reply.error_name, reply.body)
        else:
            await bus.send(message)
            answer = None
        print(pickle.dumps(answer).hex(), flush=True)


uid = int(sys.argv[1])
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
asyncio.run(serve())
