"""What pppd, pptp, xl2tpd and the provider's server say, put into a link's phases, facts and reasons.

Pure: lines in, values out. The log decides before the exit code does, because pppd answers 16 (hangup) whenever
the pty closes, whatever the cause was.

Three kinds of words are kept apart. What the programs of this machine say is matched from a line's beginning only
(`_ROWS`): the server's text stands further on, so it cannot pass for theirs. The server's own text is looked at only
where pppd says that the server refused the login or ended the call, only by `_SERVER_ROWS`, and can only say more
exactly why.

A stranger's are the third: while a concentrator is looked for, the PPPoE plugin logs what any station of the Ethernet
sends, unescaped, so that it may go on in lines that look like pppd's (`_HEARSAY`). All that follows is doubtful until
somebody else bears it out: the kernel, that the call is up; pppd's exit code, why it is over. The call itself goes on.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import groupby
from typing import Final, NamedTuple

from cablecar.helper import names, reasons
from cablecar.helper.reasons import Reason

# The first word of a call in its log. "pppd 2.4.9 started by …" comes earlier, but to syslog alone.
_BEGINNING: Final = re.compile(r"Using interface [A-Za-z]")
# A notice that does not need `debug`.
_AUTHENTICATED: Final = re.compile(r"(?:PAP|CHAP|MS-?CHAP|EAP)[\w -]* authentication succeeded")
_METHOD: Final = re.compile(r"(PAP|CHAP) authentication succeeded")
_INTERFACE: Final = re.compile(r"Using interface ([A-Za-z][A-Za-z0-9_.-]{0,14})$")  # any: `ifname` chooses one
_PPP: Final = re.compile(r"ppp\d+")
_LOCAL: Final = re.compile(r"local +IP address ([0-9.]+)")
_REMOTE: Final = re.compile(r"remote IP address ([0-9.]+)")
_HEARSAY: Final = re.compile(
    r"PAD[OS]: (?:\S+-Error|Service-Name): |(?:Access-Concentrator|Service-Name): |Recv PPPOE "
)
_DNS: Final = re.compile(r"(primary|secondary) +DNS address ([0-9.]+)")
_COUNTED: Final = re.compile(r"Sent (\d{1,20}) bytes, received (\d{1,20}) bytes")
_CONNECT_TIME: Final = re.compile(r"Connect time (\d{1,9}\.\d) minutes")

# Who says it: pppd's option parser puts its name and the file first, pptp and xl2tpd their own headings.
_PPPD: Final = r"(?:\S*pppd: )?"
_PPTP: Final = r"(?:\w+ \w+\[[^]]*\]: )?"
_XL2TPD: Final = r"(?:xl2tpd\[\d+\]: )?(?:\w+ ?: )?"
_TOLD_TO_END: Final = r"Terminating on signal (?:2|15)\b|Hangup \(SIGHUP\)"

# The first row that any line matches wins: causes stand before their consequences.
_ROWS: Final[tuple[tuple[str, Reason], ...]] = (
    # Packets in circles from the first moment on; of one that was used before, `call.py` knows.
    (r"Sent \d{8,} bytes, received 0 bytes", reasons.LOOP),
    # This machine.
    (_PPPD + r"Couldn't load plugin", reasons.PLUGIN_MISSING),
    (_PPPD + r"Can't safely use .*(?:not owned by root|group or other writable)", reasons.UNSAFE_FILE),
    # The interface of a PPPoE call got another name, or went, since it was looked up.
    (_PPPD + r"In file \S+: unrecognized option 'nic-", reasons.NO_CABLE),
    (r"Can't get (?:MTU|hardware address) for \S+: No such device", reasons.NO_CABLE),
    (r"(?:Could not get interface index for|Failed to bind to interface) \S+: No such device", reasons.NO_CABLE),
    (_PPPD + r"(?:In file \S+: |unrecognized option )", reasons.BAD_CONFIGURATION),
    (r"\S*sh: (?:line )?(?:\d+: )?\S+/(?:pptp|xl2tpd): (?:not found|No such file)", reasons.PROGRAM_MISSING),
    (r"Couldn't open the /dev/ppp device|(?:Sorry - t|T)his system lacks ", reasons.NO_KERNEL_SUPPORT),
    (r"PPPoL2TP kernel driver not installed|Linux kernel does not support PPPoE", reasons.NO_KERNEL_SUPPORT),
    (r"Failed to create PPPoE socket: (?:Address family|Protocol) not supported", reasons.NO_KERNEL_SUPPORT),
    # pptp that could not call hangs the line up; pppd then finds no discipline either.
    (r"Couldn't (?:set tty to PPP discipline|get channel number): (?!Input/output)", reasons.NO_KERNEL_SUPPORT),
    (r"Device \S+ is locked by pid", reasons.DEVICE_LOCKED),
    (r"Interface index .* failed to get renamed by a pre-up script|Couldn't rename ", reasons.INTERFACE_NAME),
    # The way to the server.
    (_PPTP + r"Call manager for \S+ is already running", reasons.EARLIER_CALL),
    (_PPTP + r"connect: Connection refused", reasons.SERVER_REFUSED),
    # The cable had a way when the server was pinned: a router further on says this.
    (_PPTP + r"connect: (?:Network is unreachable|No route to host|Connection timed out)", reasons.SERVER_UNREACHABLE),
    (_PPTP + r"(?:getaddrinfo\(\): |Host '.*' possesses no IPv4 address)", reasons.SERVER_NOT_FOUND),
    (_XL2TPD + r"Host name lookup failed", reasons.SERVER_NOT_FOUND),
    (_XL2TPD + r"Unable to bind (?:UDP )?socket: .* Terminating", reasons.L2TP_PORT_IN_USE),
    (_XL2TPD + r"udp_xmit failed to \S+ with err=-?\d+:Operation not permitted", reasons.LOCAL_FIREWALL),
    (_XL2TPD + r"(?:M|m)aximum retries exceeded", reasons.L2TP_NO_ANSWER),
    (r"Timeout waiting for PADS packets|PADS: \S+-Error: ", reasons.NO_SESSION),
    (r"Unable to complete PPPoE Discovery phase 2", reasons.NO_SESSION),
    (r"Timeout waiting for PADO packets|Unable to complete PPPoE Discovery", reasons.NO_CONCENTRATOR),
    (_PPTP + r"Reply result code is 3 'Command Channel Already Exists'", reasons.ALREADY_CONNECTED),
    (_PPTP + r"Reply result code is \d+ '(?:Requester is not Auth|Not Acc|Do Not Acc)", reasons.NOT_ADMITTED),
    (_PPTP + r"Reply result code is \d+ '(?:Busy|No Carrier|No Dial Tone|Time Out)", reasons.SERVER_BUSY),
    (_PPTP + r"Our outgoing call request .*has not been accepted", reasons.SERVER_BUSY),
    (_PPTP + r"Negative reply received to our Start Control Connection Request", reasons.SERVER_REFUSED),
    (_PPTP + r"(?:short read|write)\b.*: Operation not permitted", reasons.LOCAL_FIREWALL),
    (r"Serial line is looped back", reasons.LOOPBACK),
    (r"LCP: timeout sending Config-Requests", reasons.GRE_BLOCKED),
    (_PPTP + r"short read .*: Protocol not available", reasons.GRE_BLOCKED),
    # The login.
    (r"MS-CHAPv2 (?:mutual authentication failed|Success packet is badly formed)", reasons.SERVER_NOT_GENUINE),
    (r"(?:PAP|CHAP|EAP) authentication failed due to [Pp]rotocol-[Rr]eject", reasons.METHOD_REFUSED),
    (r"No CHAP secret found for authenticating us|No secret found for PAP|no PAP secret found", reasons.NO_PASSWORD),
    (r"(?:PAP|CHAP|MS-CHAP|EAP) authentication failed|Unknown MS-CHAP auth", reasons.AUTHENTICATION_FAILED),
    (r"EAP: peer reports authentication failure", reasons.AUTHENTICATION_FAILED),
    (r"No response to PAP authenticate-requests|CHAP authentication timed out", reasons.AUTHENTICATION_TIMEOUT),
    (r"EAP: timeout waiting for Request from peer", reasons.AUTHENTICATION_TIMEOUT),
    (r"peer refused to authenticate: terminating link", reasons.PEER_NOT_AUTHENTICATED),
    (r"No auth is possible|eap required to authenticate us but no suitable secrets", reasons.METHOD_REFUSED),
    # What is agreed upon with the server.
    (r"MPPE required, but kernel has no support|MPPE required but not available in", reasons.NO_KERNEL_SUPPORT),
    (r"MPPE required", reasons.ENCRYPTION_MISMATCH),
    (r"Too many MPPE errors|MPPE disabled", reasons.ENCRYPTION_LOST),
    (r"Peer refused to agree to (?:our|his) IP address", reasons.ADDRESS_REFUSED),
    (r"Could not determine local IP address", reasons.NO_ADDRESS),
    (r"No network protocols running|IPCP: timeout sending Config-Requests", reasons.NEGOTIATION_FAILED),
    # The end of a call that was up.
    (r"Terminating connection due to lack of activity", reasons.IDLE),
    (r"Connect time expired", reasons.TIME_LIMIT),
    (r"Traffic limit reached", reasons.TRAFFIC_LIMIT),
    (r"No response to \d+ echo-requests|Serial link appears to be disconnected", reasons.PATH_LOST),
    (_PPTP + r"closing control connection due to missing echo reply", reasons.PATH_LOST),
    (_PPTP + r"Result code is \d+ 'Administrative Shutdown'", reasons.SERVER_SHUTDOWN),
    # The fourth, "(your) Request", only answers our own goodbye.
    (_PPTP + r"Result code is \d+ '(?:Lost Carrier|General Error|Unknown)", reasons.TERMINATED_BY_PEER),
    (r"LCP terminated by peer", reasons.TERMINATED_BY_PEER),
    (_PPTP + r"Received Stop Control Connection Request", reasons.TERMINATED_BY_PEER),
    # What xl2tpd says where either end misses the tunnel's secret, or has another.
    (_XL2TPD + r"No secret for authenticating to ", reasons.NOT_ADMITTED),
    (_XL2TPD + r"Connection closed to \S+, port \d+ \(Invalid challenge authentication\)", reasons.NOT_ADMITTED),
    # xl2tpd itself ends pppd then.
    (_XL2TPD + r"Connection closed to ", reasons.TERMINATED_BY_PEER),
    (_TOLD_TO_END, reasons.HUNG_UP_HERE),
    # What a call may well survive, and what it says when nothing better is known.
    (_PPTP + r"transmitted GRE packet triggered an ICMP .*exceeds the MTU", reasons.MTU_TOO_LARGE),
    (r"Lost compression sync", reasons.ENCRYPTION_LOST),
    (_XL2TPD + r"(?:Can not find tunnel \d+|unable to find call or tunnel)", reasons.L2TP_CALL_LOST),
    (r"Failed to create (?:pid file|/etc/ppp/resolv\.conf)", reasons.UNWRITABLE_FILE),
    (r"Modem hangup", reasons.HANGUP),
    (_PPTP + r"read returned zero, peer has closed", reasons.HANGUP),
)
# What keeps a call from coming up is not why one that was up has ended.
_ONLY_BEFORE_UP: Final = frozenset(
    {
        reasons.BAD_CONFIGURATION,
        reasons.INTERFACE_NAME,
        reasons.NO_KERNEL_SUPPORT,
        reasons.PLUGIN_MISSING,
        reasons.PROGRAM_MISSING,
        reasons.UNSAFE_FILE,
        reasons.UNWRITABLE_FILE,
    }
)

# Where the server's own words stand. Its answer to a login may say anything when the login succeeds, too.
_LOGIN_ANSWER: Final = re.compile(
    r"(?:Remote message|(?:MS-)?CHAP authentication failed|Unknown MS-CHAP authentication failure): (.*)"
)
_LAST_WORDS: Final = re.compile(r"LCP terminated by peer \((.*?)\)?$")
# E=NNN are the codes of RFC 2759, section 6.
_SERVER_ROWS: Final = (
    (r"\bE=646\b|restricted logon hours|outside your allowed timespan", reasons.LOGON_HOURS),  # the latter FreeRADIUS
    (r"\bE=647\b|account (?:is )?(?:disabled|suspended|blocked)", reasons.ACCOUNT_DISABLED),
    (r"\bE=(?:648|709)\b|password (?:has )?expired", reasons.PASSWORD_EXPIRED),
    (r"\bE=649\b|no dial-?in permission", reasons.ACCOUNT_REFUSED),
    (r"simultaneous use|already logged in", reasons.ALREADY_CONNECTED),
    (r"session-timeout", reasons.SESSION_LIMIT),
    (r"^peer refused to authenticate$", reasons.METHOD_REFUSED),
    (r"^MPPE required but ", reasons.ENCRYPTION_REQUIRED),
    (r"\bE=691\b|request denied|failed to authenticate", reasons.AUTHENTICATION_FAILED),
)

# The marker and tail of a Microsoft server's binary Terminate-Request, in pppd's `%v` notation.
_RAS_MARKER: Final = "^@<M-Mt"
_RAS: Final = {
    691: reasons.AUTHENTICATION_FAILED,
    742: reasons.ENCRYPTION_REQUIRED,
    812: reasons.METHOD_REFUSED,
    930: reasons.AUTHENTICATION_TIMEOUT,
}
_RAS_NO_AGREEMENT: Final = 732  # seen in CCP only, which does not end the call

_COMPRESSION_ENDED: Final = re.compile(r"CCP terminated by peer \((.*?)\)?$")
_NOT_UNDERSTOOD: Final = re.compile(r"Protocol-Reject for unsupported protocol|Unsupported protocol .*received")
_FLOOD: Final = 5  # such lines on end: each of our packets is noise to the other side, or each of theirs to us
_FLOOD_LIMIT: Final = 5.0  # minutes; a longer call did carry something
_SESSION: Final = re.compile(r"PPP session is \d+")
_CONCENTRATOR: Final = re.compile(r"Connected to \S+ via interface ")
_SESSION_ENDED: Final = "Sent PADT"
_UP_TO_BEGINNING: Final = 3  # lines at most between the session and the interface
# A stranger who says that no concentrator was found can see to it as well, by answering the call and then no more.
_NOT_FOUND: Final = re.compile(r"Timeout waiting for PAD[OS] packets|Unable to complete PPPoE Discovery")
# Minutes, as pppd rounds them: three seconds. A concentrator that has one session too many ends the new one at once.
_PPPOE_LIMIT: Final = 0.1

# pppd(8), EXIT STATUS, and pppd.h for 20 and 21.
_EXITS: Final = {
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
}
_WITH_INTERFACE: Final = frozenset({0, *range(10, 18), 19, 20, 21})  # those that pppd cannot have without an interface
_EXIT_BELOW_XL2TPD: Final = re.compile(_XL2TPD + r"pppd exited for call \d+ with code (\d{1,3})")

# With `show-password` among root's own options a login stands in the packet dumps; an answer to a challenge can be
# tried against a list of passwords.
_SECRETS: Final = (
    (re.compile(r'\bpassword="(?:[^"\\]|\\.)*"?'), "password=<hidden>"),
    (re.compile(r"(\[CHAP Response id=\w+ )<[^>,]*>?"), r"\1<hidden>"),
    # 2.4.9 does not say how long it is.
    (
        re.compile(r"(\[EAP Response id=\w+ (?:len=\d+ )?(?:MD5-Challenge|MSCHAPv2 Response)[^<]*)<[^>]*>?"),
        r"\1<hidden>",
    ),
)


@dataclass(slots=True)
class Facts:
    """What the lines of one call have told so far.

    Attributes:
        phase: The last phase that a line showed.
        interface: The ppp interface, empty before pppd has one.
        method: How we logged in: `pap`, or `chap` for MD5 and MS-CHAP alike; empty before it succeeded.
        local: Our address in the tunnel, as text.
        remote: The peer's address, as text; once known, IPCP is up.
        sent: Bytes that went out, once pppd has counted at the end.
        received: Bytes that came in, likewise.
    """

    phase: str = names.CONNECTING
    interface: str = ""
    method: str = ""
    local: str = ""
    remote: str = ""
    sent: int = 0
    received: int = 0
    _closed: bool = False
    _dns: dict[str, str] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)  # fact and the newest line that told it

    @property
    def is_up(self) -> bool:
        """Whether the interface carries addresses."""
        return self._is_complete and not self._is_hearsay

    @property
    def claim(self) -> tuple[str, str, str] | None:
        """Interface, our address and the peer's, when they are told but cannot be believed: ask the kernel."""
        return (self.interface, self.local, self.remote) if self._is_complete and self._is_hearsay else None

    def believe(self) -> None:
        """Take for true what is told: the kernel bears it out."""
        self._told.pop("hearsay", None)

    @property
    def _is_complete(self) -> bool:
        return bool(self.interface and self.local and self.remote)

    @property
    def _is_hearsay(self) -> bool:
        return "hearsay" in self._told

    @property
    def dns(self) -> list[str]:
        """The peer's DNS servers, as text."""
        return list(dict.fromkeys(self._dns.values()))

    @property
    def lines(self) -> list[str]:
        """The lines that told these facts; read again in this order, they tell the same."""
        return list(dict.fromkeys(self._told.values()))

    def close(self) -> None:
        """Believe nothing but the final count from now on."""
        self._closed = True

    def read(self, line: str) -> None:
        """Take in one line; one that begins a call makes the facts of the call before void."""
        if self._closed and not _COUNTED.match(line):
            return
        if _BEGINNING.match(line):
            # PPPoE has its session before pppd has an interface; and a stranger may have made this line, too.
            kept = {fact: told for fact, told in self._told.items() if fact in ("hearsay", "session", "concentrator")}
            fresh = Facts(_told=kept)
            for fact in fields(self):
                setattr(self, fact.name, getattr(fresh, fact.name))
        if _AUTHENTICATED.match(line):
            self.phase = names.CONFIGURING
            self._tell("phase", line)
        if match := _METHOD.match(line):
            self.method = match[1].lower()
            self._tell("method", line)
        elif match := _INTERFACE.match(line):
            self.interface = match[1]
            if _PPP.fullmatch(match[1]) is None:
                self._told.setdefault("hearsay", line)  # only a tunnel may be taken for one: let the kernel say so
            self._tell("interface", line)
        elif match := _LOCAL.match(line):
            self.local = match[1]
            self._tell("local", line)
        elif match := _REMOTE.match(line):
            self.remote = match[1]
            self._tell("remote", line)
        elif match := _DNS.match(line):
            self._dns[match[1]] = match[2]
            self._tell(match[1], line)
        elif match := _COUNTED.match(line):
            self.sent, self.received = int(match[1]), int(match[2])
            self._tell("counted", line)
        elif _SESSION.match(line):
            self._tell("session", line)
        elif _CONCENTRATOR.match(line):
            self._tell("concentrator", line)
        elif line == _SESSION_ENDED:
            self._told.pop("session", None)
            self._told.pop("concentrator", None)
        elif _HEARSAY.match(line):
            self._told.setdefault("hearsay", line)  # the first: all that comes later is doubtful

    def _tell(self, fact: str, line: str) -> None:
        self._told.pop(fact, None)
        self._told[fact] = line


