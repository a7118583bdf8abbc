"""The state machine of one link. Pure: it knows no bus, no process, no clock but the one that it is given.

    down ──connect──▶ dialing ──answered──▶ up
     ▲                  │  ▲                 │
     │               ended  └──wake───────┐  │ lost, ended
     │                  ▼                 │  ▼
     └──disconnect── waiting / failed ◀── stopping

One call exists at a time. `Port.dial` begins it; whatever happens to it, it reports `ended` exactly once, and only
then is the next one dialed. What follows a call that is being stopped is kept in the stopping state itself.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple, Protocol

from cablecar.helper import names, reasons
from cablecar.helper.reasons import Reason
from cablecar.helper.redial import STABLE, Redial

DIAL_LIMIT: Final = 25.0  # seconds from dialing to up; `Connect` promises a named error within 40
GONE_LIMIT: Final = 3.0  # seconds that the processes of a call may outlive its interface
_CABLES_FAULT: Final = (reasons.NO_CABLE, reasons.SERVER_NOT_FOUND, reasons.SERVER_IMPLAUSIBLE)
# What may be the fault of one way to the server, and not of another.
_WAYS_FAULT: Final = (
    reasons.SERVER_UNREACHABLE,
    reasons.SERVER_REFUSED,
    reasons.NOT_ADMITTED,
    reasons.NO_CONCENTRATOR,
    reasons.L2TP_NO_ANSWER,
    reasons.GRE_BLOCKED,
    reasons.TIMED_OUT,
    reasons.HANGUP,
    reasons.PATH_LOST,
    reasons.SUSPENDED,  # the way from before a sleep is not to be relied on
)
NO_CABLE_PAUSE: Final = 60.0  # seconds; netlink tells sooner when the cable is back
NEW_CABLE_PAUSE: Final = 1.0  # seconds
MOVES: Final = 3  # in `STABLE` seconds that cut a wait short; a cable that changes more often is no news
LEASE_LIMIT: Final = 3.0  # seconds awake, in which the cable may find its carrier, or be given another address
AWAKE_LIMIT: Final = 60.0  # seconds awake, after which a sleep that was told has not come


class Status(NamedTuple):
    """What the world may know about a link. Times are seconds of the machine's clock; 0 means none."""

    state: str = names.DOWN
    phase: str = ""
    reason: Reason = reasons.NONE
    interface: str = ""
    since: float = 0.0
    attempt: int = 0
    next_retry: float = 0.0


class Port(Protocol):
    """What the machine asks of the outside. None of these may call back before they return."""

    def dial(self) -> None:
        """Begin a call; answer with `progress`, `answered` and, exactly once, `ended`."""

    def hang_up(self) -> None:
        """End the call; `ended` follows. Harmless when repeated."""

    def wake_after(self, seconds: float | None) -> None:
        """Call `wake` once after so many seconds; None or a new request replaces an older one."""

    def publish(self, status: Status) -> None:
        """Show the status to everybody."""

    def record(self, reason: Reason) -> None:
        """Write down that a call is over, for `reason`."""

    def connected(self, interface: str) -> None:
        """Tell that the link is up."""

    def disconnected(self, reason: Reason, will_reconnect: bool) -> None:
        """Tell that a link that was up is up no longer."""

    def reconnecting(self, attempt: int, seconds: float) -> None:
        """Tell that a try follows by itself after so many seconds."""


class After(Enum):
    """What follows when the call that is being stopped has ended."""

    DOWN = "stay down"
    DIAL = "dial at once"
    AWAKE = "dial when the machine is awake again"
    SETTLE = "dial when the cable has had its time after a sleep"
    DECIDE = "let the reason decide"


