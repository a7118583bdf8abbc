"""Why a link is not up: the closed table of reasons, with the sentence that a person reads.

Pure data, imports nothing of the project. The helper picks a reason from what pppd, pptp and the kernel said
(`pppd.py`); the applet shows its sentence; scripts compare its `id` (property `Reason`, signal `Disconnected`)
or the D-Bus error name that `Connect` fails with. Sentences carry no address, user name or server: every local
user may read them.
"""

from typing import Final, NamedTuple


class Reason(NamedTuple):
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
    sentence: str = ""
    retry: bool = True
    pause: float = 0.0


NONE: Final = Reason("", "Failed")
REQUESTED: Final = Reason(
    "requested", "Cancelled", "Disconnected on request. Connect again when you want.", retry=False
)

# The login.
NO_PASSWORD: Final = Reason(
    "no-password", "NoPassword", "No password is stored for this link. Set the password, then connect.", retry=False
)
AUTHENTICATION_FAILED: Final = Reason(
    "authentication-failed",
    "AuthenticationFailed",
    "The provider refused the user name or password. Check both, and whether the provider wants a suffix such as "
    "@C012 after the user name; set the password again, then connect.",
    retry=False,
)
ACCOUNT_DISABLED: Final = Reason(
    "account-disabled",
    "AccountDisabled",
    "The provider has disabled this account, for example because a bill is open. Call the provider.",
    retry=False,
)
ACCOUNT_REFUSED: Final = Reason(
    "account-refused",
    "AccountRefused",
    "The provider knows this account but does not permit it to dial in. Call the provider and ask for that right.",
    retry=False,
)
PASSWORD_EXPIRED: Final = Reason(
    "password-expired",
    "PasswordExpired",
    "The password has expired. Choose a new one on the provider's web page, set it here too, then connect.",
    retry=False,
)
LOGON_HOURS: Final = Reason(
    "logon-hours",
    "LogonHours",
    "The provider does not admit this account at this time of day. Wait for the hours of your plan, or change the "
    "plan.",
    pause=1800.0,
)
ALREADY_CONNECTED: Final = Reason(
    "already-connected",
    "AlreadyConnected",
    "The provider counts this account as connected already: an earlier call is not closed there yet, or another "
    "machine uses the account. Disconnect the other machine, or wait a few minutes.",
    pause=60.0,
)
AUTHENTICATION_TIMEOUT: Final = Reason(
    "authentication-timeout",
    "AuthenticationTimeout",
    "The provider's login server does not answer; it may be overloaded. Wait, and call the provider if this goes on.",
)
METHOD_REFUSED: Final = Reason(
    "method-refused",
    "MethodRefused",
    "The provider asked for a way of logging in that this link does not allow. "
    "Change the link's `authentication` setting if the provider confirms it.",
    retry=False,
)
SERVER_NOT_GENUINE: Final = Reason(
    "server-not-genuine",
    "ServerNotGenuine",
    "The server could not prove that it knows the password, so it may not be the provider's. "
    "Check the server's address, and call the provider before you connect again.",
    retry=False,
)
PEER_NOT_AUTHENTICATED: Final = Reason(
    "peer-not-authenticated",
    "PeerNotAuthenticated",
    "This machine's options demand that the provider's server logs in here, which it does not do. "
    "Remove `auth` and the `require-` options from the link's `ppp_options`.",
    retry=False,
)

# The machine itself.
SUSPENDED: Final = Reason(
    "suspended",
    "Suspended",
    "The computer was asleep, and a call does not outlive that. Wait: it is dialed again as soon as the computer is "
    "awake.",
)