class Exit(NamedTuple):
    """How pppd ended.

    Attributes:
        code: Its exit status; 0 when a signal ended it.
        signal: The signal that ended it, 0 for none.
    """

    code: int = 0
    signal: int = 0


def classify(
    lines: Sequence[str],
    ended: Exit | None,
    *,
    stopped_by_us: bool = False,
    answered: bool = False,
    was_up: bool = False,
    silence: Reason = reasons.GRE_BLOCKED,
) -> Reason:
    """Return why the call that said `lines` is over.

    Args:
        lines: What pppd and pptp have said.
        ended: How pppd ended, None when nobody saw it.
        stopped_by_us: What pppd says of our own SIGTERM is no news.
        answered: The server was seen to take the call's control connection.
        was_up: The kernel has borne out that the call was up.
        silence: What it means that nothing comes through the tunnel of a server that has answered.
    """
    if ended is not None and ended.signal:
        return reasons.INTERRUPTED
    said = _credible(lines, was_up or (ended is not None and ended.code in _WITH_INTERFACE))
    reason = _reason_of_lines(said, stopped_by_us) or _reason_of_exit(said, ended, stopped_by_us)
    return _refined(reason, said, silence if answered else reasons.SERVER_UNREACHABLE)


def tells_of_size(line: str) -> bool:
    """Return whether pptp says by this line that a packet of the tunnel was too large for the way."""
    return "exceeds the MTU" in line


