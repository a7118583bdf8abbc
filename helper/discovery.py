"""PPPoE's discovery packets (RFC 2516, section 5): which concentrators answer, and the end of a session that was lost.

    python3 -I -m cablecar.helper.discovery find INTERFACE…     what `cablecar-discover.service` runs
    python3 -I -m cablecar.helper.discovery end LOG             what `cablecar-killed@.service` runs

Runs outside of the helper, which has no such sockets, and imports nothing of it. Prints for each concentrator a line of
JSON. What comes from the Ethernet is a stranger's: it is measured, cut and escaped, and never more than names.
"""

import contextlib
import json
import re
import secrets
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LIMIT: Final = 2.0  # seconds for the answers; RFC 2516 knows no limit, and pppd's first wait is one second
MAX_ANSWERS: Final = 32
MAX_SERVICES: Final = 16  # of one concentrator
MAX_NAME: Final = 255  # bytes, as in the settings
MAX_LOG: Final = 1 << 20  # bytes

ETHERTYPE: Final = 0x8863
BROADCAST: Final = b"\xff" * 6
PADI, PADO, PADT = 0x09, 0x07, 0xA7
SERVICE_NAME, AC_NAME, HOST_UNIQ = 0x0101, 0x0102, 0x0103
_VERSION: Final = 0x11
_HEADER: Final = struct.Struct("!6s6sHBBHH")  # to, from, EtherType, version and type, code, session, length
_TAG: Final = struct.Struct("!HH")
_SESSION: Final = re.compile(r"PPP session is (\d{1,5})\b")
_CONNECTED: Final = re.compile(
    r"Connected to ((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}) via interface ([A-Za-z0-9_][A-Za-z0-9_.-]{0,14})$"
)


def packet(to: bytes, source: bytes, code: int, session: int, tags: bytes) -> bytes:
    """Return an Ethernet frame of the discovery stage."""
    return _HEADER.pack(to, source, ETHERTYPE, _VERSION, code, session, len(tags)) + tags


def tag(kind: int, value: bytes = b"") -> bytes:
    """Return one tag of such a packet."""
    return _TAG.pack(kind, len(value)) + value


def offer(frame: bytes, unique: bytes) -> dict[str, object] | None:
    """Return what a concentrator says of itself, None when the frame is no offer to the one who asked with `unique`."""
    if len(frame) < _HEADER.size:
        return None
    _, source, kind, version, code, session, length = _HEADER.unpack_from(frame)
    if (kind, version, code, session) != (ETHERTYPE, _VERSION, PADO, 0):
        return None
    found = list(_tags(frame[_HEADER.size : _HEADER.size + length]))
    names = [value for number, value in found if number == AC_NAME]
    if not names or (HOST_UNIQ, unique) not in found:
        return None
    services = list(dict.fromkeys(_text(value) for number, value in found if number == SERVICE_NAME and value))
    return {"concentrator": _text(names[0]), "services": services[:MAX_SERVICES], "address": source.hex(":")}


def _tags(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _TAG.size <= len(data):
        number, length = _TAG.unpack_from(data, position)
        position += _TAG.size
        if position + length > len(data):
            return
        yield number, data[position : position + length]
        position += length


def _text(value: bytes) -> str:
    return value[:MAX_NAME].decode("utf-8", "replace")


def find(interfaces: list[str], limit: float = LIMIT) -> Iterator[dict[str, object]]:
    """Yield who answers on which interface, each concentrator once."""
    unique = secrets.token_bytes(8)
    sockets: dict[socket.socket, str] = {}
    told: set[object] = set()
    with contextlib.ExitStack() as opened:
        for name in interfaces:
            with contextlib.suppress(OSError):  # it is gone, or down
                sockets[opened.enter_context(_sent(name, PADI, tag(SERVICE_NAME) + tag(HOST_UNIQ, unique)))] = name
        until = time.monotonic() + limit
        while sockets and (rest := until - time.monotonic()) > 0 and len(told) < MAX_ANSWERS:
            for ready in select.select(list(sockets), [], [], rest)[0]:
                try:
                    answer = offer(ready.recv(2048), unique)
                except OSError:  # it has gone, or down, meanwhile
                    del sockets[ready]
                    continue
                if answer is not None and (key := (sockets[ready], answer["address"])) not in told:
                    told.add(key)
                    yield {"interface": sockets[ready], **answer}


def lost_session(log: str) -> tuple[str, bytes, int] | None:
    """Return interface, concentrator and number of the last session that a call's log tells of, None without one."""
    found: tuple[str, bytes, int] | None = None
    number = 0
    for line in log.splitlines():
        if match := _SESSION.match(line):
            number = int(match[1])
        elif (match := _CONNECTED.match(line)) and 0 < number < 0xFFFF:
            found = match[2], bytes.fromhex(match[1].replace(":", "")), number
        elif line == "Sent PADT":
            found, number = None, 0
    return found


def end(log: str) -> None:
    """Tell the concentrator that the session is over (PADT): who dials anew may otherwise be one too many."""
    if (lost := lost_session(log)) is not None:
        interface, concentrator, number = lost
        with contextlib.suppress(OSError):  # it is gone, or down, and the session with it
            _sent(interface, PADT, to=concentrator, session=number).close()


def _sent(interface: str, code: int, tags: bytes = b"", to: bytes = BROADCAST, session: int = 0) -> socket.socket:
    """Return the socket that a packet was sent by; answers come to it.

    Raises:
        OSError: There is no such interface, or it is down.
    """
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        opened.bind((interface, ETHERTYPE))
        opened.send(packet(to, bytes(opened.getsockname()[4]), code, session, tags))
    except OSError:
        opened.close()
        raise
    return opened


if __name__ == "__main__":
    if sys.argv[1] == "find":
        for answer in find(sys.argv[2:]):
            sys.stdout.write(json.dumps(answer) + "\n")
    else:
        end(Path(sys.argv[2]).read_bytes()[-MAX_LOG:].decode("utf-8", "replace"))
