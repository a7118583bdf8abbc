"""What the unit `cablecar-probe@NAME.service` runs: one question to a server.

    python3 -I -m cablecar.helper.probe ADDRESS PORT      prints a word for what came of one TCP connection
    python3 -I -m cablecar.helper.probe ADDRESS 0 SIZE    prints the size of the largest packet that it echoes

Runs outside of the helper and imports nothing of it.
"""

import contextlib
import os
import socket
import struct
import sys
import time
from typing import Final

LIMIT: Final = 5.0  # seconds
ROUNDS: Final = 4  # of echo requests, so that a packet that is lost by chance is not taken for one that is too large
PATIENCE: Final = 0.8  # seconds for the answers of a round
SMALL: Final = 64  # bytes that get through everywhere
LEAST: Final = 1280  # bytes; no way is narrower that carries IPv6 too
STEP: Final = 16  # bytes
_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3  # linux/in.h: never to be cut up, whatever is thought of the way
_ECHO: Final = struct.Struct("!BBHHH")  # RFC 792: type, code, checksum, identifier, sequence number
_IP: Final = 20  # bytes of a header without options
_REQUEST, _REPLY = 8, 0


def attempt(address: str, port: int) -> str:
    """Return what becomes of a connection: `open`, `refused`, `silent` or `unreachable`."""
    try:
        socket.create_connection((address, port), LIMIT).close()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
    except OSError:
        return "unreachable"
    return "open"


def largest_echo(address: str, size: int) -> int:
    """Return the size of the largest packet that comes back uncut from an address, at most `size`; 0 for none.

    What gets through is not taken for too large because others were lost: the largest one goes first, and often.
    """
    sizes = [size, *range(size - STEP, LEAST - 1, -STEP), SMALL]
    identifier, answered = os.getpid() & 0xFFFF, {0}
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as echo:
        echo.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
        echo.connect((address, 0))
        for _ in range(ROUNDS):
            for one in sizes:
                with contextlib.suppress(OSError):  # too large for the cable itself, or not let out
                    echo.send(request(identifier, one))
            end = time.monotonic() + PATIENCE
            while size not in answered and (left := end - time.monotonic()) > 0:
                echo.settimeout(left)
                with contextlib.suppress(OSError):
                    answered.add(answer(echo.recv(size), identifier))
            if size in answered:
                break
    return max(answered)


def request(identifier: int, size: int) -> bytes:
    """Return an echo request that makes a packet of `size` bytes, which is its sequence number too."""
    padding = bytes(size - _IP - _ECHO.size)
    total = sum(struct.unpack("!4H", _ECHO.pack(_REQUEST, 0, 0, identifier, size)))
    checksum = ~(total % 0xFFFF) & 0xFFFF  # RFC 1071
    return _ECHO.pack(_REQUEST, 0, checksum, identifier, size) + padding


def answer(packet: bytes, identifier: int) -> int:
    """Return the size of the request that a packet answers, 0 when it is no such answer."""
    start = (packet[0] & 15) * 4 if packet else 0
    if len(packet) < start + _ECHO.size:
        return 0
    kind, _, _, named, size = _ECHO.unpack_from(packet, start)
    return int(size) if (kind, named, size) == (_REPLY, identifier, len(packet)) else 0


if __name__ == "__main__":
    server, number, *most = sys.argv[1:]
    sys.stdout.write(f"{largest_echo(server, int(most[0])) if most else attempt(server, int(number))}\n")
