"""What links and their calls work with: one of each for the whole helper, made by `main.py`. Does nothing itself."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from cablecar.helper import pppfiles, tcp
from cablecar.helper.byhand import PID_FOLDERS
from cablecar.helper.calllog import FOLDER
from cablecar.helper.history import History
from cablecar.helper.installed import Pppd
from cablecar.helper.lookup import Lookup
from cablecar.helper.nameservers import NameServers
from cablecar.helper.opening import Openings
from cablecar.helper.providers import Provider
from cablecar.helper.routes import Routes
from cablecar.helper.store import Store
from cablecar.helper.units import Units

if TYPE_CHECKING:
    from cablecar.helper.imports import Foreign


@dataclass(frozen=True, slots=True)
class Machinery:
    """What links and their calls work with.

    Attributes:
        foreign: What was set up by hand; made when it is asked for, since the start must be short.
        providers: Reads the presets anew.
        spawn: Runs a coroutine as a task.
        name_servers: What links want of the DNS.
        established: The local ends of the TCP connections to a server's port.
        peers: `/etc/ppp/peers`.
        run: `/run/cablecar`.
        pids: Where pppd writes pid files.
        openings: What is open in the firewall.
    """

    store: Store
    history: History
    units: Units
    routes: Routes
    lookup: Lookup
    foreign: "Callable[[], Foreign]"
    pppd: Pppd
    providers: Callable[[], Mapping[str, Provider]]
    spawn: Callable[..., asyncio.Task[None]]
    name_servers: NameServers
    established: Callable[[IPv4Address, int], frozenset[str]] = tcp.established
    peers: Path = pppfiles.PEERS
    run: Path = FOLDER
    pids: Sequence[Path] = PID_FOLDERS
    openings: Openings = field(default_factory=Openings)
