"""What pppd and pptp say, put into a link's phases, facts and reasons.

Pure: lines in, values out. The log decides before the exit code does, because pppd answers 16 (hangup) whenever
the pty closes, whatever the cause was.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cablecar.helper import names, reasons
from cablecar.helper.reasons import Reason

_ESTABLISHED: Final = re.compile(r"anon log\[[^]]*\]: Outgoing call established")
# What a line says about how far the call has come. The first line of pptp that shows a reply of the server, then
# pppd's notices; none of them needs `debug`. All are matched from the line's beginning: further on stands what the
# server chose to say.
_PHASES: Final = (
    (_ESTABLISHED, names.AUTHENTICATING),
    (re.compile(r"(?:PAP|CHAP|MS-?CHAP|EAP)[\w -]* authentication succeeded"), names.CONFIGURING),
)
_INTERFACE: Final = re.compile(r"Using interface (ppp[0-9]+)")
_LOCAL: Final = re.compile(r"local +IP address ([0-9.]+)")
_REMOTE: Final = re.compile(r"remote IP address ([0-9.]+)")
_DNS: Final = re.compile(r"(?:primary|secondary) +DNS address ([0-9.]+)")

# First row that any line matches wins: causes stand before their consequences.
_ROWS: Final[tuple[tuple[str, Reason], ...]] = (
    (r"recursion detected|Serial line is looped back", reasons.LOOP),
    (r"E=64[6789]|E=709|[Aa]ccount (?:disabled|expired)|[Rr]estricted logon hours", reasons.ACCOUNT_REFUSED),
    (r"(?:PAP|CHAP) authentication failed due to protocol-reject", reasons.METHOD_REFUSED),
    (r"MS-CHAPv2 mutual authentication failed", reasons.METHOD_REFUSED),
    (r"(?:PAP|CHAP) authentication failed|E=691", reasons.AUTHENTICATION_FAILED),
    (r"No (?:CHAP|PAP) secret found|No secret found for PAP login|no PAP secret found", reasons.NO_PASSWORD),
    (r"peer refused to authenticate: terminating link|No auth is possible", reasons.METHOD_REFUSED),
    (r"MPPE required, but kernel has no support", reasons.NO_KERNEL_SUPPORT),
    (r"MPPE required", reasons.ENCRYPTION_MISMATCH),
    (r"Couldn't open the /dev/ppp device|This system lacks kernel support for PPP", reasons.NO_KERNEL_SUPPORT),
    (r"unrecognized option|Couldn't load plugin|in file /etc/ppp/.*: ", reasons.BAD_CONFIGURATION),
    (r"/usr/sbin/pptp: (?:not found|No such file)", reasons.PROGRAM_MISSING),
    (r"connect: Connection refused", reasons.SERVER_REFUSED),
    (r"connect: (?:Network is unreachable|No route to host|Connection timed out)", reasons.SERVER_UNREACHABLE),
    (r"getaddrinfo\(\):", reasons.SERVER_NOT_FOUND),
    (r"Our outgoing call request .* has not been accepted", reasons.SERVER_REFUSED),
    (r"Negative reply received to our Start Control Connection Request", reasons.SERVER_REFUSED),
    (r"LCP: timeout sending Config-Requests|short read .*: Protocol not available", reasons.GRE_BLOCKED),
    (r"No response to \d+ echo-requests|Serial link appears to be disconnected", reasons.PATH_LOST),
    (r"closing control connection due to missing echo reply", reasons.PATH_LOST),
    (r"No response to PAP authenticate-requests|No network protocols running", reasons.NEGOTIATION_FAILED),
    (r"Could not determine local IP address|Peer refused to agree to", reasons.NEGOTIATION_FAILED),
    (r"LCP terminated by peer|Received Stop Control Connection Request|Call disconnect", reasons.TERMINATED_BY_PEER),
    (r"Terminating on signal (?:2|15)|Hangup \(SIGHUP\)", reasons.HUNG_UP_HERE),
    (r"Modem hangup|read returned zero, peer has closed", reasons.HANGUP),
)
_COMPILED: Final = tuple((re.compile(pattern), reason) for pattern, reason in _ROWS)

_ERROR_CODE: Final = re.compile(r"E=\d{3}")  # RFC 2759, section 6
_TERMINATED: Final = re.compile(r"^(LCP terminated by peer).*")

# pppd(8), EXIT STATUS, and pppd.h for 20 and 21.
_EXITS: Final = {
    2: reasons.BAD_CONFIGURATION,
    3: reasons.BAD_CONFIGURATION,
    4: reasons.NO_KERNEL_SUPPORT,
    5: reasons.HUNG_UP_HERE,
    9: reasons.PROGRAM_MISSING,
    10: reasons.NEGOTIATION_FAILED,
    11: reasons.METHOD_REFUSED,
    15: reasons.PATH_LOST,
    16: reasons.HANGUP,
    17: reasons.LOOP,
    19: reasons.AUTHENTICATION_FAILED,
}

# The marker and tail of a Microsoft server's binary Terminate-Request, in pppd's `%v` notation.
_RAS_MARKER: Final = "^@<M-Mt"
_RAS: Final = {691: reasons.AUTHENTICATION_FAILED, 742: reasons.ENCRYPTION_MISMATCH}


@dataclass(slots=True)
class Facts:
    """What the lines of one call have told so far.

    Attributes:
        phase: The last phase that a line showed.
        interface: The ppp interface, empty before pppd has one.
        local: Our address in the tunnel, as text.
        remote: The peer's address, as text; once known, IPCP is up.
        dns: The peer's DNS servers, as text.
        lines: The lines that told these facts.
    """

    phase: str = names.CONNECTING
    interface: str = ""
    local: str = ""
    remote: str = ""
    dns: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        """Whether the interface carries addresses."""
        return bool(self.interface and self.local and self.remote)

    def read(self, line: str) -> None:
        """Take in one line."""
        for pattern, phase in _PHASES:
            if pattern.match(line):
                self.phase = phase
        if match := _INTERFACE.match(line):
            self.interface = match[1]
        elif match := _LOCAL.match(line):
            self.local = match[1]
        elif match := _REMOTE.match(line):
            self.remote = match[1]
        elif (match := _DNS.match(line)) and match[1] not in self.dns:
            self.dns.append(match[1])
        if match:
            self.lines.append(line)


@dataclass(frozen=True, slots=True)
class Exit:
    """How pppd ended.

    Attributes:
        code: Its exit status; 0 when a signal ended it.
        signal: The signal that ended it, 0 for none.
    """

    code: int = 0
    signal: int = 0


def classify(lines: Sequence[str], ended: Exit | None, stopped_by_us: bool) -> Reason:
    """Return why the call that said `lines` is over; what pppd says of our own SIGTERM is no news.

    `ended` is None when nobody saw how pppd ended.
    """
    if ended is not None and ended.signal:
        return reasons.INTERRUPTED
    if (reason := _ras_reason(lines)) is not None:
        return reason
    own = [_own_words(line) for line in lines]
    for pattern, reason in _COMPILED:
        if reason is reasons.HUNG_UP_HERE and stopped_by_us:
            continue
        if any(pattern.search(line) for line in own):
            return _unless_never_reached(reason, lines)
    return _EXITS.get(ended.code, reasons.FAILED) if ended is not None else reasons.FAILED


def _unless_never_reached(reason: Reason, lines: Sequence[str]) -> Reason:
    """Silence in the tunnel says something about GRE only once the server has accepted the call over TCP."""
    if reason is reasons.GRE_BLOCKED and not any(_ESTABLISHED.match(line) for line in lines):
        return reasons.SERVER_UNREACHABLE
    return reason


def _own_words(line: str) -> str:
    """Return a line without what the server put into it, but for its error code: its text must not pass for pppd's."""
    head, said, text = line.partition("Remote message:")
    if said and not head:
        code = _ERROR_CODE.search(text)
        return code[0] if code else ""
    return _TERMINATED.sub(r"\1", line)


def _ras_reason(lines: Iterable[str]) -> Reason | None:
    for line in lines:
        if "LCP terminated by peer" in line and (code := _ras_code(line)) in _RAS:
            return _RAS[code]
    return None


def _ras_code(line: str) -> int:
    """Return the RAS error code in a binary Terminate-Request, 0 when there is none."""
    head, marker, tail = line.rpartition(_RAS_MARKER)
    code = _unescape(tail.removesuffix(")")) if marker and head else b""
    return int.from_bytes(code, "big") if len(code) == 4 else 0


def _unescape(text: str) -> bytes:
    """Undo pppd's `%v`: `M-` adds 0x80, `^X` is X xor 0x40."""
    data = bytearray()
    for high, caret, char in re.findall(r"(M-(?=.))?(\^(?=.))?(.)", text, re.DOTALL):
        data.append((0x80 if high else 0) | (ord(char) ^ 0x40 if caret else ord(char) & 0x7F))
    return bytes(data)
