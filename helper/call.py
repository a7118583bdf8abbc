"""One call of a link, from the cable to the end of its unit's last process.

A call prepares (name, pin, peer file), starts the unit, reads what pppd says, routes through the interface once it is
up, and takes everything back when the unit has ended. It reports to a `Listener` and decides nothing: when to dial and
when not is the state machine's business (`link.py`).
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Coroutine
from ipaddress import IPv4Address, IPv4Network
from typing import Final, Protocol

from cablecar.helper import byhand, dns, hold, names, pppd, pppfiles, reasons, remains, safefile
from cablecar.helper.bus import CallError
from cablecar.helper.byhand import HandMade
from cablecar.helper.calllog import CallLog
from cablecar.helper.carrier import ETHERNET
from cablecar.helper.carriers import BY_PROTOCOL
from cablecar.helper.errors import CablecarError, CallFailed, PeerFileExists, StorageFailed
from cablecar.helper.link import GONE_LIMIT
from cablecar.helper.machinery import Machinery
from cablecar.helper.plan import ANYWHERE, Footing, Wanted
from cablecar.helper.pppd import Exit, Facts
from cablecar.helper.reasons import Reason
from cablecar.helper.repeated import Repeated
from cablecar.helper.sleep import NOTICEABLE, clock, slept
from cablecar.helper.store import Dialed
from cablecar.helper.units import Units

log = logging.getLogger(__name__)

STOP_LIMIT: Final = 2.0  # seconds for systemd's word on a unit that has ended already
ADDRESS_LIMIT: Final = 1.0  # seconds without an address: a call that ends takes it away, too, before it says why
WORD_LIMIT: Final = 0.3  # seconds that pppd takes, once it goes on, to say that it was told to end
END_LIMIT: Final = 12.0  # seconds for the end of a unit; its own limit is 10
LOOK_EVERY: Final = 0.5  # seconds between looks at what nobody tells: an answer of the server, the end of a unit


class Listener(Protocol):
    """Who wants to know what becomes of the call; `link.Link` has these methods."""

    def progress(self, phase: str) -> None:
        """The call has come as far as `phase`."""

    def answered(self, interface: str, since: float | None = None) -> None:
        """The call is up on `interface`, since that second of the machine's clock, else since now."""

    def lost(self) -> None:
        """The call's interface is gone."""

    def ended(self, reason: Reason) -> None:
        """The call is over."""