# The way to the server.
NO_CABLE: Final = Reason(
    "no-cable", "NoCable", "The cable is not connected or has no address yet. Check the modem and the network cable."
)
SERVER_NOT_FOUND: Final = Reason(
    "server-not-found",
    "ServerNotFound",
    "The server's name could not be looked up. Check the name, and whether the cable's DNS answers.",
)
SERVER_IMPLAUSIBLE: Final = Reason(
    "server-implausible",
    "ServerImplausible",
    "The server's address, or the one that its name leads to, is such as no server can have: this machine's own, for "
    "example. Check the server in the settings; if it is a name and right, the cable's DNS answers wrongly: restart "
    "the modem, and call the provider if this goes on.",
)
SERVER_UNREACHABLE: Final = Reason(
    "server-unreachable",
    "ServerUnreachable",
    "The provider's server does not answer. Check the server's address; the provider may have an outage.",
)
SERVER_REFUSED: Final = Reason(
    "server-refused",
    "ServerRefused",
    "The provider's server is there but does not accept the call. Check the server's address, and whether the "
    "provider wants another protocol.",
)
SERVER_BUSY: Final = Reason(
    "server-busy",
    "ServerBusy",
    "The provider's server is busy or has no free line. Wait, and call the provider if this goes on.",
    pause=30.0,
)
NOT_ADMITTED: Final = Reason(
    "not-admitted",
    "NotAdmitted",
    "The provider's server takes no calls from this line, whatever the password. Check the server's address, and ask "
    "the provider whether the line is enabled for such calls, and by L2TP whether the tunnel has a secret "
    "(`tunnel_secret`).",
    pause=60.0,
)
NO_CONCENTRATOR: Final = Reason(
    "no-concentrator",
    "NoConcentrator",
    "No PPPoE server answers on this cable. Check the modem, the link's `interface`, `server` and `service`, and "
    "whether the provider has locked the line to another network card.",
)
NO_SESSION: Final = Reason(
    "no-session",
    "NoSession",
    "The provider's PPPoE server answers but grants no session. Check the link's `server` and `service` settings; "
    "wait a few minutes in case an earlier session is not closed there yet.",
)
L2TP_NO_ANSWER: Final = Reason(
    "l2tp-no-answer",
    "L2tpNoAnswer",
    "The provider's server does not answer over L2TP. Check the server's address, and whether a firewall or router "
    "in between blocks UDP port 1701.",
)
L2TP_PORT_IN_USE: Final = Reason(
    "l2tp-port-in-use",
    "L2tpPortInUse",
    "xl2tpd gets no UDP port on this machine. Look in the link's log for what it says of it; any free port will do, so "
    "another program on port 1701 is not the cause.",
)
L2TP_CALL_LOST: Final = Reason(
    "l2tp-call-lost",
    "L2tpCallLost",
    "xl2tpd lost track of its call. Install another version of xl2tpd if this goes on.",
)
GRE_BLOCKED: Final = Reason(
    "gre-blocked",
    "GreBlocked",
    "The server accepted the call, but nothing comes back through the tunnel. Check whether a firewall blocks GRE (IP "
    "protocol 47): this machine's own, which the diagnosis tells of and the setting firewall opens, or one in between.",
    pause=60.0,
)
LOCAL_FIREWALL: Final = Reason(
    "local-firewall",
    "LocalFirewall",
    "This machine's own firewall rejects the tunnel's packets. Let GRE (IP protocol 47), or by L2TP UDP port 1701, out "
    "to the provider's server.",
)
MTU_TOO_LARGE: Final = Reason(
    "mtu-too-large",
    "MtuTooLarge",
    "The tunnel's packets are too large for the cable. Set the link's `mtu` to a smaller number, such as 1400.",
)
LOOP: Final = Reason(
    "loop",
    "Loop",
    "The tunnel's own packets were sent back into the tunnel. Look for a route to the server that is not Cablecar's.",
)
LOOPBACK: Final = Reason(
    "loopback",
    "Loopback",
    "This machine's own packets came back to it instead of the server's answers. Check the server's address, and look "
    "for a route to it that is not Cablecar's; then connect.",
    retry=False,
)