def begins_elsewhere(line: str, interface: str) -> bool:
    """Return whether a call on another interface than this one begins with this line."""
    return _BEGINNING.match(line) is not None and line != f"Using interface {interface}"


def gives_up(line: str) -> bool:
    """Return whether pppd says by this line that nothing comes from the server any more; it ends seconds later."""
    return line.startswith("Serial link appears to be disconnected")


def takes_down(line: str) -> bool:
    """Return whether pppd says by this line that it takes the interface down itself; it may end seconds later."""
    return line.startswith(("Connect time ", "LCP terminated by peer", "Modem hangup", "Terminating on signal"))


def was_told_to_end(line: str) -> bool:
    """Return whether pppd says by this line that a signal tells it to end: `poff`'s, a person's, or our own."""
    return re.match(_TOLD_TO_END, line) is not None


def masked(line: str) -> str:
    """Return a line without what would give a password away."""
    for pattern, shown in _SECRETS:
        line = pattern.sub(shown, line)
    return line


def last_call(lines: Sequence[str]) -> Sequence[str]:
    """Return what the last of the calls in a log has said."""
    beginnings = [number for number, line in enumerate(lines) if _BEGINNING.match(line)]
    if not beginnings:
        return lines
    last = beginnings[-1]
    for number in range(max(0, last - _UP_TO_BEGINNING), last):
        if _SESSION.match(lines[number]):
            return lines[number:]  # before it stands only how a concentrator was looked for, and strangers' words
    # A call that is the only one has all lines: pptp may have spoken before pppd.
    return lines[last:] if len(beginnings) > 1 else lines


