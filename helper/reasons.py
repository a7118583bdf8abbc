"""Why a link is not up: the closed table of reasons, with the sentence that a person reads.

Pure data, imports nothing of the project. The helper picks a reason from what pppd, pptp and the kernel said
(`pppd.py`); the applet shows its sentence; scripts compare its `id` (property `Reason`, signal `Disconnected`)
or the D-Bus error name that `Connect` fails with. Sentences carry no address, user name or server: every local
user may read them.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause of a link being down.

    Attributes:
        id: What property `Reason` says, e.g. `authentication-failed`.
        error: Last part of the D-Bus error name that `Connect` fails with, e.g. `AuthenticationFailed`.
        sentence: What happened and what to do, in English, for people.
        retry: Whether dialing again by itself can help. False puts the link into state `failed`.
        pause: Seconds before the next try, at least.
    """

    id: str
    error: str
    sentence: str
    retry: bool = True
    pause: float = 0.0


NONE: Final = Reason("", "Failed", "")
REQUESTED: Final = Reason("requested", "Cancelled", "Disconnected on request.", retry=False)
NO_PASSWORD: Final = Reason(
    "no-password", "NoPassword", "No password is stored for this link. Set the password, then connect.", retry=False
)
AUTHENTICATION_FAILED: Final = Reason(
    "authentication-failed",
    "AuthenticationFailed",
    "The provider refused the user name or password. Check both, set the password again, then connect.",
    retry=False,
)
ACCOUNT_REFUSED: Final = Reason(
    "account-refused",
    "AccountRefused",
    "The provider knows this account but refuses it (disabled, expired or without permission to dial in). "
    "Call the provider.",
    retry=False,
)
NO_CABLE: Final = Reason(
    "no-cable", "NoCable", "The cable is not connected or has no address yet. Check the modem and the network cable."
)
SERVER_NOT_FOUND: Final = Reason(
    "server-not-found",
    "ServerNotFound",
    "The server's name could not be looked up. Check the name, and whether the cable's DNS answers.",
)
SERVER_UNREACHABLE: Final = Reason(
    "server-unreachable",
    "ServerUnreachable",
    "The provider's server does not answer. Check the server's address; the provider may have an outage.",
)
SERVER_REFUSED: Final = Reason(
    "server-refused",
    "ServerRefused",
    "The provider's server is there but does not accept the call. Check the server and the protocol; "
    "the provider may be busy.",
)
GRE_BLOCKED: Final = Reason(
    "gre-blocked",
    "GreBlocked",
    "The server accepted the call, but nothing comes back through the tunnel. A firewall or router in between "
    "probably blocks GRE (IP protocol 47).",
)
ENCRYPTION_MISMATCH: Final = Reason(
    "encryption-mismatch",
    "EncryptionMismatch",
    "The provider and this link do not agree on encryption. Change the link's `encryption` setting.",
    retry=False,
)
METHOD_REFUSED: Final = Reason(
    "method-refused",
    "MethodRefused",
    "The provider asked for a way of logging in that this link does not allow. "
    "Change the link's `authentication` setting if the provider confirms it.",
    retry=False,
)
NEGOTIATION_FAILED: Final = Reason(
    "negotiation-failed", "NegotiationFailed", "The provider's server and this machine did not agree on the call."
)
TERMINATED_BY_PEER: Final = Reason("terminated-by-peer", "TerminatedByPeer", "The provider ended the call.")
HANGUP: Final = Reason("hangup", "Hangup", "The connection to the provider's server was closed.")
PATH_LOST: Final = Reason(
    "path-lost", "PathLost", "The provider's server stopped answering: the line is cut or the server is down."
)
INTERRUPTED: Final = Reason(
    "interrupted", "Interrupted", "The program that holds the call (pppd) was killed on this machine."
)
HUNG_UP_HERE: Final = Reason(
    "hung-up-here",
    "HungUpHere",
    "The call was ended on this machine (poff, or systemctl stop of the link's unit). Connect again when you want.",
    retry=False,
)
LOOP: Final = Reason(
    "loop",
    "Loop",
    "The tunnel's own packets were sent back into the tunnel. Look for a route to the server that is not Cablecar's.",
)
TIMED_OUT: Final = Reason(
    "timed-out", "TimedOut", "The call was not established in time. The provider's server may be overloaded."
)
NO_KERNEL_SUPPORT: Final = Reason(
    "no-kernel-support",
    "NoKernelSupport",
    "This machine's kernel has no PPP. Install the distribution's full kernel package, then reboot.",
    retry=False,
)
PROGRAM_MISSING: Final = Reason(
    "program-missing",
    "ProgramMissing",
    "A program that the call needs is not installed. Install the packages ppp and pptp-linux.",
    retry=False,
)
BAD_CONFIGURATION: Final = Reason(
    "bad-configuration",
    "BadConfiguration",
    "pppd does not accept the options of this link. The journal of the link's unit names the option.",
    retry=False,
)
FAILED: Final = Reason("failed", "ConnectionFailed", "The call failed. The journal of the link's unit says more.")

ALL: Final = (
    NONE,
    REQUESTED,
    NO_PASSWORD,
    AUTHENTICATION_FAILED,
    ACCOUNT_REFUSED,
    NO_CABLE,
    SERVER_NOT_FOUND,
    SERVER_UNREACHABLE,
    SERVER_REFUSED,
    GRE_BLOCKED,
    ENCRYPTION_MISMATCH,
    METHOD_REFUSED,
    NEGOTIATION_FAILED,
    TERMINATED_BY_PEER,
    HANGUP,
    PATH_LOST,
    INTERRUPTED,
    HUNG_UP_HERE,
    LOOP,
    TIMED_OUT,
    NO_KERNEL_SUPPORT,
    PROGRAM_MISSING,
    BAD_CONFIGURATION,
    FAILED,
)
BY_ID: Final = {reason.id: reason for reason in ALL}
