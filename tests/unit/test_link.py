"""The state machine, driven by a fake clock: every state meets every event."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from cablecar.helper import reasons
from cablecar.helper.link import (
    AWAKE_LIMIT,
    DIAL_LIMIT,
    GONE_LIMIT,
    LEASE_LIMIT,
    MOVES,
    NEW_CABLE_PAUSE,
    NO_CABLE_PAUSE,
    Link,
    Status,
)
from cablecar.helper.names import PHASES, STATES
from cablecar.helper.reasons import Reason
from cablecar.helper.redial import BASE, CAP, SPREAD, STABLE, Redial


@dataclass
class World:
    """The machine's port and clock: records what the machine asks for, and lets a test play the call."""

    now: float = 1000.0
    calls: int = 0  # dialed and not yet ended
    dials: int = 0
    hang_ups: int = 0
    alarm: float | None = None
    statuses: list[Status] = field(default_factory=list)
    told: list[tuple[object, ...]] = field(default_factory=list)
    records: list[str] = field(default_factory=list)

    def dial(self) -> None:
        assert self.calls == 0, "a second call beside the first"
        self.calls += 1
        self.dials += 1

    def hang_up(self) -> None:
        assert self.calls == 1, "nothing to hang up"
        self.hang_ups += 1

    def wake_after(self, seconds: float | None) -> None:
        self.alarm = None if seconds is None else self.now + seconds

    def publish(self, status: Status) -> None:
        self.statuses.append(status)

    def record(self, reason: Reason) -> None:
        self.records.append(reason.id)

    def connected(self, interface: str) -> None:
        self.told.append(("connected", interface))

    def disconnected(self, reason: Reason, will_reconnect: bool) -> None:
        self.told.append(("disconnected", reason.id, will_reconnect))

    def reconnecting(self, attempt: int, seconds: float) -> None:
        self.told.append(("reconnecting", attempt, seconds))


class Play:
    """A machine in its world."""

    def __init__(self, reconnects: bool = True) -> None:
        self.world = World()
        self.redial = Redial(lambda low, high: high)
        self.link = Link(self.world, lambda: self.world.now, self.redial, reconnects)

    @property
    def state(self) -> str:
        return self.link.status.state

    def end(self, reason: Reason) -> None:
        self.world.calls -= 1
        self.link.ended(reason)

    def adopt(self) -> None:
        """Somebody dials by hand; it is seen only while no call of ours exists."""
        if self.link.is_at_rest:
            self.world.calls += 1
            self.link.adopt(by_hand=True)

    def up(self) -> "Play":
        self.link.connect()
        self.link.answered("ppp0")
        assert self.state == "up"
        return self

    def pass_time(self, seconds: float) -> None:
        self.world.now += seconds
        if self.world.alarm is not None and self.world.now >= self.world.alarm:
            self.world.alarm = None
            self.link.wake()


def in_state(state: str) -> Play:
    play = Play()
    match state:
        case "dialing":
            play.link.connect()
        case "up":
            play.up()
        case "waiting":
            play.link.connect()
            play.end(reasons.SERVER_UNREACHABLE)
        case "failed":
            play.link.connect()
            play.end(reasons.AUTHENTICATION_FAILED)
        case "stopping":
            play.up().link.disconnect()
    assert play.state == state
    return play