class Call:
    """One call. Used up when it has ended."""

    def __init__(
        self, link: str, dialed: Dialed, machinery: Machinery, listener: Listener, by_hand: HandMade | None = None
    ) -> None:
        self.facts = Facts()
        self.dialed = dialed
        log_name = link if by_hand is None else pppfiles.log_by_hand(link)
        self.log = CallLog(log_name, self._on_line, lambda: self.facts.lines, machinery.run)
        self._link = link
        self._settings = dialed.settings
        self._carrier = BY_PROTOCOL[dialed.settings.protocol]
        self._machinery = machinery
        self._listener = listener
        self._pins: tuple[IPv4Address, ...] = ()
        self._line = ""  # the interface that it goes by, where it calls no address
        self._footing: Footing | None = None  # when it was dialed
        self._stands_still = False  # for want of a carrier
        self._by_hand = by_hand
        self._slept = slept()  # by then
        self._preparing = False
        self._reading_back = False
        self._in_unit = False  # the unit has processes, or is about to
        self._stopping = False  # by our own wish
        self._was_told_before = False  # by somebody else, to end
        self._was_to_restart = False  # likewise
        self._is_lost = False  # it was up, and is about to end
        self._interface_is_gone = False
        self._loops = False  # at the last look
        self._verdict: Reason | None = None  # why it ends, where we know more than its log
        self._over = False
        self._was_killed = False
        self._looked_ahead = False  # for the next call
        self._answered = False  # the server has taken the control connection
        self._said: list[str] | None = None  # by it: until it was over before its unit was, or others wrote there, too
        self._shares_log = False  # with another call by hand
        self._watching: asyncio.Task[None] | None = None
        self._end: asyncio.Future[Exit | None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._routing: asyncio.Task[None] | None = None
        self._naming = Repeated(self._name_servers, machinery.spawn)
        self._proving = Repeated(self._look_for_proof, machinery.spawn)

    def dial(self, turn: int) -> None:
        """Begin; `turn` counts the calls of this link, so that each tries another of the server's addresses."""
        self._preparing = True
        self._task = self._machinery.spawn(self._run(self._dial(turn)))

    def adopt(self, ends: bool = False) -> None:
        """Take over the unit that is running, or the call that was dialed by hand.

        One that `ends` already was stopped by the helper before, or while there was none: nobody has hung up here.

        What it needs of the network is noted at once, so that the first `reconcile` after a start sweeps nothing of it.
        """
        log.info("link %s: its call is running already, taken over", self._link)
        self._in_unit = True
        if self._by_hand is not None:
            self._by_hand.follow(lambda: self.unit_ended(None))
        try:
            target = pppfiles.target_of(self._link, self._machinery.peers)
            if self._carrier.over_ip:
                self._pins = _addresses(target)
            else:
                self._line = target
            self._reading_back = True  # what an older call has said into the same file is not to be acted on
            self.log.begin(fresh=False)
        except (CablecarError, OSError) as error:
            log.error("link %s: what its call does cannot be read: %s", self._link, error)
        self._reading_back = False
        if any(map(self._is_last, pppd.last_call(list(self.log.lines)))):
            self._spend()
        if self._by_hand is not None and self.facts.interface != self._by_hand.interface:
            self.facts = Facts()  # the log is an older call's: this one writes elsewhere, or has yet to begin
        if ends:
            self.facts = Facts()  # nothing is led into it any more
            self.facts.close()
            self._verdict = reasons.INTERRUPTED
        if self.dialed.up_since:
            self.facts.believe()  # it was up before this start
        if self.facts.is_up:
            self._routing = self._machinery.spawn(self._route())
        self._machinery.routes.expect(self._link, self._wanted())
        self._task = self._machinery.spawn(self._run(self._adopt()))

    async def look(self) -> None:
        """Take the kernel's word for what no log tells us."""
        if self._over or self._is_lost:
            return
        if self.facts.is_up:
            await self._look_for_carrier()
            await self._look_for_address()
            await self._look_for_loop()
        elif self._by_hand is not None:
            await self._look_for_interface(self._by_hand)
        else:
            await self._look_for_proof()

    async def _look_for_carrier(self) -> None:
        """Have the call stand still while its cable has no carrier, and end it when that takes too long."""
        if not self._stands_still and await self._lacks_carrier() and not await self._has_way() and not self._ends():
            self._stands_still = True
            self._machinery.spawn(self._stand_still())

    async def _stand_still(self) -> None:
        try:
            goes_on = await hold.until(self._has_way, self._link, self._machinery.units, self._ends)
        except CallError as error:
            log.error("link %s: pppd alone decides whether it waits for the cable: %s", self._link, error)
            return
        finally:
            self._stands_still = False
        if goes_on:
            await self._look_for_carrier()  # what changed in the last moment
        elif await self._lacks_carrier():
            await asyncio.sleep(WORD_LIMIT)  # somebody may have hung up meanwhile
            if not self._ends():
                self._give_up(reasons.PATH_LOST)

    async def _lacks_carrier(self) -> bool:
        cable = self.dialed.cable
        return bool(cable) and await self._machinery.routes.lacks_carrier(cable)

    async def _has_way(self) -> bool:
        """Whether packets of the call can leave: a carrier may be back before the lease is."""
        if not self._pins:
            return not await self._lacks_carrier()
        return bool((await self._machinery.routes.way(self._pins[0], self._settings.interface)).interface)

    def _is_ending(self) -> bool:
        return self._over or self._is_lost or self._stopping

    def _ends(self) -> bool:
        """Whether the call is about to end, by whomever."""
        with contextlib.suppress(OSError):
            self.log.read()
        return self._is_ending() or any(map(pppd.takes_down, pppd.last_call(self._lines)))

    def _give_up(self, verdict: Reason) -> None:
        """End a call that pppd takes to be well."""
        self._verdict = verdict
        self._lose()
        self._machinery.spawn(self._stop_unit())

    async def _look_for_address(self) -> None:
        """Have the call end if it has no address any more, which pppd does not notice: its peer still answers."""
        for pause in (0.0, ADDRESS_LIMIT):
            await asyncio.sleep(pause)
            if await self._machinery.routes.endpoints(self.facts.interface) is not None or self._is_ending():
                return
        if not self._ends():
            self._give_up(reasons.ADDRESS_TAKEN)

    async def _look_for_loop(self) -> None:
        """Note whether packets of the call are led into the tunnel that they carry: nothing comes back by it, then."""
        if self._pins and not self._ends():  # its routes go before it has ended
            self._loops = await self._machinery.routes.leads_into(self.facts.interface, self._pins[0])

    async def _look_for_interface(self, by_hand: HandMade) -> None:
        """See whether it is up: `pon NAME nodetach logfd 2` keeps the log from us."""
        # A second `pon` takes the pid file away.
        interface = byhand.interface_of(self._link, by_hand.pid, self._machinery.pids) or by_hand.interface
        endpoints = await self._machinery.routes.endpoints(interface) if interface else None
        if endpoints is not None and not self._over and not self.facts.is_up:
            self.facts.interface, (self.facts.local, self.facts.remote) = interface, map(str, endpoints)
            self.facts.believe()
            self._routing = self._machinery.spawn(self._route())

    async def _look_for_proof(self) -> None:
        """See whether it is up as its log says, when that alone cannot be believed."""
        if (claim := self.facts.claim) is None:
            return
        endpoints = await self._machinery.routes.endpoints(claim[0])
        if (
            endpoints is not None
            and claim == (claim[0], *map(str, endpoints)) == self.facts.claim
            and not self._is_ending()
        ):
            self.facts.believe()
            self._routing = self._machinery.spawn(self._route())

    def hang_up(self) -> None:
        """End it, however far it is; harmless when repeated, and when it is over."""
        if not self._stopping:
            self._stopping = True
            # Slow scripts may have its end take longer than we wait for it.
            self._was_told_before = any(map(pppd.was_told_to_end, pppd.last_call(self._lines)))
            # Later, so that the task has begun: one that is cancelled before its first step never reports its end.
            asyncio.get_running_loop().call_soon(self._end_task_or_unit)

    def unit_ended(self, ended: Exit | None) -> None:
        """The unit's last process is gone; None when nobody knows how it ended."""
        if self._in_unit and not self._end.done():
            self._end.set_result(ended)

    def interface_gone(self, name: str) -> None:
        """An interface was removed; tell if it was ours."""
        if self.facts.is_up and name == self.facts.interface and not self._over:
            self._interface_is_gone = True
            self._machinery.routes.expect(self._link, self._wanted())
            self._lose()

    @property
    def took_place(self) -> bool:
        """Whether there was a pppd."""
        return self._in_unit

    @property
    def pins(self) -> tuple[IPv4Address, ...]:
        """The servers that stay on the cable for it."""
        return self._pins

    @property
    def way_is_new(self) -> bool:
        """Whether what it dialed is now reached by another interface, address or router than it was."""
        present = self._machinery.routes.footing(self._settings.interface, next(iter(self._pins), None))
        return present is not None and self._footing is not None and present != self._footing

    async def routed(self) -> None:
        """Return when the routes lead through the call, if it is up."""
        if self._routing is not None:
            await asyncio.wait({self._routing})

    def _end_task_or_unit(self) -> None:
        if self._in_unit and not self._over:
            self._machinery.spawn(self._stop_unit())
        elif self._preparing and self._task is not None:
            self._task.cancel()

    def _wanted(self) -> Wanted:
        # Another call may come by the name of an interface that is gone.
        tunnel = self.facts.interface if self.facts.is_up and not self._interface_is_gone else ""
        inside = _addresses(self.facts.remote, *self.facts.dns) if tunnel else ()
        return Wanted(
            self._pins,
            self._settings.interface,
            tunnel,
            _networks(self._settings.route),
            inside,
            tuple(dns.in_tunnel(self._settings.dns, self.facts.dns, ())) if tunnel else (),
            self._carrier.passages,
            self._settings.share,
            self._line,
        )

    async def _run(self, work: Coroutine[None, None, Reason]) -> None:
        try:
            reason = await work
        except asyncio.CancelledError:
            if not self._stopping:
                raise  # the helper is ending; the call goes on without it
            reason = reasons.REQUESTED
        except CallFailed as error:
            reason = error.reason
        except PeerFileExists as error:
            log.error("link %s: %s", self._link, error)
            reason = reasons.FOREIGN_PEER_FILE
        except StorageFailed as error:
            log.error("link %s: %s", self._link, error)
            reason = reasons.STORAGE
        except (CablecarError, CallError, OSError) as error:
            log.error("link %s: %s", self._link, error)
            reason = reasons.FAILED
        except Exception:
            log.exception("link %s: unforeseen", self._link)
            reason = reasons.FAILED
        self._over = True
        if self._watching is not None:
            self._watching.cancel()
        self.log.close()
        self._machinery.name_servers.down(self._link)
        if self._was_killed:
            await remains.clear(self._link, self._machinery.units)  # while its VLAN is there
        try:
            await self._machinery.routes.release(self._link)
        except Exception:
            log.exception("link %s: its routes could not be released", self._link)
        try:
            await self._machinery.openings.close(self._link)
        except Exception:
            log.exception("link %s: what was opened for it in the firewall could not be closed", self._link)
        self._listener.ended(reason)

    async def _dial(self, turn: int) -> Reason:
        try:
            await self._prepare(turn)
        finally:
            self._preparing = False
        log.info("link %s: dialing", self._link)
        self._note(self.dialed._replace(dialed_at=time.time()))
        self.log.begin(fresh=True)
        self._in_unit = True
        self._listener.progress(names.CONNECTING)
        self._watch_for_an_answer(fresh=True)
        await self._machinery.units.start(self._link, self._carrier.unit)
        return await self._outcome()

    async def _adopt(self) -> Reason:
        if self._settings.firewall == "open" and self._pins and self._by_hand is None:
            cable = (await self._machinery.routes.way(self._pins[0], self._settings.interface)).interface
            self._machinery.openings.expect(self._link, cable, self._pins[0], self._carrier.passages)
        await self._look_for_proof()
        if not self.facts.is_up:
            self._watch_for_an_answer(fresh=False)
        if self._by_hand is None and not await self._machinery.units.is_running(self._link):
            self.unit_ended(None)  # it ended before its end could be followed
        return await self._outcome()

    async def _prepare(self, turn: int) -> None:
        """Make everything ready for the unit.

        Raises:
            CallFailed: Something is missing; the reason says what.
            CablecarError: A file could not be written.
        """
        try:
            version = self._machinery.pppd.version()
        except OSError:
            raise CallFailed(reasons.PROGRAM_MISSING) from None
        if not all(os.access(program, os.X_OK) for program in self._carrier.programs):
            raise CallFailed(reasons.PROGRAM_MISSING)
        if self._machinery.store.password(self._link) is None:
            raise CallFailed(reasons.NO_PASSWORD)
        target = await (self._pinned_server(turn) if self._carrier.over_ip else self._interface())
        self._machinery.name_servers.prepare(self._link, self._settings.dns, await self._cables_servers())
        cable = await self._machinery.routes.size(self._footing.interface) if self._footing is not None else ETHERNET
        password = self._machinery.store.password(self._link)  # it may have been changed meanwhile
        if password is None:
            raise CallFailed(reasons.NO_PASSWORD)
        pppfiles.write(self._link, self._settings, target, password, version, self._machinery.peers, cable)
        for ending, content in self._carrier.files(self._link, self._settings, target).items():
            safefile.replace(self._machinery.run / f"{self._link}.{ending}", content)

    async def _pinned_server(self, turn: int) -> str:
        """Return the address to call, once it is pinned to the cable and stands first among the pins."""
        found = await self._machinery.lookup.addresses(self._link, self._settings.server, self._settings.interface)
        self._pins = tuple(found)
        pinned = await self._machinery.routes.want(self._link, self._wanted())
        if not pinned:
            raise CallFailed(reasons.NO_CABLE)
        server = pinned[turn % len(pinned)]
        self._pins = (server, *(address for address in self._pins if address != server))
        self._footing = self._machinery.routes.footing(self._settings.interface, server)
        if self._settings.firewall == "open":
            cable = (await self._machinery.routes.way(server, self._settings.interface)).interface
            await self._machinery.openings.open(self._link, cable, server, self._carrier.passages)
        return str(server)

    async def _interface(self) -> str:
        """Return the interface to call on."""
        cable = await self._machinery.routes.cable(self._settings.interface)
        if cable is None or not cable.interface.has_carrier:
            raise CallFailed(reasons.NO_CABLE)
        self._footing = Footing(cable.interface.index)
        line = cable.interface
        if number := self._settings.vlan:
            line = await self._machinery.routes.vlan(self._link, self._wanted(), line, number)
        if not line.has_carrier:
            raise CallFailed(reasons.NO_CABLE)
        self._line = line.name
        return line.name

    def _watch_for_an_answer(self, *, fresh: bool) -> None:
        """Begin to look for the control connection; one that stands before a fresh call is another's."""
        if self._carrier.control_port and self._pins:
            others = self._established() if fresh else frozenset()
            self._watching = self._machinery.spawn(self._watch(others))

    def _established(self) -> frozenset[str]:
        return self._machinery.established(self._pins[0], self._carrier.control_port)

    async def _cables_servers(self) -> list[IPv4Address]:
        """Return the servers of the cable's lease, when the link wants those."""
        if self._settings.dns != "cable":
            return []
        cable = await self._machinery.routes.cable(self._settings.interface, next(iter(self._pins), None))
        named = cable.lease.dns if cable is not None and cable.lease is not None else ()
        return dns.believable(map(str, named), await self._machinery.routes.own_addresses())

    async def _name_servers(self) -> None:
        """See that the servers that the peer has told are asked, if the link wants them."""
        own = await self._machinery.routes.own_addresses()
        if not self._over:
            told, interface = self.facts.dns, self.facts.interface
            await self._machinery.name_servers.up(self._link, interface, self._settings.dns, told, own)

    async def _watch(self, others: frozenset[str]) -> None:
        """Notice that the server takes the control connection; `others` are those of other calls to it."""
        while not self._established() - others:
            await asyncio.sleep(LOOK_EVERY)
        self._answered = True
        self._report()

    async def _outcome(self) -> Reason:
        ended = await self._end
        with contextlib.suppress(OSError):
            self.log.read()
        if self._by_hand is None:
            killed = ended is not None and ended.signal != 0
            self._was_killed = killed or remains.found(self._link, self._machinery.run, list(self.log.lines))
        stopped_by_us = self._stopping and not self._was_told_before
        reason = self._verdict or pppd.classify(
            self._lines,
            ended,
            stopped_by_us=stopped_by_us,
            answered=self._has_answered,
            was_up=self.facts.is_up,
            silence=self._carrier.silence,
        )
        if reason is reasons.PATH_LOST and self._loops:
            reason = reasons.LOOP
        told_by_others = reason is reasons.HUNG_UP_HERE and not stopped_by_us and self._by_hand is None
        if told_by_others and (self._was_to_restart or await self._is_started_again()):
            reason = reasons.INTERRUPTED
        if reason.retry and slept() - self._slept > NOTICEABLE:
            reason = reasons.SUSPENDED  # it is not the provider's fault
        log.info("link %s: the call has ended (%s)", self._link, "hung up" if self._stopping else reason.id)
        return reason

    async def _is_started_again(self) -> bool:
        """Whether somebody restarts the unit, which is no wish to hang up; the next call is then ours to start."""
        units = self._machinery.units
        if not await units.is_running(self._link):
            return False
        log.info("link %s: its unit was restarted by somebody", self._link)
        await stopped(self._link, units)
        return True

    async def _stop_unit(self) -> None:
        if self._by_hand is not None:
            self._by_hand.hang_up()
            return
        try:
            if self._was_told_before:
                self._was_to_restart = await self._machinery.units.is_restarting(self._link)
            await self._machinery.units.stop(self._link)
            if not await self._machinery.units.is_running(self._link):
                # It ended before we asked; the signal that says so is on its way, or was sent before we listened.
                await asyncio.wait({self._end}, timeout=STOP_LIMIT)
                self.unit_ended(None)
        except CallError as error:
            log.error("link %s: its unit could not be stopped: %s", self._link, error)
            self.unit_ended(None)

    def _on_line(self, line: str) -> None:
        if self._is_anothers(line):
            return
        was_up, known = self.facts.is_up, self._known
        if not self._reading_back and self._is_last(line):
            self._spend()
        self.facts.read(line)
        if self._stopping or self._reading_back:
            return
        if was_up and pppd.gives_up(line):
            self._lose()
        elif was_up and pppd.takes_down(line):
            self._look_ahead()
        elif was_up:
            if self._known != known:  # a server can have pppd say a line for each of its packets
                # pppd tells the peer's name servers last; the routes' own events bring the next `reconcile`.
                self._machinery.routes.expect(self._link, self._wanted())
                self._naming.ask()
        elif self.facts.is_up:
            self._routing = self._machinery.spawn(self._route())
        elif self.facts.claim is not None:
            self._proving.ask()
        else:
            self._report()

    def _is_anothers(self, line: str) -> bool:
        """Whether it is, or may be, of a second `pon`, which writes into the same file; the kernel tells the rest then.

        pppd has one interface as long as it lives, and its end is told by itself.
        """
        if self._by_hand is None or self._reading_back:
            return False
        if not self._shares_log and self.facts.interface and pppd.begins_elsewhere(line, self.facts.interface):
            log.info("link %s: it is dialed by hand once more; what its log says is no more relied on", self._link)
            self._shares_log = True
            self._said = list(self.log.lines)[:-1]
        return self._shares_log

    @property
    def _lines(self) -> list[str]:
        """What the call itself has said."""
        return list(self.log.lines) if self._said is None else self._said

    @property
    def _known(self) -> tuple[object, ...]:
        """What the network is made by, of all that the log tells (`_wanted`)."""
        return self.facts.is_up, self.facts.interface, self.facts.remote, self.facts.dns

    def _lose(self) -> None:
        self._is_lost = True
        self._listener.lost()
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Have the next call find its server's address when this one has ended."""
        if self._carrier.over_ip and self._by_hand is None and not self._stopping and not self._looked_ahead:
            self._looked_ahead = True
            settings = self.dialed.settings
            self._machinery.lookup.look_ahead(self._link, settings.server, settings.interface)

    def _is_last(self, line: str) -> bool:
        return self._carrier.over is not None and self._carrier.over.match(line) is not None

    def _spend(self) -> None:
        """The call is over: have its unit end, which is not our wish but the call's own end."""
        self.facts.close()
        if self._said is None and not self._stopping:
            self._said = list(self.log.lines)  # behind them a server's words may stand unescaped
            self._machinery.spawn(self._stop_unit())

    @property
    def _has_answered(self) -> bool:
        # Without a control connection to look at, pppd begins only when the server has accepted the call.
        return self._answered or (not self._carrier.control_port and bool(self.facts.interface))

    def _report(self) -> None:
        """Say how far the call is, unless it is further than that."""
        if self._stopping or self._over or self.facts.is_up:
            return
        phase = self.facts.phase
        self._listener.progress(names.AUTHENTICATING if self._has_answered and phase == names.CONNECTING else phase)

    async def _route(self) -> None:
        if self._over:
            return
        try:
            await self._machinery.routes.want(self._link, self._wanted())
        except Exception:
            log.exception("link %s: the routes through it could not be made", self._link)
            self._verdict = reasons.FAILED
            self.hang_up()
            return
        await self._name_servers()
        if self._is_lost:
            self._machinery.spawn(self._end_lost())  # nobody has heard `lost`: it was not up for anybody yet
            return
        if not self._over:
            self._machinery.spawn(self._machinery.openings.join(self._link, self.facts.interface))
        if not self._over and not self._stopping:
            log.info("link %s: up on %s", self._link, self.facts.interface)
            if not self.dialed.up_since:
                self._note(self.dialed._replace(connected_at=time.time(), up_since=clock()))
            self._listener.answered(self.facts.interface, self.dialed.up_since)
            if self._by_hand is None and not self.dialed.cable:
                self._machinery.spawn(self._find_cable())

    async def _end_lost(self) -> None:
        await asyncio.wait({self._end}, timeout=GONE_LIMIT)
        if not self._end.done():
            self.hang_up()

    async def _find_cable(self) -> None:
        routes, name = self._machinery.routes, self._line
        if not name and self._pins:
            name = (await routes.way(self._pins[0], self._settings.interface)).interface
        self._note(self.dialed._replace(cable=await routes.index(name)))

    def _note(self, dialed: Dialed) -> None:
        self.dialed = dialed
        if self._by_hand is None:
            try:
                self._machinery.store.leave(self._link, dialed)
            except StorageFailed as error:
                log.error("link %s: a restart of the helper will not know since when it is up: %s", self._link, error)


async def stopped(link: str, units: Units) -> bool:
    """Stop the unit of a link's call, and return whether it has ended in the time that it has for that.

    Raises:
        CallError: systemd refuses.
    """
    await units.stop(link)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_LIMIT):
            while await units.is_running(link):
                await asyncio.sleep(LOOK_EVERY)
            return True
    return False


def _networks(route: str | tuple[str, ...]) -> tuple[IPv4Network, ...]:
    """Return the destinations that a link with this setting `route` leads to."""
    if isinstance(route, str):
        return (ANYWHERE,) if route == "all" else ()
    return tuple(IPv4Network(prefix) for prefix in route)


def _addresses(*texts: str) -> tuple[IPv4Address, ...]:
    """Return what pppd has told as addresses."""
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            found.append(IPv4Address(text))
    return tuple(found)
