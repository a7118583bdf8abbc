"""`python3 -I -m cablecar.helper.probe ADDRESS PORT`: what the unit `cablecar-probe@NAME.service` runs.

Tries one TCP connection and prints a word for what came of it. Runs outside of the helper and imports nothing of it.
"""

import socket
import sys
from typing import Final

LIMIT: Final = 5.0  # seconds


def attempt(address: str, port: int, limit: float = LIMIT) -> str:
    """Return what becomes of a connection: `open`, `refused`, `silent` or `unreachable`."""
    try:
        socket.create_connection((address, port), limit).close()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
    except OSError:
        return "unreachable"
    return "open"


if __name__ == "__main__":
    sys.stdout.write(f"{attempt(sys.argv[1], int(sys.argv[2]))}\n")