def _credible(lines: Sequence[str], had_interface: bool) -> Sequence[str]:
    """Return what the last call has said, without what may be a stranger's words."""
    first = next((number for number, line in enumerate(lines) if _HEARSAY.match(line)), None)
    if first is None or had_interface:  # only pppd speaks after the last beginning, and that is its own
        return last_call(lines)
    return [*lines[: first + 1], *filter(_NOT_FOUND.match, lines[first + 1 :])]


def _reason_of_lines(lines: Sequence[str], stopped_by_us: bool) -> Reason | None:
    came_up = _came_up(lines)
    for pattern, reason in _ROWS:
        if (reason is reasons.HUNG_UP_HERE and stopped_by_us) or (reason in _ONLY_BEFORE_UP and came_up):
            continue
        # Compiled when first needed, and kept by `re`: all of them are a fifth of the helper's start.
        if any(re.match(pattern, line) for line in lines):
            return reason
    return None


def _reason_of_exit(lines: Sequence[str], ended: Exit | None, stopped_by_us: bool) -> Reason:
    codes = [int(match[1]) for line in lines if (match := _EXIT_BELOW_XL2TPD.match(line))]
    if ended is not None and not codes:
        codes = [ended.code]
    reason = _EXITS.get(codes[-1], reasons.FAILED) if codes else reasons.FAILED
    return reasons.FAILED if stopped_by_us and reason is reasons.HUNG_UP_HERE else reason