class Link:
    """One link's state and its transitions."""

    def __init__(self, port: Port, clock: Callable[[], float], redial: Redial, reconnects: bool) -> None:
        self.status = Status(since=clock())
        self._port = port
        self._clock = clock
        self._redial = redial
        self._begun_by_hand = False  # the call is somebody's `pon`
        self._by_hand = False  # and nobody asked us to keep it up
        self.reconnects = reconnects
        self._after = After.DECIDE
        self._cause: Reason | None = None  # why we are stopping, when we know better than the call
        self._up_since: float | None = None
        self._cable_is_new = False  # it has changed since we began to dial
        self._way_is_new = False  # the way to the server is another than that of the last call
        self._moves: list[float] = []  # when that cut a wait short
        self._sleeps = False  # or is about to

    # What people ask for.

    def connect(self) -> None:
        """The link is wanted."""
        by_hand, self._by_hand = self._by_hand, False
        match self.status.state:
            case names.DOWN | names.FAILED | names.WAITING:
                self._redial.reset()
                self._dial(self.status.reason)
            case names.DIALING if by_hand:
                self._port.wake_after(DIAL_LIMIT)
            case names.STOPPING:
                self._after = After.DIAL

    def disconnect(self) -> None:
        """The link is not wanted."""
        match self.status.state:
            case names.DIALING | names.UP:
                self._stop(After.DOWN, reasons.REQUESTED)
            case names.STOPPING:
                self._after, self._cause = After.DOWN, reasons.REQUESTED
                self._port.hang_up()
            case names.WAITING | names.FAILED:
                self._rest(names.DOWN, reasons.REQUESTED)

    def reconnect(self) -> None:
        """Hang up and dial at once, or cut the waiting short."""
        match self.status.state:
            case names.DIALING | names.UP:
                self._redial.reset()
                self._stop(After.DIAL, reasons.REQUESTED)
            case names.STOPPING:
                self._after, self._cause = After.DIAL, reasons.REQUESTED
            case _:
                self.connect()

    # What happens to the call.

    def progress(self, phase: str) -> None:
        """The call has come as far as `phase`."""
        if self.status.state == names.DIALING and phase != self.status.phase:
            self._publish(self.status._replace(phase=phase))

    def answered(self, interface: str, since: float | None = None) -> None:
        """The call is up on `interface`, and the routes lead through it; since now, unless it was adopted."""
        if self.status.state != names.DIALING:
            return
        self._port.wake_after(None)
        self._up_since = self._clock() if since is None else since
        self._publish(Status(names.UP, interface=interface, since=self._up_since))
        self._port.connected(interface)

    def lost(self) -> None:
        """The call's interface is gone; its processes may still be ending."""
        if self.status.state == names.UP:
            self._enter_stopping(After.DECIDE, None)
            self._port.wake_after(GONE_LIMIT)  # usually they end by themselves, and then say why

    def ended(self, reason: Reason) -> None:
        """The call is over, for `reason`; nothing of it is left."""
        after, cause = After.DECIDE, reason
        if self.status.state == names.STOPPING:
            after, cause = self._after, self._cause or reason
        self._after, self._cause = After.DECIDE, None
        self._port.wake_after(None)
        seconds_up = None if self._up_since is None else self._clock() - self._up_since
        self._up_since = None
        by_hand, self._by_hand, self._begun_by_hand = self._by_hand, False, False
        # To wait for a cable is no redial.
        retries = cause.retry and (self.reconnects or cause is reasons.NO_CABLE) and not by_hand
        again = after in (After.DIAL, After.AWAKE, After.SETTLE) or (after is After.DECIDE and retries)
        self._port.record(cause)
        if seconds_up is not None:
            self._port.disconnected(cause, again)
        if after is After.DIAL:
            self._dial(cause)
        elif after is After.AWAKE:
            self._wait(cause, AWAKE_LIMIT)
        elif after is After.SETTLE:
            self._wait(cause, LEASE_LIMIT)
        elif again:
            self._try_again(cause, seconds_up)
        else:
            self._rest(names.FAILED if after is After.DECIDE and not cause.retry and not by_hand else names.DOWN, cause)

    def wake(self) -> None:
        """The time that was asked for is over."""
        if self.status.state == names.WAITING:
            self._dial(self.status.reason)
        elif self.status.state == names.DIALING:
            self._stop(After.DECIDE, reasons.SERVER_UNREACHABLE if self._is_early else reasons.TIMED_OUT)
        elif self.status.state == names.STOPPING:
            self._port.hang_up()

    def cable_changed(self, way_is_new: bool = False) -> None:
        """The cable has a carrier, an address or a route that it did not have.

        With `way_is_new` the last call's server is now reached by another interface, address or router than it was.
        """
        self._cable_is_new, self._way_is_new = True, way_is_new
        state, reason = self.status.state, self.status.reason
        # Without a cable there is no DNS either, or another one's.
        if state == names.WAITING and reason in _CABLES_FAULT:
            self._dial(reason)
        elif state == names.WAITING and self._begins_anew(reason):
            self._dial_soon()
        elif state == names.DIALING and self._is_early and not self._by_hand and self._begins_anew(reasons.PATH_LOST):
            self._stop(After.DIAL, reasons.PATH_LOST)  # it would wait for answers to an address that is gone

    def _begins_anew(self, reason: Reason) -> bool:
        """Whether what failed for `reason` may succeed by the new way; then the pacing begins anew, too."""
        if not self._way_is_new or reason not in _WAYS_FAULT or self._sleeps:
            return False
        now = self._clock()
        self._moves = [moment for moment in self._moves if moment > now - STABLE]
        if len(self._moves) >= MOVES:
            return False
        self._moves.append(now)
        self._redial.reset()
        return True

    def _dial_soon(self) -> None:
        """Dial at once, or as soon as the provider wants to be dialed again."""
        soonest = min(self.status.next_retry, self.status.since + self._redial.minimum)
        if soonest <= self._clock():
            self._dial(self.status.reason)
        else:
            self._publish(self.status._replace(attempt=self._redial.attempt, next_retry=soonest))
            self._port.wake_after(self._seconds_left)

    def falls_asleep(self) -> None:
        """The machine is about to sleep: hang up, because the server would not hear of it."""
        self._sleeps = True
        if self._by_hand:
            return
        if self.status.state in (names.DIALING, names.UP):
            self._stop(After.AWAKE, reasons.SUSPENDED)
        elif self.status.state == names.STOPPING and self._after is not After.DOWN:
            self._after, self._cause = After.AWAKE, reasons.SUSPENDED
        elif self.status.state == names.WAITING:
            self._port.wake_after(max(AWAKE_LIMIT, self._seconds_left))  # not while others still keep it awake

    def is_awake(self) -> None:
        """The machine is awake again, as was told when it fell asleep.

        The cable looks as it did before the sleep until it has found its carrier and its DHCP client has asked.
        """
        self._sleeps = False
        if self.status.state == names.STOPPING and self._after is After.AWAKE:
            self._after = After.SETTLE
        elif self.status.state == names.WAITING and self._is_due():
            self._redial.reset()
            self._wait(self.status.reason, LEASE_LIMIT)
        elif self.status.state == names.WAITING:
            self._port.wake_after(self._seconds_left)  # timers stand still in a sleep

    @property
    def _is_early(self) -> bool:
        return self.status.phase in (names.PREPARING, names.CONNECTING)  # the server has not answered yet

    @property
    def _seconds_left(self) -> float:
        return max(0.0, self.status.next_retry - self._clock())

    def _is_due(self) -> bool:
        return self.status.reason is reasons.SUSPENDED or not self._seconds_left

    def has_slept(self) -> None:
        """The machine has slept, and nobody told before: what looks like a call is none any more."""
        if self.status.state in (names.DIALING, names.UP) and not self._by_hand:
            self._stop(After.SETTLE, reasons.SUSPENDED)
        else:
            self.is_awake()

    def adopt(self, by_hand: bool = False) -> None:
        """A call of this link is running already; `answered` follows when it is up.

        With `by_hand` somebody else dialed it: unless the link is wanted anyway, it is not dialed again when it ends.
        """
        self._begun_by_hand = by_hand
        self._by_hand = by_hand and self.status.state != names.WAITING
        # Who dials by hand may want to watch it fail: pppd itself gives up in time.
        self._port.wake_after(None if by_hand else DIAL_LIMIT)
        self._publish(Status(names.DIALING, names.CONNECTING, since=self._clock()))

    def resume(self, status: Status) -> None:
        """Be what a helper before us was, at rest or waiting for its next try; call before anything else."""
        self._redial.attempt = status.attempt
        self._publish(status)
        if status.state == names.WAITING:
            self._port.wake_after(self._seconds_left)

    @property
    def is_by_hand(self) -> bool:
        """Whether somebody else dialed the call, and nobody asked us to keep it up."""
        return self._by_hand

    @property
    def was_begun_by_hand(self) -> bool:
        """Whether somebody else dialed the call, which is his to end, whoever has asked us since to keep it up."""
        return self._begun_by_hand

    @property
    def is_at_rest(self) -> bool:
        """Whether no call of ours exists or is about to."""
        return self.status.state in (names.DOWN, names.WAITING, names.FAILED)

    # Transitions.

    def _dial(self, why_not_up: Reason) -> None:
        self._cable_is_new = self._way_is_new = self._sleeps = False
        self._port.wake_after(DIAL_LIMIT)
        attempt = max(1, self._redial.attempt)
        self._publish(Status(names.DIALING, names.PREPARING, why_not_up, since=self._clock(), attempt=attempt))
        self._port.dial()

    def _stop(self, after: After, cause: Reason | None) -> None:
        self._enter_stopping(after, cause)
        self._port.hang_up()

    def _enter_stopping(self, after: After, cause: Reason | None) -> None:
        self._after, self._cause = after, cause
        self._port.wake_after(None)
        self._publish(
            Status(names.STOPPING, reason=cause or reasons.NONE, since=self._clock(), attempt=self.status.attempt)
        )

    def _try_again(self, cause: Reason, seconds_up: float | None) -> None:
        if cause is reasons.NO_CABLE:
            # Nothing was dialed: it counts as no try, and the cable itself wakes us, unless it did while we dialed.
            self._wait(cause, NEW_CABLE_PAUSE if self._cable_is_new else NO_CABLE_PAUSE)
            return
        pause = LEASE_LIMIT if cause is reasons.SUSPENDED else cause.pause
        if self._begins_anew(cause):
            pause = 0.0  # it was for the old way
        delay = self._redial.after_failure(pause) if seconds_up is None else self._redial.after_drop(seconds_up, pause)
        self._port.reconnecting(self._redial.attempt, delay)
        if delay:
            self._wait(cause, delay)
        else:
            self._dial(cause)

    def _wait(self, cause: Reason, seconds: float) -> None:
        now = self._clock()
        self._publish(
            Status(names.WAITING, reason=cause, since=now, attempt=self._redial.attempt, next_retry=now + seconds)
        )
        self._port.wake_after(seconds)

    def _rest(self, state: str, reason: Reason) -> None:
        self._port.wake_after(None)
        self._redial.reset()
        self._publish(Status(state, reason=reason, since=self._clock()))

    def _publish(self, status: Status) -> None:
        self.status = status
        self._port.publish(status)