# What is agreed upon with the server.
ENCRYPTION_MISMATCH: Final = Reason(
    "encryption-mismatch",
    "EncryptionMismatch",
    "The provider and this link do not agree on encryption. Change the link's `encryption` setting.",
    retry=False,
)
ENCRYPTION_REQUIRED: Final = Reason(
    "encryption-required",
    "EncryptionRequired",
    "The provider demands encryption. Set the link's `encryption` to `required`, and its `authentication` to "
    "`mschapv2`.",
    retry=False,
)
ENCRYPTION_LOST: Final = Reason(
    "encryption-lost",
    "EncryptionLost",
    "Encryption broke off during the call, because packets were lost or came out of order. "
    "Remove `mppe-stateful` from the link's `ppp_options` if it is there, and call the provider if this goes on.",
)
NO_ADDRESS: Final = Reason(
    "no-address",
    "NoAddress",
    "The provider gave this call no address; it may have none left. Wait, and call the provider if this goes on.",
)
ADDRESS_REFUSED: Final = Reason(
    "address-refused",
    "AddressRefused",
    "The provider does not accept the addresses that this link asks for. Remove addresses from the link's "
    "`ppp_options`, or call the provider.",
)
NEGOTIATION_FAILED: Final = Reason(
    "negotiation-failed",
    "NegotiationFailed",
    "The provider's server and this machine did not agree on the call. Call the provider if this goes on.",
)
TIMED_OUT: Final = Reason(
    "timed-out",
    "TimedOut",
    "The call was not established in time. Wait, because the provider's server may be overloaded.",
)

# The end of a call that was up.
TERMINATED_BY_PEER: Final = Reason(
    "terminated-by-peer", "TerminatedByPeer", "The provider ended the call. Call the provider if this goes on."
)
SERVER_SHUTDOWN: Final = Reason(
    "server-shutdown",
    "ServerShutdown",
    "The provider's staff shut the call or the server down. Wait, and call the provider if this goes on.",
)
SESSION_LIMIT: Final = Reason(
    "session-limit",
    "SessionLimit",
    "The provider ends calls after a set time, and this one's was over. Connect again if Cablecar does not.",
)
HANGUP: Final = Reason(
    "hangup",
    "Hangup",
    "The connection to the provider's server was closed. Check the modem if this goes on, then call the provider.",
)
PATH_LOST: Final = Reason(
    "path-lost",
    "PathLost",
    "The provider's server stopped answering: the line is cut or the server is down. Check the modem if this goes on.",
)
INTERRUPTED: Final = Reason(
    "interrupted",
    "Interrupted",
    "The program that holds the call (pppd) was killed on this machine. Look into the journal if this goes on.",
)
HUNG_UP_HERE: Final = Reason(
    "hung-up-here",
    "HungUpHere",
    "The call was ended on this machine (poff, or systemctl stop of the link's unit). Connect again when you want.",
    retry=False,
)
IDLE: Final = Reason(
    "idle",
    "Idle",
    "Nothing was sent for as long as the link's `idle` option allows. Connect again when you want.",
    retry=False,
)
TIME_LIMIT: Final = Reason(
    "time-limit",
    "TimeLimit",
    "The link's own `maxconnect` option ended the call. Remove it from `ppp_options` if that is not wanted.",
)
TRAFFIC_LIMIT: Final = Reason(
    "traffic-limit",
    "TrafficLimit",
    "The link's own `maxoctets` option ended the call. Connect again when you want, or raise the limit.",
    retry=False,
)