def _refined(reason: Reason, lines: Sequence[str], silence: Reason) -> Reason:
    """Say a reason more exactly, where the rest that is known of the call tells it apart from another."""
    if reason is reasons.GRE_BLOCKED:
        # Silence in the tunnel says something about GRE only when the server answers over TCP.
        return silence
    if reason is reasons.L2TP_NO_ANSWER and _came_up(lines):
        return reasons.PATH_LOST
    if reason in (reasons.AUTHENTICATION_FAILED, reasons.TERMINATED_BY_PEER):
        for text in _words_of_the_server(lines, reason is reasons.AUTHENTICATION_FAILED):
            if (understood := _understood(text)) is not None:
                return understood
    if reason in (reasons.TERMINATED_BY_PEER, reasons.HANGUP, reasons.NEGOTIATION_FAILED):
        if _encryption_differs(lines):
            return reasons.ENCRYPTION_MISMATCH
        if _one_session_too_many(lines):
            return reasons.ALREADY_CONNECTED
    return reason


def _words_of_the_server(lines: Sequence[str], login_refused: bool) -> Iterator[str]:
    patterns = (_LOGIN_ANSWER, _LAST_WORDS) if login_refused else (_LAST_WORDS,)
    return (match[1] for pattern in patterns for line in lines if (match := pattern.match(line)))


