"""What pppd and pptp say becomes a phase, a fact or a reason."""

import pytest

from cablecar.helper import reasons
from cablecar.helper.pppd import Exit, Facts, classify
from cablecar.helper.reasons import Reason

# A call as pppd 2.4.9 and pptp 1.10.0 told it in the lab.
CALL = """\
Using interface ppp0
Connect: ppp0 <--> /dev/pts/1
anon log[ctrlp_disp:pptp_ctrl.c:781]: Received Start Control Connection Reply
anon log[ctrlp_disp:pptp_ctrl.c:815]: Client connection established.
anon log[ctrlp_disp:pptp_ctrl.c:938]: Outgoing call established (call ID 0, peer's call ID 0).
PAP authentication succeeded
local  IP address 100.64.0.10
remote IP address 192.0.2.1
primary   DNS address 198.51.100.53
secondary DNS address 198.51.100.54
"""


def test_a_call_is_followed() -> None:
    facts, seen = Facts(), []
    for line in CALL.splitlines():
        facts.read(line)
        seen.append((facts.phase, facts.is_up))
    assert [phase for phase, _ in seen] == ["connecting"] * 4 + ["authenticating"] + ["configuring"] * 5
    assert [is_up for _, is_up in seen] == [False] * 7 + [True] * 3
    assert (facts.interface, facts.local, facts.remote) == ("ppp0", "100.64.0.10", "192.0.2.1")
    assert facts.dns == ["198.51.100.53", "198.51.100.54"]


ROWS = [
    ("PAP authentication failed", reasons.AUTHENTICATION_FAILED),
    ("CHAP authentication failed", reasons.AUTHENTICATION_FAILED),
    ("MS-CHAP authentication failed: E=691 Authentication failure", reasons.AUTHENTICATION_FAILED),
    ("MS-CHAP authentication failed: E=647 Account disabled", reasons.ACCOUNT_REFUSED),
    ("PAP authentication failed due to protocol-reject", reasons.METHOD_REFUSED),
    ("MS-CHAPv2 mutual authentication failed", reasons.METHOD_REFUSED),
    ("MPPE required but peer refused", reasons.ENCRYPTION_MISMATCH),
    ("MPPE required, but kernel has no support.", reasons.NO_KERNEL_SUPPORT),
    ("Couldn't open the /dev/ppp device: No such file or directory", reasons.NO_KERNEL_SUPPORT),
    ("/usr/sbin/pppd: In file /etc/ppp/peers/x: unrecognized option 'foo'", reasons.BAD_CONFIGURATION),
    ("anon warn[open_inetsock:pptp_callmgr.c:346]: connect: Connection refused", reasons.SERVER_REFUSED),
    ("anon warn[open_inetsock:pptp_callmgr.c:346]: connect: No route to host", reasons.SERVER_UNREACHABLE),
    ("LCP: timeout sending Config-Requests", reasons.SERVER_UNREACHABLE),
    ("No response to 4 echo-requests", reasons.PATH_LOST),
    ("LCP terminated by peer (Session-Timeout)", reasons.TERMINATED_BY_PEER),
    ("LCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^BM-3)", reasons.AUTHENTICATION_FAILED),
    ("LCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^BM-f)", reasons.ENCRYPTION_MISMATCH),
    ("LCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^@^@)", reasons.TERMINATED_BY_PEER),
    ("Modem hangup", reasons.HANGUP),
    ("Terminating on signal 15", reasons.HUNG_UP_HERE),
    ("Serial line is looped back.", reasons.LOOP),
]


@pytest.mark.parametrize(("line", "reason"), ROWS, ids=[line for line, _ in ROWS])
def test_a_line_has_a_reason_whatever_the_exit_code_says(line: str, reason: Reason) -> None:
    assert classify([line, "Modem hangup", "Connection terminated."], Exit(code=16), False) is reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [(2, reasons.BAD_CONFIGURATION), (4, reasons.NO_KERNEL_SUPPORT), (9, reasons.PROGRAM_MISSING),
     (10, reasons.NEGOTIATION_FAILED), (15, reasons.PATH_LOST), (16, reasons.HANGUP),
     (19, reasons.AUTHENTICATION_FAILED), (99, reasons.FAILED)],
)  # fmt: skip
def test_without_a_word_the_exit_code_decides(code: int, reason: Reason) -> None:
    assert classify([], Exit(code=code), False) is reason


def test_a_killed_pppd_is_no_hangup_of_the_provider() -> None:
    assert classify(CALL.splitlines(), Exit(signal=9), False) is reasons.INTERRUPTED


def test_our_own_signal_explains_nothing() -> None:
    lines = ["Modem hangup", "Terminating on signal 15"]
    assert classify(lines, Exit(code=16), stopped_by_us=True) is reasons.HANGUP
    assert classify(lines[1:], Exit(code=5), stopped_by_us=False) is reasons.HUNG_UP_HERE


HOSTILE = [
    "Remote message: Using interface ppp7",
    "Remote message: local  IP address 10.0.0.1",
    "Remote message: unrecognized option 'x'",
    "Remote message: MPPE required, but kernel has no support",
    "LCP terminated by peer (Using interface ppp7)",
    "LCP terminated by peer (PAP authentication failed)",
    "LCP terminated by peer (Couldn't open the /dev/ppp device)",
    'rcvd [PAP AuthAck id=0x1 "anon log[x]: Outgoing call established"]',
]


@pytest.mark.parametrize("line", HOSTILE)
def test_what_the_server_says_is_not_taken_for_pppds_own_words(line: str) -> None:
    facts = Facts()
    facts.read(line)
    assert facts == Facts()
    lines = [line, "Modem hangup"]
    expected = reasons.TERMINATED_BY_PEER if line.startswith("LCP") else reasons.HANGUP
    assert classify(lines, Exit(code=16), False) is expected


def test_a_servers_error_code_is_understood() -> None:
    lines = ["Remote message: E=648 R=0 C=00 V=3 M=your password has expired", "CHAP authentication failed"]
    assert classify(lines, Exit(code=19), False) is reasons.ACCOUNT_REFUSED


def test_an_end_that_nobody_saw_has_a_reason_too() -> None:
    assert classify([], None, False) is reasons.FAILED
    assert classify(["Modem hangup"], None, False) is reasons.HANGUP


def test_silence_in_a_tunnel_that_was_accepted_is_blocked_gre() -> None:
    lines = [*CALL.splitlines()[:5], "LCP: timeout sending Config-Requests"]
    assert classify(lines, Exit(code=10), False) is reasons.GRE_BLOCKED
