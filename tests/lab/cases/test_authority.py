"""Who may do what: the real polkitd, logind and dbus-daemon; alice sits at the machine, mallory does not."""

import lab
import oracle
import pytest

CONNECT = ("busctl", "call", "org.cablecar1", lab.PATH, "org.cablecar1.Link", "Connect")
DISCONNECT = (*CONNECT[:-1], "Disconnect")
ADD = ("busctl", "call", *lab.MANAGER, "AddLink", "sa{sv}", "evil", "2", "server", "s", lab.SERVER, "user", "s", "u")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
INACTIVE = ("login-as", "--inactive", "mallory")
REMOTE = ("login-as", "--remote", "mallory")
ALICE = ("desktop", "run")
NEEDS_ADMIN = "needs an administrator's password"


@pytest.mark.usefixtures("configured")
def test_the_active_user_connects_without_a_password() -> None:
    lab.run(*ALICE, *CONNECT)
    assert lab.prop("State") == "up"
    lab.run(*ALICE, *DISCONNECT)
    assert lab.prop("State") == "down"


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("who", [NOBODY, INACTIVE, REMOTE], ids=["nobody", "inactive", "remote"])
def test_others_do_not(who: tuple[str, ...]) -> None:
    for command in (CONNECT, (*CONNECT[:-1], "Details"), (*CONNECT[:-1], "SetPassword", "s", "x"), ADD):
        refused = lab.run(*who, *command, check=False)
        assert not refused.ok
        assert NEEDS_ADMIN in refused.output + refused.error
    assert lab.prop("State") == "down"
    assert lab.run(*who, "busctl", "call", *lab.MANAGER, "ListLinks").output.split()[2] == f'"{lab.LINK}"'


@pytest.mark.usefixtures("configured")
def test_a_link_is_added_by_an_administrator_only() -> None:
    for command in (ADD, (*ADD[:2], "--allow-interactive-authorization=no", *ADD[2:])):
        refused = lab.run(*ALICE, *command, check=False)
        assert not refused.ok
        assert NEEDS_ADMIN in refused.output + refused.error
    assert "evil" not in lab.manager("ListLinks").output


@pytest.mark.usefixtures("up")
def test_another_users_link_is_not_alices_to_end() -> None:
    refused = lab.run(*ALICE, *DISCONNECT, check=False)  # root asked for it
    assert not refused.ok
    assert NEEDS_ADMIN in refused.output + refused.error
    lab.run(*ALICE, *CONNECT)  # it is up: that succeeds, and does not make it hers
    assert not lab.run(*ALICE, *DISCONNECT, check=False).ok
    assert lab.prop("State") == "up"


@pytest.mark.usefixtures("configured")
def test_without_polkit_nobody_is_let_in_but_root() -> None:
    lab.run("systemctl", "mask", "--runtime", "--now", "polkit.service")
    try:
        refused = lab.run(*ALICE, *CONNECT, check=False)
        assert not refused.ok
        assert "Is polkit running" in refused.output + refused.error
        lab.link("Connect")
    finally:
        lab.run("systemctl", "unmask", "--runtime", "polkit.service")


@pytest.mark.usefixtures("configured")
def test_the_bus_keeps_others_from_being_the_helper_or_sending_it_signals() -> None:
    others = lab.run(*NOBODY, "busctl", "call", "org.cablecar1", "/org/cablecar1",
                     "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", check=False)  # fmt: skip
    assert "Access denied" in others.error
    own = lab.run(*NOBODY, "busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                  "RequestName", "su", "org.cablecar1", "0", check=False)  # fmt: skip
    assert "Access denied" in own.error or "not allowed to own" in own.error  # as systemd 252 and 257 put it
    for who, interface, refused in ((NOBODY, "nobodys.signal", True), ((), "roots.signal", False)):
        lab.run(*who, "dbus-send", "--system", "--type=signal", "--dest=org.cablecar1", "/x", f"{interface}.S")
        lab.bus("org.cablecar1", "/org/cablecar1", "org.freedesktop.DBus.Peer", "Ping")  # the bus has seen to it
        rejections = [line for line in lab.journal("-t", "dbus-daemon").splitlines() if "Rejected send message" in line]
        assert any(interface in line for line in rejections) == refused


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("AddLink", "sa{sv}", "../evil", "0"), "link's name has lower-case letters"),
        (("AddLink", "sa{sv}", "evil", "1", "pty", "s", "sh"), "There is no setting `pty`"),
        (("AddLink", "sa{sv}", "evil", "1", "server", "s", "203.0.113.7; id"), "`server` must be a host name"),
        (("AddLink", "sa{sv}", "evil", "1", "server", "s", lab.SERVER), "`user` is missing"),
        (("RemoveLink", "s", "nothere"), "There is no link of this name"),
    ],
)
def test_bad_input_gets_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    before = oracle.foreign_files()
    refused = lab.manager(*arguments, check=False)
    assert not refused.ok
    assert sentence in refused.error
    assert oracle.foreign_files() == before


def test_a_foreign_peer_file_is_not_taken_over() -> None:
    path = "/etc/ppp/peers/byhand"
    with open(path, "w") as file:
        file.write("noauth\n")
    before = oracle.foreign_files()
    refused = lab.manager("AddLink", "sa{sv}", "byhand", "2", "server", "s", lab.SERVER, "user", "s", "u", check=False)
    assert "was not made by Cablecar" in refused.error
    assert oracle.foreign_files() == before
    lab.run("rm", path)