def _understood(text: str) -> Reason | None:
    if (reason := _RAS.get(_ras_code(text))) is not None:
        return reason
    return next((reason for pattern, reason in _SERVER_ROWS if re.search(pattern, text, re.IGNORECASE)), None)


def _encryption_differs(lines: Sequence[str]) -> bool:
    """Whether one side encrypts and the other does not, as far as the call shows it by its way of failing."""
    if not _came_up(lines):
        ended = (match for line in lines if (match := _COMPRESSION_ENDED.match(line)))
        if any(_ras_code(match[1]) == _RAS_NO_AGREEMENT for match in ended):
            return True
    runs = (len(list(run)) for noise, run in groupby(lines, lambda line: bool(_NOT_UNDERSTOOD.match(line))) if noise)
    return max(runs, default=0) >= _FLOOD and _minutes(lines) < _FLOOD_LIMIT


def _one_session_too_many(lines: Sequence[str]) -> bool:
    """Whether a PPPoE server let us log in and then ended the session within seconds."""
    return (
        any(_SESSION.match(line) or line == _SESSION_ENDED for line in lines)
        and any(_METHOD.match(line) for line in lines)
        and _minutes(lines) < _PPPOE_LIMIT
    )


def _came_up(lines: Sequence[str]) -> bool:
    # The first lines of a long call may be gone, and no call negotiates for a minute.
    return any(_REMOTE.match(line) for line in lines) or any(minutes >= 1.0 for minutes in _counted(lines))


def _minutes(lines: Sequence[str]) -> float:
    """Return how long the call was up; one that came up and was not counted may have been long."""
    return max(_counted(lines), default=math.inf if _came_up(lines) else 0.0)


def _counted(lines: Sequence[str]) -> list[float]:
    return [float(match[1]) for line in lines if (match := _CONNECT_TIME.match(line))]


def _ras_code(text: str) -> int:
    """Return the RAS error code in a binary Terminate-Request, 0 when there is none."""
    head, marker, tail = text.rpartition(_RAS_MARKER)
    code = _unescape(tail) if marker and head else b""
    return int.from_bytes(code, "big") if len(code) == 4 else 0


def _unescape(text: str) -> bytes:
    """Undo pppd's `%v`: `M-` adds 0x80, `^X` is X xor 0x40."""
    data = bytearray()
    for high, caret, char in re.findall(r"(M-(?=.))?(\^(?=.))?(.)", text, re.DOTALL):
        data.append((0x80 if high else 0) | (ord(char) ^ 0x40 if caret else ord(char) & 0x7F))
    return bytes(data)
