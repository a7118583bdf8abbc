"""The helper's start and its only exit.

Starting is recovering: whatever ended the last helper, this reads the settings, the units and the kernel, and makes
them agree. Stopping leaves the calls alone, so that an upgrade or a crash costs nobody the connection.
"""

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from cablecar.helper import __version__, providers
from cablecar.helper.authority import Authority
from cablecar.helper.bus import Bus, CallError
from cablecar.helper.calllog import FOLDER
from cablecar.helper.dhcpclients import Leases
from cablecar.helper.errors import StorageFailed
from cablecar.helper.firewalld import Firewalld
from cablecar.helper.history import History
from cablecar.helper.installed import Pppd
from cablecar.helper.links import Links
from cablecar.helper.lookup import Lookup
from cablecar.helper.machinery import Machinery
from cablecar.helper.names import BUS_NAME
from cablecar.helper.nameservers import NameServers
from cablecar.helper.netmon import NetworkMonitor
from cablecar.helper.opening import Openings
from cablecar.helper.resolved import Resolved
from cablecar.helper.resolver import Resolver
from cablecar.helper.routes import Routes
from cablecar.helper.service import Manager
from cablecar.helper.sleep import Sleep
from cablecar.helper.store import Store
from cablecar.helper.units import Units

if TYPE_CHECKING:
    import argparse

    from cablecar.helper.imports import Foreign

log = logging.getLogger(__name__)

STARTED_MARK: Final = "started"  # in /run/cablecar, which a boot empties and a restart of the helper does not


def main(arguments: list[str] | None = None) -> int:
    """Run the helper; return its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parse(given) if given else None
    if options and options.command:
        return _change_installation(options)
    _set_up_logging(logging.DEBUG if options and options.debug else logging.INFO)
    os.umask(0o077)
    if os.geteuid() != 0:
        log.error("cablecar-helper is started by systemd as root: systemctl start cablecar-helper")
        return 1
    return asyncio.run(_sweep() if options and options.sweep else _serve())


def _parse(arguments: list[str]) -> "argparse.Namespace":
    import argparse  # here, because the unit gives no arguments, and the start must be short

    parser = argparse.ArgumentParser(
        prog="cablecar-helper",
        description="Cablecar's root helper. systemd starts it when somebody calls org.cablecar1 on the system bus.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--sweep",
        action="store_true",
        help="remove all of Cablecar's routes, rules and firewall rules, put /etc/resolv.conf back, and end",
    )
    parser.add_argument("--debug", action="store_true", help="log every step")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="without Debian's packages")
    for command, meaning in (
        ("install", "put the files of the system into place, and start the helper"),
        ("uninstall", "restore the network and remove those files; the settings stay"),
    ):
        subparser = commands.add_parser(command, help=meaning, description=f"{meaning.capitalize()}.")
        subparser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    return parser.parse_args(arguments)


def _change_installation(options: "argparse.Namespace") -> int:
    from cablecar.helper import install  # here, as above

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if os.geteuid() != 0:
        log.error("It changes the system: run it as root, with sudo for example.")
        return 1
    try:
        installation = install.Installation(dry=options.dry_run)
        if options.dry_run:
            log.info("Nothing is done; this would be:")
        (installation.install if options.command == "install" else installation.uninstall)()
    except (install.InstallError, install.NotStarted, StorageFailed) as error:
        log.error("%s", error)
        return 1
    return 0


async def _sweep() -> int:
    firewalld = None
    try:
        bus = Bus()
        await bus.connect()
        if await bus.has_owner(BUS_NAME):  # before anything is touched: it would take what the calls need
            log.error(
                "the helper runs: systemctl stop cablecar-helper, or call RestoreNetwork, which ends all calls too"
            )
            return 1
        firewalld = Firewalld(bus)
    except (OSError, ValueError, CallError) as error:
        log.warning("the system bus cannot be reached, nor firewalld on it: %s", error)
    routes = Routes()
    await routes.begin()
    await routes.reconcile()
    await routes.close()
    await Openings(firewalld=firewalld).close_all()
    Resolver(log.warning).restore()
    return 0


async def _serve() -> int:
    bus = await _connected()
    if bus is None:
        return 1
    bus.guard = Authority(bus)
    leases, resolved = Leases(bus), Resolved(bus)
    machinery = _machinery(bus, leases, resolved)
    links = Links(machinery)
    leases.follow(links.network_changed)
    machinery.name_servers.follow(links.network_changed)
    sleep = Sleep(bus, links.fall_asleep, links.wake_up, links.slept_unawares)

    def network_changed() -> None:
        sleep.look()  # a sleep takes cables and leases with it
        links.network_changed()

    blind = asyncio.Event()
    monitor = NetworkMonitor(network_changed, links.interface_gone, blind.set)
    try:
        await asyncio.gather(
            machinery.units.begin(),
            machinery.routes.begin(links.network_changed),
            monitor.begin(),
            sleep.begin(),
            resolved.begin(),
            machinery.openings.begin(links.network_changed),
        )
        mark = FOLDER / STARTED_MARK
        await links.begin(at_boot=not mark.exists())
        mark.touch(mode=0o600)
        Manager(bus, links, machinery).export()
        if not await bus.own(BUS_NAME):
            log.error("%s has another owner on the bus", BUS_NAME)
            return 1
    except CallError as error:
        log.error("the helper cannot start: %s", error)
        return 1
    log.info("cablecar-helper %s: %d links", __version__, len(links.by_name))
    return await _until_the_end(bus, blind)


async def _connected() -> Bus | None:
    """Return the connection with the bus; None, and the log says why, when this helper has to end."""
    try:
        bus = Bus()
        await bus.connect()
        if await bus.has_owner(BUS_NAME):  # before anything is touched
            log.error("a helper runs already: %s has an owner on the bus", BUS_NAME)
            return None
    except (OSError, ValueError, CallError) as error:
        log.error("the system bus cannot be reached: %s", error)
        return None
    return bus


def _machinery(bus: Bus, leases: Leases, resolved: Resolved) -> Machinery:
    units, routes = Units(bus), Routes(leases.of)
    return Machinery(
        Store(),
        History(),
        units,
        routes,
        Lookup(units, FOLDER, routes),
        _foreign,
        Pppd(),
        providers.load,
        bus.spawn,
        NameServers(units, resolved),
        openings=Openings(firewalld=Firewalld(bus)),
    )


def _foreign() -> "Foreign":
    from cablecar.helper.imports import Foreign  # here, because the start must be short

    return Foreign()


async def _until_the_end(bus: Bus, blind: asyncio.Event) -> int:
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    told, gone, failed = map(asyncio.ensure_future, (asked.wait(), bus.end(), blind.wait()))
    await asyncio.wait({told, gone, failed}, return_when=asyncio.FIRST_COMPLETED)
    if told.done():
        return 0  # the bus sees the socket close; the calls go on in their units
    log.error("the helper ends, and systemd starts it anew: %s", "the bus is gone" if gone.done() else "it is blind")
    return 1


def _set_up_logging(level: int) -> None:
    # systemd reads the priority in front of each line (sd-daemon(3)).
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JournalFormatter("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


class _JournalFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        priority = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}.get(record.levelno, 2)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())