EVENTS: dict[str, Callable[[Play], None]] = {
    "connect": lambda play: play.link.connect(),
    "disconnect": lambda play: play.link.disconnect(),
    "reconnect": lambda play: play.link.reconnect(),
    "progress": lambda play: play.link.progress("authenticating"),
    "answered": lambda play: play.link.answered("ppp0"),
    "lost": lambda play: play.link.lost(),
    "wake": lambda play: play.link.wake(),
    "cable": lambda play: play.link.cable_changed(),
    "way": lambda play: play.link.cable_changed(way_is_new=True),
    "adopt": lambda play: play.adopt(),
    "sleep": lambda play: play.link.falls_asleep(),
    "awake": lambda play: play.link.is_awake(),
    "slept": lambda play: play.link.has_slept(),
}
# What each event makes of each state. A state that is missing stays as it is.
BECOMES: dict[str, dict[str, str]] = {
    "connect": {"down": "dialing", "waiting": "dialing", "failed": "dialing"},
    "disconnect": {"waiting": "down", "dialing": "stopping", "up": "stopping", "failed": "down"},
    "reconnect": {
        "down": "dialing",
        "waiting": "dialing",
        "failed": "dialing",
        "dialing": "stopping",
        "up": "stopping",
    },
    "progress": {},
    "answered": {"dialing": "up"},
    "lost": {"up": "stopping"},
    "wake": {"waiting": "dialing", "dialing": "stopping"},
    "cable": {},
    "way": {"waiting": "dialing", "dialing": "stopping"},
    "adopt": {"down": "dialing", "waiting": "dialing", "failed": "dialing"},
    "sleep": {"dialing": "stopping", "up": "stopping"},
    "awake": {},
    "slept": {"dialing": "stopping", "up": "stopping"},
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_every_state_meets_every_event(state: str, event: str) -> None:
    play = in_state(state)
    EVENTS[event](play)
    assert play.state == BECOMES[event].get(state, state)
    assert (play.link.status.phase in PHASES) == (play.state == "dialing")
    assert bool(play.link.status.interface) == (play.state == "up")
    assert bool(play.link.status.next_retry) == (play.state == "waiting")
    assert play.world.calls == (play.state in ("dialing", "up", "stopping"))


@pytest.mark.parametrize("state", ["dialing", "up", "stopping"])
@pytest.mark.parametrize("reason", reasons.ALL, ids=lambda reason: reason.id or "none")
def test_every_end_of_a_call_leads_somewhere(state: str, reason: Reason) -> None:
    play = in_state(state)
    play.end(reason)
    if state == "stopping":  # by the user
        assert play.state == "down"
    elif not reason.retry:
        assert play.state == "failed"
    else:
        at_once = state == "up" and reason not in (reasons.NO_CABLE, reasons.SUSPENDED) and not reason.pause
        assert play.state == ("dialing" if at_once else "waiting")
    assert len(play.world.records) == 1


def test_a_drop_is_told_and_dialed_again_at_once() -> None:
    play = Play().up()
    play.end(reasons.HANGUP)
    assert play.world.told == [("connected", "ppp0"), ("disconnected", "hangup", True), ("reconnecting", 1, 0.0)]
    assert (play.state, play.world.dials) == ("dialing", 2)
    assert play.link.status.attempt == 1
    assert all(status.state != "up" or status.reason is reasons.NONE for status in play.world.statuses)


def test_failed_dials_come_ever_more_slowly_up_to_the_cap() -> None:
    play = Play()
    play.link.connect()
    delays = []
    for _ in range(8):
        play.end(reasons.SERVER_REFUSED)
        delays.append(play.link.status.next_retry - play.world.now)
        play.pass_time(delays[-1])
        assert play.state == "dialing"
    assert delays == [BASE * 3 / 2, 9.0, 27.0, 81.0, 243.0, CAP, CAP, CAP]


def test_a_flapping_line_is_not_dialed_at_once_again() -> None:
    play = Play().up()
    play.end(reasons.HANGUP)
    play.link.answered("ppp0")
    play.end(reasons.HANGUP)
    assert play.state == "waiting"


def test_a_stable_line_is() -> None:
    play = Play().up()
    for _ in range(3):
        play.pass_time(STABLE)
        play.end(reasons.HANGUP)
        assert play.state == "dialing"
        play.link.answered("ppp0")


def test_a_refused_password_stops_everything() -> None:
    play = Play()
    play.link.connect()
    play.end(reasons.AUTHENTICATION_FAILED)
    assert (play.state, play.world.alarm) == ("failed", None)
    play.pass_time(1e6)
    assert play.world.dials == 1
    play.link.connect()
    assert play.world.dials == 2


def test_a_dial_without_an_answer_is_ended_with_a_name() -> None:
    play = Play()
    play.link.connect()
    play.link.progress("connecting")
    play.pass_time(DIAL_LIMIT)
    assert (play.state, play.world.hang_ups) == ("stopping", 1)
    play.end(reasons.FAILED)
    assert (play.state, play.link.status.reason) == ("waiting", reasons.SERVER_UNREACHABLE)


def test_a_lost_interface_waits_for_the_processes_and_their_word() -> None:
    play = Play().up()
    play.link.lost()
    assert (play.state, play.world.hang_ups) == ("stopping", 0)
    play.end(reasons.INTERRUPTED)
    assert ("disconnected", "interrupted", True) in play.world.told
    assert play.state == "dialing"


def test_processes_that_outlive_their_interface_are_ended() -> None:
    play = Play().up()
    play.link.lost()
    play.pass_time(GONE_LIMIT)
    assert play.world.hang_ups == 1


def test_reconnect_hangs_up_and_dials() -> None:
    play = Play().up()
    play.link.reconnect()
    play.end(reasons.REQUESTED)
    assert (play.state, play.world.dials) == ("dialing", 2)


def test_the_last_word_while_stopping_counts() -> None:
    play = Play().up()
    play.link.disconnect()
    play.link.connect()
    play.link.disconnect()
    play.link.connect()
    play.end(reasons.REQUESTED)
    assert play.state == "dialing"
    play.link.disconnect()
    play.end(reasons.REQUESTED)
    assert (play.state, play.world.told[-1]) == ("down", ("disconnected", "requested", True))


def test_without_reconnect_a_drop_is_the_end() -> None:
    play = Play(reconnects=False).up()
    play.end(reasons.HANGUP)
    assert (play.state, play.link.status.reason) == ("down", reasons.HANGUP)
    assert play.world.told[-1] == ("disconnected", "hangup", False)


def test_without_reconnect_a_cable_is_waited_for() -> None:
    play = Play(reconnects=False)
    play.link.connect()
    play.end(reasons.NO_CABLE)
    assert play.state == "waiting"
    play.link.cable_changed()
    assert play.state == "dialing"


def test_a_link_goes_on_as_the_helper_before_left_it() -> None:
    play = Play()
    left = Status("waiting", reason=reasons.SERVER_REFUSED, since=900.0, attempt=4, next_retry=1050.0)
    play.link.resume(left)
    assert (play.link.status, play.world.alarm, play.world.dials) == (left, 1050.0, 0)
    play.link.wake()
    assert (play.link.status.attempt, play.world.dials) == (4, 1)
    play = Play()
    play.link.resume(left._replace(next_retry=950.0))
    assert play.world.alarm == 1000.0
    play = Play()
    play.link.resume(Status("failed", reason=reasons.NO_PASSWORD, since=900.0))
    assert (play.state, play.world.alarm) == ("failed", None)


def test_an_adopted_call_is_as_old_as_it_was() -> None:
    play = Play()
    play.world.calls = 1
    play.link.adopt()
    play.link.answered("ppp0", 400.0)
    assert play.link.status.since == 400.0
    play.end(reasons.HANGUP)
    assert play.state == "dialing"  # at once: it was up for long


def test_the_cable_wakes_only_who_waits_for_it() -> None:
    play = Play()
    play.link.connect()
    for reason in (reasons.NO_CABLE, reasons.SERVER_NOT_FOUND):
        play.end(reason)
        assert play.state == "waiting"
        play.link.cable_changed()
        assert play.state == "dialing"
    play.end(reasons.SERVER_REFUSED)
    play.link.cable_changed()
    assert play.state == "waiting"


def test_a_cable_that_changed_while_it_was_dialed_on_is_tried_soon() -> None:
    play = Play()
    play.link.connect()
    play.end(reasons.NO_CABLE)
    assert play.world.alarm == play.world.now + NO_CABLE_PAUSE
    play.link.cable_changed()
    play.link.cable_changed()
    play.end(reasons.NO_CABLE)
    assert play.world.alarm == play.world.now + NEW_CABLE_PAUSE
    play.link.wake()
    play.end(reasons.NO_CABLE)
    assert play.world.alarm == play.world.now + NO_CABLE_PAUSE


def far_from_the_next_try(play: Play) -> None:
    """Have so many dials fail that the next one is minutes away."""
    play.link.connect()
    play.end(reasons.SERVER_UNREACHABLE)
    for _ in range(8):
        play.pass_time(CAP)
        play.end(reasons.SERVER_UNREACHABLE)
    assert (play.state, play.link.status.next_retry) == ("waiting", play.world.now + CAP)


def test_another_way_to_the_server_is_tried_at_once_and_the_same_one_is_not() -> None:
    play = Play()
    far_from_the_next_try(play)
    play.link.cable_changed()
    assert play.state == "waiting"
    play.link.cable_changed(way_is_new=True)
    assert (play.state, play.link.status.attempt) == ("dialing", 1)
    play.end(reasons.SERVER_UNREACHABLE)
    assert play.link.status.next_retry == play.world.now + BASE * 3 / 2


@pytest.mark.parametrize("reason", [reasons.ALREADY_CONNECTED, reasons.LOGON_HOURS, reasons.NO_ADDRESS])
def test_what_is_no_fault_of_the_way_waits_on_by_another(reason: Reason) -> None:
    play = Play()
    play.link.connect()
    play.end(reason)
    play.link.cable_changed(way_is_new=True)
    assert play.state == "waiting"


def test_a_way_that_keeps_changing_is_dialed_on_no_faster_than_any() -> None:
    play = Play()
    play.link.connect()
    for _ in range(MOVES):
        play.end(reasons.SERVER_REFUSED)
        play.link.cable_changed(way_is_new=True)
        assert play.state == "dialing"
    for delay in (BASE * 3 / 2, 9.0, 27.0, 81.0):
        play.end(reasons.SERVER_REFUSED)
        play.link.cable_changed(way_is_new=True)
        assert play.link.status.next_retry == play.world.now + delay
        play.pass_time(delay)
    play.world.now += STABLE
    play.end(reasons.SERVER_REFUSED)
    play.link.cable_changed(way_is_new=True)
    assert play.state == "dialing"


def test_a_provider_who_locks_fast_dialers_is_not_dialed_faster_by_another_way() -> None:
    play = Play()
    play.redial.minimum = 100.0
    far = play.world.now + 100.0
    play.link.connect()
    play.end(reasons.PATH_LOST)
    play.pass_time(40.0)
    play.link.cable_changed(way_is_new=True)
    assert (play.state, play.link.status.next_retry, play.world.alarm) == ("waiting", far, far)
    play.pass_time(60.0)
    assert play.state == "dialing"


def test_a_provider_who_locks_fast_dialers_is_dialed_after_a_sleep_as_announced() -> None:
    play = in_state("up")
    play.redial.minimum = 100.0
    play.link.falls_asleep()
    play.end(reasons.HANGUP)
    play.link.is_awake()
    play.link.cable_changed(way_is_new=True)
    assert play.link.status.next_retry == play.world.now + LEASE_LIMIT


def test_a_call_to_nowhere_is_given_up_for_another_way() -> None:
    play = Play(reconnects=False)
    play.link.connect()
    play.link.progress("connecting")
    play.link.cable_changed()
    assert play.state == "dialing"
    play.link.cable_changed(way_is_new=True)
    assert (play.state, play.world.hang_ups) == ("stopping", 1)
    play.end(reasons.REQUESTED)
    assert (play.state, play.world.records) == ("dialing", ["path-lost"])


def test_a_call_that_was_answered_is_not_given_up_for_another_way() -> None:
    play = Play()
    play.link.connect()
    play.link.progress("authenticating")
    play.link.cable_changed(way_is_new=True)
    assert (play.state, play.world.hang_ups) == ("dialing", 0)
    play.end(reasons.GRE_BLOCKED)
    assert play.link.status.next_retry == play.world.now + BASE * 3 / 2  # the reason's pause was for the old way


def test_a_call_by_hand_is_not_given_up_for_another_way() -> None:
    play = Play()
    play.adopt()
    play.link.cable_changed(way_is_new=True)
    assert (play.state, play.world.hang_ups) == ("dialing", 0)


def test_an_adopted_call_comes_up() -> None:
    play = Play()
    play.world.calls = 1  # it runs already
    play.link.adopt()
    play.link.answered("ppp3")
    assert (play.state, play.world.dials) == ("up", 0)


@pytest.mark.parametrize("state", ["down", "failed"])
@pytest.mark.parametrize("reason", [reasons.HANGUP, reasons.HUNG_UP_HERE, reasons.AUTHENTICATION_FAILED])
def test_a_call_by_hand_is_not_dialed_again_when_it_ends(state: str, reason: Reason) -> None:
    play = in_state(state)
    play.adopt()
    play.link.answered("ppp0")
    dials = play.world.dials
    play.end(reason)
    assert (play.state, play.world.dials) == ("down", dials)
    assert play.world.told[-1] == ("disconnected", reason.id, False)


def test_a_call_by_hand_of_a_link_that_is_wanted_is_kept_up() -> None:
    play = in_state("waiting")
    play.adopt()
    play.link.answered("ppp0")
    play.end(reasons.HANGUP)
    assert play.state in ("dialing", "waiting")


def test_who_connects_a_call_by_hand_wants_it_kept_up() -> None:
    play = Play()
    play.adopt()
    play.link.answered("ppp0")
    play.link.connect()
    play.end(reasons.HANGUP)
    assert play.state == "dialing"


def test_a_call_by_hand_stays_one_until_it_ends_whoever_connects_it() -> None:
    play = Play()
    play.adopt()
    play.link.answered("ppp0")
    play.link.connect()
    assert (play.link.is_by_hand, play.link.was_begun_by_hand) == (False, True)
    play.end(reasons.HANGUP)
    assert (play.state, play.link.was_begun_by_hand) == ("dialing", False)


def test_a_call_by_hand_that_somebody_connects_has_to_come_up_in_time() -> None:
    play = Play()
    play.adopt()
    assert play.world.alarm is None
    play.link.connect()
    assert play.world.alarm == play.world.now + DIAL_LIMIT


def test_a_provider_who_locks_fast_dialers_is_dialed_slowly() -> None:
    redial = Redial(lambda low, high: low, minimum=1000.0)
    assert redial.after_drop(1.0) == 999.0
    assert redial.after_drop(1.0) == 999.0
    assert redial.after_failure() == 1000.0
    assert redial.after_drop(STABLE) == 1000.0 - STABLE


def test_a_provider_who_locks_fast_dialers_does_not_mind_who_was_up_for_long() -> None:
    redial = Redial(lambda low, high: high, minimum=1000.0)
    assert redial.after_drop(1001.0) == 0.0
    assert redial.after_failure() >= 1000.0


@pytest.mark.parametrize("minimum", [0.0, 1000.0])
@pytest.mark.parametrize("pause", [0.0, 30.0, 60.0])
def test_customers_whom_one_server_dropped_do_not_come_back_in_step(minimum: float, pause: float) -> None:
    early, late = (Redial(choose, minimum=minimum) for choose in (min, max))
    for _ in range(4):
        soonest = early.after_failure(pause)
        assert max(minimum, pause, BASE / 2) <= soonest < late.after_failure(pause)
    early.reset()
    late.reset()
    soonest, latest = early.after_drop(STABLE, pause), late.after_drop(STABLE, pause)
    assert soonest < latest if minimum or pause else soonest == latest == 0.0
    assert soonest >= max(pause, minimum - STABLE)


def test_a_reason_may_ask_for_a_pause() -> None:
    redial = Redial(lambda low, high: low)
    assert redial.after_drop(STABLE, 60.0) == 60.0
    assert redial.after_failure(60.0) == 60.0
    assert redial.after_failure() < 60.0


def test_reason_ids_and_errors_are_a_closed_table() -> None:
    assert len(reasons.BY_ID) == len(reasons.ALL)
    assert all(reason.sentence.endswith(".") for reason in reasons.ALL if reason.id)
    declared = [value for value in vars(reasons).values() if isinstance(value, Reason)]
    assert set(declared) == set(reasons.ALL)


# The machine's sleep.


@pytest.mark.parametrize("state", ["dialing", "up"])
@pytest.mark.parametrize("reconnects", [True, False])
def test_a_call_is_hung_up_before_a_sleep_and_dialed_after_it(state: str, reconnects: bool) -> None:
    play = Play(reconnects)
    play.up() if state == "up" else play.link.connect()
    play.link.falls_asleep()
    assert (play.state, play.world.hang_ups) == ("stopping", 1)
    play.end(reasons.HANGUP)
    assert (play.state, play.link.status.reason) == ("waiting", reasons.SUSPENDED)
    assert play.world.records == ["suspended"]
    play.link.cable_changed()  # NetworkManager takes the cable down before a sleep, too
    assert play.state == "waiting"
    play.link.cable_changed(way_is_new=True)
    assert play.state == "waiting"
    play.world.now += 30000  # in which no timer runs
    play.link.is_awake()
    play.link.cable_changed()  # its carrier, and the address that it had before
    assert (play.state, play.world.alarm) == ("waiting", play.world.now + LEASE_LIMIT)
    play.pass_time(LEASE_LIMIT)
    assert (play.state, play.link.status.attempt) == ("dialing", 1)
    told = [word[:2] for word in play.world.told if word[0] != "connected"]
    assert told == ([("disconnected", "suspended")] if state == "up" else [])


def test_who_is_awake_before_the_call_has_ended_dials_when_it_has() -> None:
    play = in_state("up")
    play.link.falls_asleep()
    play.link.is_awake()
    play.end(reasons.HANGUP)
    play.pass_time(LEASE_LIMIT)
    assert play.state == "dialing"


def test_who_is_awake_with_another_lease_need_not_wait_for_it() -> None:
    play = in_state("up")
    play.link.falls_asleep()
    play.end(reasons.HANGUP)
    play.link.is_awake()
    play.link.cable_changed(way_is_new=True)
    assert play.state == "dialing"


def test_who_dialed_on_the_old_lease_after_a_sleep_dials_anew_on_the_new_one() -> None:
    play = in_state("up")
    play.link.falls_asleep()
    play.end(reasons.HANGUP)
    play.link.is_awake()
    play.pass_time(LEASE_LIMIT)
    play.link.progress("connecting")
    play.link.cable_changed(way_is_new=True)
    play.end(reasons.REQUESTED)
    assert (play.state, play.world.dials) == ("dialing", 3)


def test_a_call_that_was_lost_to_a_sleep_waits_for_the_lease_too() -> None:
    play = in_state("up")
    play.pass_time(STABLE)
    play.end(reasons.SUSPENDED)
    assert (play.state, play.link.status.next_retry) == ("waiting", play.world.now + LEASE_LIMIT * (1 + SPREAD))


def test_a_drop_on_the_way_to_sleep_waits_until_after_it() -> None:
    play = in_state("up")
    play.link.lost()
    play.link.falls_asleep()
    play.end(reasons.HANGUP)
    assert (play.state, play.link.status.reason) == ("waiting", reasons.SUSPENDED)


def test_a_sleep_that_does_not_come_is_not_waited_for_long() -> None:
    play = in_state("up")
    play.link.falls_asleep()
    play.end(reasons.HANGUP)
    play.pass_time(AWAKE_LIMIT)
    assert play.state == "dialing"


def test_a_disconnect_before_a_sleep_holds_after_it() -> None:
    play = in_state("stopping")
    play.link.falls_asleep()
    play.end(reasons.HANGUP)
    play.link.is_awake()
    assert (play.state, play.link.status.reason) == ("down", reasons.REQUESTED)


def test_a_try_whose_time_has_passed_in_a_sleep_is_due() -> None:
    play = in_state("waiting")
    play.link.is_awake()
    assert play.state == "waiting"
    play.world.now += CAP
    play.link.is_awake()
    play.pass_time(LEASE_LIMIT)
    assert play.state == "dialing"


def test_a_sleep_that_nobody_told_is_not_the_providers_fault() -> None:
    play = in_state("up")
    play.link.has_slept()
    play.end(reasons.PATH_LOST)
    assert (play.state, play.link.status.next_retry) == ("waiting", play.world.now + LEASE_LIMIT)
    play.pass_time(LEASE_LIMIT)
    assert (play.state, play.world.records) == ("dialing", ["suspended"])


def test_a_call_that_was_dialed_by_hand_is_not_ours_to_hang_up() -> None:
    play = Play()
    play.adopt()
    play.link.answered("ppp0")
    play.link.falls_asleep()
    play.link.has_slept()
    assert (play.state, play.world.hang_ups) == ("up", 0)


def test_who_waits_does_not_dial_on_the_way_to_sleep() -> None:
    play = in_state("waiting")
    due = play.link.status.next_retry
    play.link.falls_asleep()
    play.world.now = due + 1  # others still keep the machine awake
    assert play.world.alarm is not None
    assert play.world.alarm > play.world.now
    play.link.cable_changed(way_is_new=True)
    assert play.state == "waiting"
    play.link.is_awake()
    play.link.cable_changed(way_is_new=True)
    assert play.state == "dialing"


def test_a_try_is_made_when_it_was_announced_although_timers_stood_still() -> None:
    play = in_state("waiting")
    play.link.falls_asleep()
    play.link.is_awake()
    assert (play.state, play.world.alarm) == ("waiting", play.link.status.next_retry)
