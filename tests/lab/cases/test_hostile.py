"""Hostile user names and passwords before a real server: it is told them as they are, and nothing else happens."""

import itertools
import sys
import time
from pathlib import Path

import lab
import oracle
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "shared"))

import hostile

# Each password once, with each user at least once.
PASSWORDS = (*hostile.PASSWORDS_CARRIED, *hostile.RANDOM_PASSWORDS[:4])
LOGINS = list(zip(itertools.cycle(reversed(hostile.USERS_CARRIED)), PASSWORDS))
TOGETHER = 4  # logins of one test: the lab takes one that is silent for minutes for hung


def log_in(user: str, password: str) -> str:
    """Make a call as this user to a server that knows no other, and end it; return what went wrong."""
    lab.isp("user", user)
    lab.isp("password", password)
    # By PAP the server's pppd compares what it prints of a password, and its versions print other letters than ASCII's
    # differently. And what is pinned after a login by CHAP would refuse the next one by PAP.
    lab.isp("auth", "pap" if password.isascii() else "chap")
    lab.link("Update", "a{sv}", "2", "user", "s", user, "authentication", "as", "0")
    lab.link("SetPassword", "s", password)
    answer = lab.link("Connect", check=False)
    if answer.ok and tells(password):
        oracle.check_command_lines(password)
    lab.link("Disconnect")
    return "" if answer.ok else f"{user!r} with {password!r}: {answer.error}"


def tells(password: str) -> bool:
    """Whether finding this somewhere means that a password was there."""
    return len(password) > 8 and password not in hostile.USERS_CARRIED


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("first", range(0, len(LOGINS), TOGETHER))
def test_every_user_and_every_password_logs_in(first: int) -> None:
    before, begin = oracle.foreign_files(), time.strftime("%F %T")
    logins = LOGINS[first : first + TOGETHER]
    refused = [log_in(user, password) for user, password in logins]
    assert not any(refused), "\n".join(filter(None, refused))
    ours = f"/etc/ppp/peers/{lab.LINK}"
    assert {path: facts for path, facts in oracle.foreign_files().items() if path != ours} == before
    for _, password in logins:
        if tells(password):
            oracle.check_log(password, begin)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("command", ["user", "password"])
def test_the_server_does_compare(command: str) -> None:
    assert log_in('a "b', "x \\y") == ""
    lab.isp(command, 'a "B')
    assert "refused the user name or password" in lab.link("Connect", check=False).error
