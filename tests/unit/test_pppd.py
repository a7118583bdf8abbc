"""What pppd and pptp say becomes a phase, a fact or a reason."""

import re

import pytest
from hypothesis import given, strategies
from logtable import TABLE

from cablecar.helper import pppd, reasons
from cablecar.helper.pppd import Exit, Facts, classify, masked
from cablecar.helper.reasons import Reason

# A call as pppd 2.4.9 and pptp 1.10.0 told it in the lab.
CALL = """\
Using interface ppp0
Connect: ppp0 <--> /dev/pts/1
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
    assert [phase for phase, _ in seen] == ["connecting"] * 2 + ["configuring"] * 5
    assert [is_up for _, is_up in seen] == [False] * 4 + [True] * 3
    assert (facts.interface, facts.local, facts.remote) == ("ppp0", "100.64.0.10", "192.0.2.1")
    assert facts.dns == ["198.51.100.53", "198.51.100.54"]


# What the programs say, by the row of the table that it belongs to, and why the call is over then.
PPTP = "anon warn[somewhere:pptp.c:1]: "
XL2TPD = "xl2tpd[77]: "
UP = ["local  IP address 100.64.0.10", "remote IP address 192.0.2.1"]
ROWS: list[tuple[str, str | list[str], Reason]] = [
    ("1", PPTP + "connect: Connection refused", reasons.SERVER_REFUSED),
    ("2", PPTP + "connect: Network is unreachable", reasons.SERVER_UNREACHABLE),
    ("2", PPTP + "connect: No route to host", reasons.SERVER_UNREACHABLE),
    ("2", PPTP + "connect: Connection timed out", reasons.SERVER_UNREACHABLE),
    ("3", "anon fatal[get_ip_address:pptp.c:4]: getaddrinfo(): Name or service not known", reasons.SERVER_NOT_FOUND),
    ("3", PPTP + "getaddrinfo(): Temporary failure in name resolution", reasons.SERVER_NOT_FOUND),
    ("3", PPTP + "Host 'x' possesses no IPv4 address", reasons.SERVER_NOT_FOUND),
    ("5", "LCP: timeout sending Config-Requests", reasons.SERVER_UNREACHABLE),
    ("6", PPTP + "short read (-1): Protocol not available", reasons.SERVER_UNREACHABLE),
    ("7", PPTP + "short read (-1): Operation not permitted", reasons.LOCAL_FIREWALL),
    ("7", PPTP + "write error: Operation not permitted", reasons.LOCAL_FIREWALL),
    ("9", PPTP + "Result code is 1 'Lost Carrier'. Error code is 0, Cause code is 0", reasons.TERMINATED_BY_PEER),
    ("9", PPTP + "Result code is 2 'General Error'. Error code is 6, Cause code is 0", reasons.TERMINATED_BY_PEER),
    (
        "9",
        PPTP + "Result code is 3 'Administrative Shutdown'. Error code is 0, Cause code is 0",
        reasons.SERVER_SHUTDOWN,
    ),
    ("10", PPTP + "Our outgoing call request [callid 0] has not been accepted.", reasons.SERVER_BUSY),
    ("10", PPTP + "Reply result code is 4 'Busy Signal'. Error code is 0", reasons.SERVER_BUSY),
    ("10", PPTP + "Reply result code is 3 'No Carrier Detected'. Error code is 0", reasons.SERVER_BUSY),
    ("10", PPTP + "Reply result code is 5 'No Dial Tone'. Error code is 0", reasons.SERVER_BUSY),
    ("10", PPTP + "Reply result code is 6 'Time Out'. Error code is 0", reasons.SERVER_BUSY),
    (
        "10",
        [
            PPTP + "Our outgoing call request [callid 0] has not been accepted.",
            PPTP + "Reply result code is 7 'Not Accepted, Call is administratively prohibited'. Error code is 0",
        ],
        reasons.NOT_ADMITTED,
    ),
    ("10", PPTP + "Reply result code is 7 'Do Not Accept'. Error code is 0", reasons.NOT_ADMITTED),
    (
        "10.2",
        [
            "xl2tpd[7]: control_finish: No secret for authenticating to 'LNS'",
            "xl2tpd[7]: Connection 1 closed to 203.0.113.7, port 1701 (No secret key on our side)",
        ],
        reasons.NOT_ADMITTED,
    ),
    (
        "10.2",
        (
            "xl2tpd[7]: control_finish: Connection closed to 203.0.113.7, port 1701 (Invalid challenge "
            "authentication), Local: 1, Remote: 2"
        ),
        reasons.NOT_ADMITTED,
    ),
    ("11", PPTP + "Negative reply received to our Start Control Connection Request", reasons.SERVER_REFUSED),
    (
        "11",
        [
            PPTP + "Negative reply received to our Start Control Connection Request",
            PPTP + "Reply result code is 4 'Requester is not Authorized'. Error code is 0",
        ],
        reasons.NOT_ADMITTED,
    ),
    (
        "11",
        PPTP + "Reply result code is 3 'Command Channel Already Exists'. Error code is 0",
        reasons.ALREADY_CONNECTED,
    ),
    ("12", PPTP + "read returned zero, peer has closed", reasons.HANGUP),
    ("12", PPTP + "Received Stop Control Connection Request.", reasons.TERMINATED_BY_PEER),
    (
        "15",
        PPTP + "transmitted GRE packet triggered an ICMP destination unreachable, fragmentation needed, or exceeds "
        "the MTU of the network interface",
        reasons.MTU_TOO_LARGE,
    ),
    ("16", "PAP authentication failed", reasons.AUTHENTICATION_FAILED),
    ("16", ["EAP: peer reports authentication failure", "Modem hangup"], reasons.AUTHENTICATION_FAILED),
    (
        "16",
        ["MS-CHAP authentication failed: E=647 Account disabled", "EAP: peer reports authentication failure"],
        reasons.ACCOUNT_DISABLED,
    ),
    ("17", "EAP: timeout waiting for Request from peer", reasons.AUTHENTICATION_TIMEOUT),
    ("17", "No response to PAP authenticate-requests", reasons.AUTHENTICATION_TIMEOUT),
    ("18", "CHAP authentication failed", reasons.AUTHENTICATION_FAILED),
    ("18", "MS-CHAP authentication failed: E=691 Authentication failure", reasons.AUTHENTICATION_FAILED),
    ("18", "Unknown MS-CHAP authentication failure: E=691 R=1 C=6058 V=3", reasons.AUTHENTICATION_FAILED),
    ("19", "MS-CHAP authentication failed: E=646 Restricted logon hours", reasons.LOGON_HOURS),
    (
        "19",
        ["Remote message: You are calling outside your allowed timespan", "PAP authentication failed"],
        reasons.LOGON_HOURS,
    ),
    ("20", "MS-CHAP authentication failed: E=647 Account disabled", reasons.ACCOUNT_DISABLED),
    ("21", "MS-CHAP authentication failed: E=648 Password expired", reasons.PASSWORD_EXPIRED),
    ("21", "MS-CHAP authentication failed: E=709 Error changing password", reasons.PASSWORD_EXPIRED),
    ("22", "MS-CHAP authentication failed: E=649 No dialin permission", reasons.ACCOUNT_REFUSED),
    (
        "22",
        ["Unknown MS-CHAP authentication failure: E=649 R=0", "CHAP authentication failed"],
        reasons.ACCOUNT_REFUSED,
    ),
    (
        "23",
        ['No CHAP secret found for authenticating us to "x"', "CHAP authentication failed"],
        reasons.NO_PASSWORD,
    ),
    ("23", "No secret found for PAP login", reasons.NO_PASSWORD),
    ("23", "no PAP secret found for x", reasons.NO_PASSWORD),
    ("24", "peer refused to authenticate: terminating link", reasons.PEER_NOT_AUTHENTICATED),
    ("25", "No auth is possible", reasons.METHOD_REFUSED),
    ("26", "eap required to authenticate us but no suitable secrets", reasons.METHOD_REFUSED),
    ("27", "MPPE required but peer negotiation failed", reasons.ENCRYPTION_MISMATCH),
    ("27", "MPPE required but peer refused", reasons.ENCRYPTION_MISMATCH),
    ("28", "MPPE required, but MS-CHAP[v2] auth not performed.", reasons.ENCRYPTION_MISMATCH),
    ("28", "MPPE required, but MS-CHAP[v2] nor EAP-TLS auth are performed.", reasons.ENCRYPTION_MISMATCH),
    ("29", "MPPE required, but kernel has no support.", reasons.NO_KERNEL_SUPPORT),
    ("29", "MPPE required but not available in kernel", reasons.NO_KERNEL_SUPPORT),
    ("30", [*UP, "Too many MPPE errors, closing LCP"], reasons.ENCRYPTION_LOST),
    ("30", [*UP, "Lost compression sync: disabling compression"], reasons.ENCRYPTION_LOST),
    (
        "31",
        [*UP, *["Protocol-Reject for unsupported protocol 0x73b1"] * 5, "Connect time 0.4 minutes."],
        reasons.ENCRYPTION_MISMATCH,
    ),
    (
        "32",
        [*UP, *["Unsupported protocol 0x3a5d received"] * 5, "Connect time 0.4 minutes."],
        reasons.ENCRYPTION_MISMATCH,
    ),
    ("33", "Serial line is looped back.", reasons.LOOPBACK),
    ("35", [*UP, "Sent 39058515 bytes, received 0 bytes."], reasons.LOOP),
    ("36", [*UP, "No response to 4 echo-requests"], reasons.PATH_LOST),
    ("36", [*UP, "Serial link appears to be disconnected."], reasons.PATH_LOST),
    ("37", [*UP, "LCP terminated by peer"], reasons.TERMINATED_BY_PEER),
    ("37", [*UP, "LCP terminated by peer (Have a nice day)"], reasons.TERMINATED_BY_PEER),
    ("37", [*UP, "LCP terminated by peer (Session-Timeout)"], reasons.SESSION_LIMIT),
    ("37", "LCP terminated by peer (Failed to authenticate ourselves to peer)", reasons.AUTHENTICATION_FAILED),
    ("37", "LCP terminated by peer (simultaneous use)", reasons.ALREADY_CONNECTED),
    ("37", "LCP terminated by peer (peer refused to authenticate)", reasons.METHOD_REFUSED),
    ("37", "LCP terminated by peer (MPPE required but peer refused)", reasons.ENCRYPTION_REQUIRED),
    ("38", [*UP, "Modem hangup"], reasons.HANGUP),
    ("39", [*UP, "Hangup (SIGHUP)"], reasons.HUNG_UP_HERE),
    ("39", [*UP, "Terminating on signal 15"], reasons.HUNG_UP_HERE),
    ("40", "Peer refused to agree to our IP address", reasons.ADDRESS_REFUSED),
    ("40", "Peer refused to agree to his IP address", reasons.ADDRESS_REFUSED),
    ("42", "Could not determine local IP address", reasons.NO_ADDRESS),
    ("46", "Can't safely use /etc/ppp/options (not owned by root)", reasons.UNSAFE_FILE),
    ("46", "/usr/sbin/pppd: Can't safely use /etc/ppp/x (group or other writable)", reasons.UNSAFE_FILE),
    ("47", "/usr/sbin/pppd: In file /etc/ppp/peers/x: unrecognized option 'foo'", reasons.BAD_CONFIGURATION),
    ("47", "pppd: unrecognized option 'foo'", reasons.BAD_CONFIGURATION),
    ("47", "pppd: In file /etc/ppp/peers/x: unrecognized option 'nic-usb0'", reasons.NO_CABLE),
    ("48", "Couldn't open the /dev/ppp device: No such file or directory", reasons.NO_KERNEL_SUPPORT),
    ("48", "This system lacks kernel support for PPP.", reasons.NO_KERNEL_SUPPORT),
    ("48", "Failed to create PPPoE socket: Address family not supported by protocol", reasons.NO_KERNEL_SUPPORT),
    ("48", "Failed to create PPPoE socket: Protocol not supported", reasons.NO_KERNEL_SUPPORT),
    ("49", "Couldn't set tty to PPP discipline: Invalid argument", reasons.NO_KERNEL_SUPPORT),
    ("49", "Couldn't get channel number: Invalid argument", reasons.NO_KERNEL_SUPPORT),
    ("50", "/usr/sbin/pppd: Couldn't load plugin pppoe.so", reasons.PLUGIN_MISSING),
    ("51", "Interface index 7 failed to get renamed by a pre-up script", reasons.INTERFACE_NAME),
    ("51", "Couldn't rename interface ppp0 to wan: File exists", reasons.INTERFACE_NAME),
    ("52", "Failed to create pid file /run/ppp0.pid: Read-only file system", reasons.UNWRITABLE_FILE),
    ("52", "Failed to create /etc/ppp/resolv.conf: Read-only file system", reasons.UNWRITABLE_FILE),
    ("53", [*UP, "Connect time expired"], reasons.TIME_LIMIT),
    ("53", [*UP, "Terminating connection due to lack of activity."], reasons.IDLE),
    ("53", [*UP, "Traffic limit reached. Limit: 10 Used: 11"], reasons.TRAFFIC_LIMIT),
    ("54", XL2TPD + "Maximum retries exceeded for tunnel 7.  Closing.", reasons.L2TP_NO_ANSWER),
    ("55", [*UP, XL2TPD + "Can not find tunnel 7 (refhim=0)"], reasons.L2TP_CALL_LOST),
    ("55", XL2TPD + "network_thread: unable to find call or tunnel to handle packet.", reasons.L2TP_CALL_LOST),
    ("-", "PPPoL2TP kernel driver not installed", reasons.NO_KERNEL_SUPPORT),
    (
        "57",
        XL2TPD + "init_network: Unable to bind socket: Address already in use. Terminating.",
        reasons.L2TP_PORT_IN_USE,
    ),
    ("57", XL2TPD + "Unable to bind UDP socket: Address in use. Terminating.", reasons.L2TP_PORT_IN_USE),
    ("58", XL2TPD + "Host name lookup failed for x.", reasons.SERVER_NOT_FOUND),
    ("60", ["Timeout waiting for PADO packets", "Unable to complete PPPoE Discovery"], reasons.NO_CONCENTRATOR),
    ("60", "Unable to complete PPPoE Discovery phase 1", reasons.NO_CONCENTRATOR),
    ("60", "Can't get MTU for usb0: No such device", reasons.NO_CABLE),
    ("60", "Can't get hardware address for usb0: No such device", reasons.NO_CABLE),
    ("60", "Could not get interface index for usb0: No such device", reasons.NO_CABLE),
    ("60", "Failed to bind to interface usb0: No such device", reasons.NO_CABLE),
    ("61", ["PPP session is 7", "PAP authentication succeeded", "LCP terminated by peer"], reasons.ALREADY_CONNECTED),
    (
        "61",
        ["PPP session is 7", "PAP authentication succeeded", *UP, "Connect time 0.0 minutes.", "Sent PADT"],
        reasons.ALREADY_CONNECTED,
    ),
    ("10.1", ["MS-CHAPv2 mutual authentication failed.", "CHAP authentication failed"], reasons.SERVER_NOT_GENUINE),
    ("10.1", "PAP authentication failed due to protocol-reject", reasons.METHOD_REFUSED),
    ("10.1", "CHAP authentication failed due to protocol-reject", reasons.METHOD_REFUSED),
    ("10.1", "MPPE required, but auth done in both directions.", reasons.ENCRYPTION_MISMATCH),
    ("10.1", "MPPE required, but keys are not available.  Possible plugin problem?", reasons.ENCRYPTION_MISMATCH),
    ("10.1", "MPPE required, but both 40-bit and 128-bit disabled.", reasons.ENCRYPTION_MISMATCH),
    ("10.1", ["Timeout waiting for PADS packets", "Unable to complete PPPoE Discovery"], reasons.NO_SESSION),
    ("10.1", "Unable to complete PPPoE Discovery phase 2", reasons.NO_SESSION),
    ("10.1", [*UP, PPTP + "closing control connection due to missing echo reply"], reasons.PATH_LOST),
    ("10.1", PPTP + "Call manager for 192.0.2.1 is already running.", reasons.EARLIER_CALL),
    ("10.2", [*UP, "LCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^@^@)"], reasons.TERMINATED_BY_PEER),
    ("10.2", "LCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^BM-3)", reasons.AUTHENTICATION_FAILED),
    ("10.2", "LCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^BM-f)", reasons.ENCRYPTION_REQUIRED),
    ("10.2", "LCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^C,)", reasons.METHOD_REFUSED),
    ("10.2", 'LCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^CM-")', reasons.AUTHENTICATION_TIMEOUT),
    ("10.2", "LCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^CM-.)", reasons.TERMINATED_BY_PEER),
    ("10.2", "CCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^BM-\\)", reasons.ENCRYPTION_MISMATCH),
    (
        "10.2",
        [
            r'rcvd [LCP TermReq id=0x3 "\001\000<\37777777715t\000\000\002\37777777663"]',
            "LCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^BM-3)",
        ],
        reasons.AUTHENTICATION_FAILED,
    ),
    ("-", "/bin/sh: 1: /usr/sbin/pptp: not found", reasons.PROGRAM_MISSING),
    ("-", "Device ttyS0 is locked by pid 7", reasons.DEVICE_LOCKED),
    ("-", "No network protocols running", reasons.NEGOTIATION_FAILED),
]
BELOW_XL2TPD = XL2TPD + "child_handler : pppd exited for call 7 with code 15"
AFTERWARDS = ["Modem hangup", "Connection terminated.", "Exit."]

# What is said in a call that goes on, or because it is over already.
HARMLESS: list[tuple[str, str]] = [
    ("4", PPTP + "Could not open control connection to 192.0.2.1"),
    ("4", "anon fatal[main:pptp.c:9]: Call manager exited with error 256"),
    ("8", PPTP + "short read (-1): Input/output error"),
    ("8", PPTP + "pppd may have shutdown, see pppd log"),
    ("9", PPTP + "Closing connection (unhandled)"),
    ("9", PPTP + "Closing connection (call state)"),
    ("9", PPTP + "Closing connection (shutdown)"),
    ("9", PPTP + "Call disconnect notification received (call id 0)"),
    ("9", PPTP + "Result code is 4 '(your) Request'. Error code is 0, Cause code is 0"),
    ("13", PPTP + "buffering packet 7 (expecting 6, lost or reordered)"),
    ("13", PPTP + "buffering out-of-order packet 7"),
    ("13", PPTP + "discarding duplicate or old packet 6 (expecting 7)"),
    ("13", PPTP + "discarding bogus packet 6 (expecting 7)"),
    ("14", PPTP + "Non-zero Async Control Character Maps are not supported!"),
    ("31", "Protocol-Reject for 'Compression Control Protocol' (0x80fd) received"),
    ("32", "Unsupported protocol 'IPv6 Control Protocol' (0x8057) received"),
    ("41", "Could not determine remote IP address: defaulting to 10.64.64.64"),
    ("43", "Local IP address changed to 100.64.0.11"),
    ("44", "not replacing existing default route via 192.0.2.254"),
    ("44", "not replacing default route to eth0 [192.0.2.254]"),
    ("45", "replacedefaultroute and noreplacedefaultroute options no longer have any effect"),
    ("49", "Couldn't get channel number: Input/output error"),
    # xl2tpd carries the packets itself then; where pppd lacks a part of the kernel as well, it says so itself.
    ("56", XL2TPD + "L2TP kernel support not detected (try modprobing l2tp_ppp and pppol2tp)"),
    ("59", XL2TPD + "call_close: Call 7 to 192.0.2.1 disconnected"),
    ("61", "Sent PADT"),
    ("62", "dhclient[9]: DHCP lease lost"),
    ("10.1", "Waiting for 2 child processes..."),
    ("10.1", "  script /etc/ppp/ip-down, pid 8"),
]


def in_a_list(lines: str | list[str]) -> list[str]:
    return [lines] if isinstance(lines, str) else lines


@pytest.mark.parametrize(("row", "lines", "reason"), ROWS, ids=[f"{row}-{said}" for row, said, _ in ROWS])
def test_a_line_has_a_reason_whatever_the_exit_code_says(row: str, lines: str | list[str], reason: Reason) -> None:
    assert classify([*in_a_list(lines), *AFTERWARDS], Exit(code=16)) is reason


@pytest.mark.parametrize(
    "line", ["LCP: timeout sending Config-Requests", PPTP + "short read (-1): Protocol not available"]
)
def test_silence_in_the_tunnel_of_a_server_that_answers_is_blocked_gre(line: str) -> None:
    assert classify([line, *AFTERWARDS], Exit(code=16), answered=True) is reasons.GRE_BLOCKED
    assert classify([line, *AFTERWARDS], Exit(code=16)) is reasons.SERVER_UNREACHABLE


@pytest.mark.parametrize(("row", "line"), HARMLESS)
def test_a_harmless_line_is_no_reason(row: str, line: str) -> None:
    assert classify([line], None) is reasons.FAILED
    assert classify([*UP, line, *AFTERWARDS], Exit(code=16)) is reasons.HANGUP
    for _, lines, reason in ROWS:
        assert classify([line, *in_a_list(lines), line, *AFTERWARDS], Exit(code=16)) is reason


@pytest.mark.parametrize(("row", "pattern"), TABLE)
def test_every_row_of_the_table_is_fed(row: str, pattern: str) -> None:
    fed = [*((label, lines) for label, lines, _ in ROWS), *HARMLESS, ("59", BELOW_XL2TPD)]
    assert any(re.search(pattern, line) for label, lines in fed if label == row for line in in_a_list(lines))


def test_no_row_is_fed_that_is_not_in_the_table() -> None:
    assert {row for row, *_ in [*ROWS, *HARMLESS]} == {row for row, _ in TABLE} | {"-"}


def test_every_reason_that_a_call_can_end_for_is_shown_here() -> None:
    shown = {reason for _, _, reason in ROWS} | set(EXITS.values()) | {reasons.INTERRUPTED, reasons.GRE_BLOCKED}
    # These are known before a call, or by the clock.
    assert set(reasons.ALL) - shown == {
        reasons.NONE,
        reasons.REQUESTED,
        reasons.TIMED_OUT,
        reasons.SUSPENDED,
        reasons.ADDRESS_TAKEN,
        reasons.SERVER_IMPLAUSIBLE,
        reasons.FOREIGN_PEER_FILE,
        reasons.STORAGE,
    }


ABOUT_THIS_MACHINE = {
    reasons.BAD_CONFIGURATION,
    reasons.INTERFACE_NAME,
    reasons.NO_KERNEL_SUPPORT,
    reasons.PLUGIN_MISSING,
    reasons.PROGRAM_MISSING,
    reasons.UNSAFE_FILE,
    reasons.UNWRITABLE_FILE,
}
SAID_EARLY = [said for row, said, reason in ROWS if reason in ABOUT_THIS_MACHINE and row != "29"]


@pytest.mark.parametrize("said", SAID_EARLY)
def test_a_call_that_came_up_did_not_end_for_what_was_said_before(said: str | list[str]) -> None:
    assert classify([*in_a_list(said), *UP, *AFTERWARDS], Exit(code=16)) is reasons.HANGUP


def test_a_long_call_came_up_even_if_its_first_lines_are_gone() -> None:
    lines = ["Can't safely use /etc/ppp/ip-down (not owned by root)", "Connect time 600.0 minutes.", *AFTERWARDS]
    assert classify(lines, Exit(code=16)) is reasons.HANGUP


@pytest.mark.parametrize(
    ("minutes", "noise", "reason"),
    [("4.9", 5, reasons.ENCRYPTION_MISMATCH), ("5.0", 5, reasons.HANGUP), ("4.9", 4, reasons.HANGUP)],
)
def test_only_a_burst_in_a_short_call_shows_one_sided_encryption(minutes: str, noise: int, reason: Reason) -> None:
    flood = ["Protocol-Reject for unsupported protocol 0x73b1"] * noise
    lines = [*UP, *flood, f"Connect time {minutes} minutes.", *AFTERWARDS]
    assert classify(lines, Exit(code=16)) is reason
    assert classify([*UP, *flood, *AFTERWARDS], Exit(code=16)) is reasons.HANGUP


def test_a_pppoe_session_that_lasted_is_not_one_too_many() -> None:
    lines = ["PPP session is 7", "PAP authentication succeeded", *UP, "LCP terminated by peer"]
    for minutes in ("0.1", "600.0"):
        ended = [*lines, f"Connect time {minutes} minutes.", "Sent PADT"]
        assert classify(ended, Exit(code=16)) is reasons.TERMINATED_BY_PEER


def test_compression_that_ended_does_not_explain_a_call_that_was_up() -> None:
    lines = [*UP, "CCP terminated by peer (^Ag^PM-^F^@<M-Mt^@^@^BM-\\)", *AFTERWARDS]
    assert classify(lines, Exit(code=16)) is reasons.HANGUP


# Section 3: every exit code, and whether it is pointless to dial again.
EXITS = {
    0: reasons.TERMINATED_BY_PEER,
    1: reasons.FAILED,
    2: reasons.BAD_CONFIGURATION,
    3: reasons.NO_PRIVILEGE,
    4: reasons.NO_KERNEL_SUPPORT,
    5: reasons.HUNG_UP_HERE,
    6: reasons.DEVICE_LOCKED,
    7: reasons.FAILED,
    8: reasons.FAILED,
    9: reasons.PROGRAM_MISSING,
    10: reasons.NEGOTIATION_FAILED,
    11: reasons.PEER_NOT_AUTHENTICATED,
    12: reasons.IDLE,
    13: reasons.TIME_LIMIT,
    14: reasons.NEGOTIATION_FAILED,
    15: reasons.PATH_LOST,
    16: reasons.HANGUP,
    17: reasons.LOOPBACK,
    18: reasons.BAD_CONFIGURATION,
    19: reasons.AUTHENTICATION_FAILED,
    20: reasons.TRAFFIC_LIMIT,
    21: reasons.PEER_NOT_AUTHENTICATED,
    99: reasons.FAILED,
}
POINTLESS = {2, 3, 4, 5, 6, 9, 11, 12, 17, 18, 19, 20, 21}


@pytest.mark.parametrize(("code", "reason"), EXITS.items())
def test_without_a_word_the_exit_code_decides(code: int, reason: Reason) -> None:
    assert classify([], Exit(code=code)) is reason
    assert reason.retry == (code not in POINTLESS)


def test_below_xl2tpd_the_code_is_pppds() -> None:
    lines = [BELOW_XL2TPD, XL2TPD + "call_close: Call 7 disconnected"]
    assert classify(lines, Exit(code=0)) is reasons.PATH_LOST
    assert classify([*lines, "LCP terminated by peer"], Exit(code=0)) is reasons.TERMINATED_BY_PEER


def test_pauses_are_those_that_the_table_asks_for() -> None:
    paused = {reason: reason.pause for reason in reasons.ALL if reason.pause}
    assert paused == {
        reasons.STORAGE: 60.0,
        reasons.ALREADY_CONNECTED: 60.0,
        reasons.GRE_BLOCKED: 60.0,
        reasons.LOGON_HOURS: 1800.0,
        reasons.NOT_ADMITTED: 60.0,
        reasons.SERVER_BUSY: 30.0,
    }
    assert all(reason.retry for reason in paused)


def test_a_killed_pppd_is_no_hangup_of_the_provider() -> None:
    assert classify(CALL.splitlines(), Exit(signal=9)) is reasons.INTERRUPTED


def test_our_own_signal_explains_nothing() -> None:
    lines = ["Modem hangup", "Terminating on signal 15"]
    assert classify(lines, Exit(code=16), stopped_by_us=True) is reasons.HANGUP
    assert classify(lines[1:], Exit(code=5), stopped_by_us=True) is reasons.FAILED
    assert classify(lines[1:], Exit(code=5), stopped_by_us=False) is reasons.HUNG_UP_HERE


HOSTILE = [
    "Remote message: Using interface ppp7",
    "Remote message: local  IP address 10.0.0.1",
    "Remote message: unrecognized option 'x'",
    "Remote message: MPPE required, but kernel has no support",
    "LCP terminated by peer (Using interface ppp7)",
    "LCP terminated by peer (PAP authentication failed)",
    "LCP terminated by peer (Couldn't open the /dev/ppp device)",
    'rcvd [PAP AuthAck id=0x1 "Using interface ppp8"]',
]


@pytest.mark.parametrize("line", HOSTILE)
def test_what_the_server_says_is_not_taken_for_pppds_own_words(line: str) -> None:
    facts = Facts()
    facts.read(line)
    assert facts == Facts()
    lines = [line, "Modem hangup"]
    expected = reasons.TERMINATED_BY_PEER if line.startswith("LCP") else reasons.HANGUP
    assert classify(lines, Exit(code=16)) is expected


# What the server says is understood where pppd says that it refused or ended, and nowhere else.
SERVERS_WORDS = [
    ("E=646 R=0 C=00 V=3", reasons.LOGON_HOURS),
    ("E=647 R=0 M=call us", reasons.ACCOUNT_DISABLED),
    ("Your account is suspended.", reasons.ACCOUNT_DISABLED),
    ("E=648 R=0 C=00 V=3 M=your password has expired", reasons.PASSWORD_EXPIRED),
    ("E=649 R=0", reasons.ACCOUNT_REFUSED),
    ("E=691 R=1", reasons.AUTHENTICATION_FAILED),
    ("Request Denied", reasons.AUTHENTICATION_FAILED),
    ("You are already logged in - access denied", reasons.ALREADY_CONNECTED),
    ("Simultaneous use of the account", reasons.ALREADY_CONNECTED),
    ("Login incorrect", reasons.AUTHENTICATION_FAILED),
    ("XE=6470 E=64", reasons.AUTHENTICATION_FAILED),
]


@pytest.mark.parametrize(("words", "reason"), SERVERS_WORDS)
def test_a_servers_answer_says_why_the_login_was_refused(words: str, reason: Reason) -> None:
    for lines in (
        [f"Remote message: {words}", "PAP authentication failed"],
        [f"CHAP authentication failed: {words}", "CHAP authentication failed"],
        [f"MS-CHAP authentication failed: {words}", "CHAP authentication failed"],
        [f"Unknown MS-CHAP authentication failure: {words}", "CHAP authentication failed"],
    ):
        assert classify([*lines, *AFTERWARDS], Exit(code=19)) is reason


@pytest.mark.parametrize("words", [words for words, _ in SERVERS_WORDS])
def test_a_greeting_is_no_reason(words: str) -> None:
    for lines in (
        [f"Remote message: {words}", "PAP authentication succeeded"],
        [f"CHAP authentication succeeded: {words}", "CHAP authentication succeeded"],
    ):
        assert classify([*lines, *UP, *AFTERWARDS], Exit(code=16)) is reasons.HANGUP
        ended = [*lines, *UP, "LCP terminated by peer", *AFTERWARDS]
        assert classify(ended, Exit(code=16)) is reasons.TERMINATED_BY_PEER


@pytest.mark.parametrize("said", [said for _, said, _ in ROWS if isinstance(said, str)])
def test_the_server_cannot_speak_for_this_machine(said: str) -> None:
    # Its words about a login or an end may be believed as its own; never as those of pppd, pptp or the kernel.
    refused = {reasons.AUTHENTICATION_FAILED, reasons.TERMINATED_BY_PEER, *(reason for _, reason in SERVERS_WORDS)}
    refused |= {reasons.METHOD_REFUSED, reasons.ENCRYPTION_REQUIRED, reasons.SESSION_LIMIT}
    refused.add(reasons.AUTHENTICATION_TIMEOUT)
    for line in (
        f"Remote message: {said}",
        f"CHAP authentication failed: {said}",
        f"LCP terminated by peer ({said})",
    ):
        for ending in (["PAP authentication failed"], ["LCP terminated by peer"]):
            assert classify([line, *ending, *AFTERWARDS], Exit(code=16)) in refused
    for line in (
        f'rcvd [LCP TermReq id=0x2 "{said}"]',
        f"Access-Concentrator: {said}",
        f"IPCP terminated by peer ({said})",
    ):
        assert classify([line, *AFTERWARDS], Exit(code=16)) is reasons.HANGUP


def test_an_end_that_nobody_saw_has_a_reason_too() -> None:
    assert classify([], None) is reasons.FAILED
    assert classify(["Modem hangup"], None) is reasons.HANGUP
    assert classify([PPTP + "read returned zero, peer has closed"], None) is reasons.HANGUP


def test_the_log_of_an_earlier_call_does_not_count() -> None:
    lines = [
        "Using interface ppp0",
        "PAP authentication failed",
        "Exit.",
        "Using interface ppp0",
        "No response to 4 echo-requests",
    ]
    assert classify(lines, Exit(code=15)) is reasons.PATH_LOST
    assert classify(lines[:4], Exit(code=15)) is reasons.PATH_LOST


def test_what_pptp_says_before_pppd_counts() -> None:
    lines = [PPTP + "connect: Connection refused", "Using interface ppp0", "Modem hangup"]
    assert classify(lines, Exit(code=16)) is reasons.SERVER_REFUSED


def test_a_new_call_begins_with_no_facts_but_its_interface() -> None:
    facts = Facts()
    for line in CALL.splitlines():
        facts.read(line)
    assert facts.is_up
    facts.read("Using interface ppp7")
    assert (facts.interface, facts.local, facts.method, facts.is_up) == ("ppp7", "", "", False)


@pytest.mark.parametrize(
    ("line", "method"),
    [
        ("PAP authentication succeeded", "pap"),
        ("CHAP authentication succeeded", "chap"),
        ("CHAP authentication succeeded: PAP authentication succeeded", "chap"),
        ("PAP peer authentication succeeded for x", ""),
        ("Remote message: PAP authentication succeeded", ""),
        ("CHAP authentication failed: PAP authentication succeeded", ""),
    ],
)
def test_the_method_that_succeeded_is_known(line: str, method: str) -> None:
    facts = Facts()
    facts.read(line)
    assert facts.method == method


def test_pppd_counts_at_the_end() -> None:
    facts = Facts()
    for line in [*CALL.splitlines(), "Connect time 2.4 minutes.", "Sent 18446744073709551615 bytes, received 7 bytes."]:
        facts.read(line)
    assert (facts.sent, facts.received) == (2**64 - 1, 7)


@given(
    strategies.lists(
        strategies.sampled_from(
            [
                *CALL.splitlines(),
                "Using interface ppp7",
                "Using interface home",
                "CHAP authentication succeeded",
                "local  IP address 100.64.0.99",
                "primary   DNS address 198.51.100.99",
                "Sent 1 bytes, received 2 bytes.",
                "PPP session is 7",
                "Connected to 02:00:00:00:00:02 via interface eth0",
                "Sent PADT",
                "PADO: Generic-Error: no",
                "noise",
            ]
        ),
        max_size=60,
    )
)
def test_the_lines_kept_tell_the_same_facts_again(lines: list[str]) -> None:
    facts, again = Facts(), Facts()
    for line in lines:
        facts.read(line)
    for line in facts.lines:
        again.read(line)
    assert again == facts
    assert len(facts.lines) <= 11, "a server that negotiates for ever must not fill the memory"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            'sent [PAP AuthReq id=0x1 user="me@C012" password="s\\"cret"]',
            'sent [PAP AuthReq id=0x1 user="me@C012" password=<hidden>]',
        ),
        (
            r'sent [PAP AuthReq user="\" password=\"" password="cut sho',
            r'sent [PAP AuthReq user="\" password=\"" password=<hidden>',
        ),
        (
            'sent [CHAP Response id=0x1 <00c0ffee>, name = "me"]',
            'sent [CHAP Response id=0x1 <hidden>, name = "me"]',
        ),
        (
            'sent [EAP Response id=0x2 MD5-Challenge <Value00c0ffee> <Name "me">]',
            'sent [EAP Response id=0x2 MD5-Challenge <hidden> <Name "me">]',
        ),
        (
            'sent [EAP Response id=0x2 len=61 MSCHAPv2 Response msid=2 mslen=56 chlen=49 <00c0ffee>, <Name "me">]',
            'sent [EAP Response id=0x2 len=61 MSCHAPv2 Response msid=2 mslen=56 chlen=49 <hidden>, <Name "me">]',
        ),
        ('sent [EAP Response id=0x1 len=7 Identity <Name "me">]',) * 2,
        (
            'sent [PAP AuthReq id=0x1 user="me" password=<hidden>]',
            'sent [PAP AuthReq id=0x1 user="me" password=<hidden>]',
        ),
        (
            "MS-CHAP authentication failed: E=648 Password expired",
            "MS-CHAP authentication failed: E=648 Password expired",
        ),
    ],
)
def test_secrets_are_masked(line: str, shown: str) -> None:
    assert masked(line) == shown


PPPOE = [
    "PPP session is 7",
    "Connected to 02:00:00:00:00:02 via interface eth0",
    *CALL.replace("/dev/pts/1", "eth0").splitlines(),
]
UP_ON_ETH0 = ["Using interface eth0", "local  IP address 10.20.30.145", "remote IP address 10.20.30.1"]
# All that any station of the Ethernet can have in the log before its plugin has a session, each with a line break.
STRANGERS = [
    "PADO: Generic-Error: x",
    "PADO: Service-Name-Error: ",
    "PADO: System-Error: x",
    "PADS: Generic-Error: x",
    "PADS: Service-Name: 'x",
    "Access-Concentrator: x",
    "Service-Name: x",
    "Recv PPPOE Discovery V1T1 PADO session 0x0 length 90",
]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_cannot_have_a_call_be_up(stranger: str) -> None:
    facts = Facts()
    for line in [stranger, *UP_ON_ETH0]:
        facts.read(line)
    assert (facts.is_up, facts.claim) == (False, ("eth0", "10.20.30.145", "10.20.30.1"))
    for line in PPPOE:
        facts.read(line)
    # The session may be of the stranger's making, too.
    assert (facts.is_up, facts.claim) == (False, ("ppp0", "100.64.0.10", "192.0.2.1"))
    facts.believe()
    assert (facts.is_up, facts.claim, facts.dns) == (True, None, ["198.51.100.53", "198.51.100.54"])


@pytest.mark.parametrize("name", ["eth0", "home", "pppx", "ppp0.7"])
def test_an_interface_of_another_name_is_the_kernels_to_judge(name: str) -> None:
    facts = Facts()
    for line in [f"Using interface {name}", *UP]:
        facts.read(line)
    assert (facts.is_up, facts.claim) == (False, (name, "100.64.0.10", "192.0.2.1"))
    facts.believe()
    assert (facts.is_up, facts.claim) == (True, None)


def test_where_no_stranger_has_spoken_pppd_is_believed() -> None:
    facts = Facts()
    for line in PPPOE:
        facts.read(line)
    assert (facts.is_up, facts.claim) == (True, None)


FORGED = [
    "PAP authentication failed",
    "Terminating on signal 15",
    "MPPE required",
    "Sent 99999999 bytes, received 0 bytes.",
]
LOST = ["No response to 4 echo-requests", "Serial link appears to be disconnected.", "Connect time 55.0 minutes."]


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize(
    "forged", [FORGED, ["Using interface ppp0", *FORGED], ["PPP session is 9", *UP_ON_ETH0, *FORGED]]
)
@pytest.mark.parametrize(
    ("lines", "ended", "was_up", "reason"),
    [
        ([*PPPOE, *LOST], Exit(code=15), True, reasons.PATH_LOST),
        ([*PPPOE, *LOST], None, True, reasons.PATH_LOST),
        ([*PPPOE, "Terminating on signal 15"], Exit(code=5), True, reasons.HUNG_UP_HERE),
        ([*PPPOE[:4], "PAP authentication failed"], Exit(code=19), False, reasons.AUTHENTICATION_FAILED),
        ([*PPPOE[:4], "LCP terminated by peer (session-timeout)"], Exit(code=0), False, reasons.SESSION_LIMIT),
        (["Timeout waiting for PADS packets", "Unable to complete PPPoE Discovery"], Exit(code=8), False,
         reasons.NO_SESSION),
    ],
)  # fmt: skip
def test_a_stranger_cannot_say_why_a_call_is_over(
    stranger: str, forged: list[str], lines: list[str], ended: Exit | None, was_up: bool, reason: Reason
) -> None:
    assert classify([stranger, *forged, *lines], ended, was_up=was_up) is reason


def test_a_stranger_who_refuses_is_no_concentrator() -> None:
    lines = [
        "PADO: Generic-Error: x",
        *FORGED,
        "Timeout waiting for PADO packets",
        "Unable to complete PPPoE Discovery",
    ]
    assert classify(lines, Exit(code=8)) is reasons.NO_CONCENTRATOR


@pytest.mark.parametrize("debug", [[], ["using channel 3"]])
def test_what_was_said_before_the_session_is_no_part_of_the_call(debug: list[str]) -> None:
    lines = ["Timeout waiting for PADO packets", *PPPOE[:2], *debug, *PPPOE[2:]]
    assert pppd.last_call(lines) == lines[1:]