# This machine.
NO_KERNEL_SUPPORT: Final = Reason(
    "no-kernel-support",
    "NoKernelSupport",
    "This machine's kernel lacks what the call needs (PPP, PPPoE, L2TP or MPPE). Install the distribution's full "
    "kernel package, take the module off any blacklist in /etc/modprobe.d, then reboot.",
    retry=False,
)
PROGRAM_MISSING: Final = Reason(
    "program-missing",
    "ProgramMissing",
    "A program that the call needs is not installed. Install the packages ppp and pptp-linux, for L2TP also xl2tpd.",
    retry=False,
)
PLUGIN_MISSING: Final = Reason(
    "plugin-missing",
    "PluginMissing",
    "pppd cannot load a plugin that the call needs. Install the package ppp again, so that both have one version.",
    retry=False,
)
UNSAFE_FILE: Final = Reason(
    "unsafe-file",
    "UnsafeFile",
    "pppd refuses a file because somebody else than root may change it or a folder above it. Look for its name in the "
    "journal of the link's unit; give it and its folders to root, and take the others' right to write.",
    retry=False,
)
NO_PRIVILEGE: Final = Reason(
    "no-privilege",
    "NoPrivilege",
    "pppd runs without the rights that it needs. Undo local changes to the unit cablecar-link@.service, then connect.",
    retry=False,
)
DEVICE_LOCKED: Final = Reason(
    "device-locked",
    "DeviceLocked",
    "Another program uses the line that this link dials on. Stop it, then connect.",
    retry=False,
)
EARLIER_CALL: Final = Reason(
    "earlier-call",
    "EarlierCall",
    "An earlier call to the same server still runs on this machine. End its pptp process if this goes on.",
)
INTERFACE_NAME: Final = Reason(
    "interface-name",
    "InterfaceName",
    "The tunnel's interface could not be renamed. Choose another `ifname` in the link's `ppp_options`, and check the "
    "scripts in /etc/ppp that rename interfaces.",
)
ADDRESS_TAKEN: Final = Reason(
    "address-taken",
    "AddressTaken",
    "Another program on this machine took the tunnel's interface down or its address away. Keep network managers off "
    "interfaces that begin with ppp if this goes on.",
)
FOREIGN_PEER_FILE: Final = Reason(
    "foreign-peer-file",
    "ForeignPeerFile",
    "The file that has this link's name in /etc/ppp/peers was not made by Cablecar and stays as it is. Remove it or "
    "give it another name, then connect.",
    retry=False,
)
STORAGE: Final = Reason(
    "storage",
    "Storage",
    "Cablecar could not read or write one of its own files. Look for its name in the helper's journal (journalctl "
    "--unit cablecar-helper); check that the disk is not full, and that the file belongs to root alone.",
    pause=60.0,
)
UNWRITABLE_FILE: Final = Reason(
    "unwritable-file",
    "UnwritableFile",
    "pppd could not write its files. Check that the disk is not full and that /etc/ppp and /run can be written to.",
)
BAD_CONFIGURATION: Final = Reason(
    "bad-configuration",
    "BadConfiguration",
    "pppd does not accept the options of this link. Look for the option's name in the journal of the link's unit, "
    "and correct the link's `ppp_options`.",
    retry=False,
)
FAILED: Final = Reason(
    "failed", "ConnectionFailed", "The call failed. Look into the journal of the link's unit: it says more."
)

ALL: Final = (
    NONE,
    REQUESTED,
    NO_PASSWORD,
    AUTHENTICATION_FAILED,
    ACCOUNT_DISABLED,
    ACCOUNT_REFUSED,
    PASSWORD_EXPIRED,
    LOGON_HOURS,
    ALREADY_CONNECTED,
    AUTHENTICATION_TIMEOUT,
    METHOD_REFUSED,
    SERVER_NOT_GENUINE,
    PEER_NOT_AUTHENTICATED,
    SUSPENDED,
    NO_CABLE,
    SERVER_NOT_FOUND,
    SERVER_IMPLAUSIBLE,
    SERVER_UNREACHABLE,
    SERVER_REFUSED,
    SERVER_BUSY,
    NOT_ADMITTED,
    NO_CONCENTRATOR,
    NO_SESSION,
    L2TP_NO_ANSWER,
    L2TP_PORT_IN_USE,
    L2TP_CALL_LOST,
    GRE_BLOCKED,
    LOCAL_FIREWALL,
    MTU_TOO_LARGE,
    LOOP,
    LOOPBACK,
    ENCRYPTION_MISMATCH,
    ENCRYPTION_REQUIRED,
    ENCRYPTION_LOST,
    NO_ADDRESS,
    ADDRESS_REFUSED,
    NEGOTIATION_FAILED,
    TIMED_OUT,
    TERMINATED_BY_PEER,
    SERVER_SHUTDOWN,
    SESSION_LIMIT,
    HANGUP,
    PATH_LOST,
    INTERRUPTED,
    HUNG_UP_HERE,
    IDLE,
    TIME_LIMIT,
    TRAFFIC_LIMIT,
    NO_KERNEL_SUPPORT,
    PROGRAM_MISSING,
    PLUGIN_MISSING,
    UNSAFE_FILE,
    NO_PRIVILEGE,
    DEVICE_LOCKED,
    EARLIER_CALL,
    INTERFACE_NAME,
    ADDRESS_TAKEN,
    FOREIGN_PEER_FILE,
    STORAGE,
    UNWRITABLE_FILE,
    BAD_CONFIGURATION,
    FAILED,
)
BY_ID: Final = {reason.id: reason for reason in ALL}
