"""The bus policy, the activation file and the polkit actions, against the programs that read them."""

import configparser
import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cablecar.helper import names

ROOT = Path(__file__).parents[2]
BUS_POLICY = ROOT / "dbus" / "org.cablecar1.conf"
ACTIVATION = ROOT / "dbus" / "org.cablecar1.service"
ACTIONS = ROOT / "polkit" / "org.cablecar1.policy"
ACTIONS_DTD = Path("/usr/share/polkit-1/policyconfig-1.dtd")  # Debian's polkitd brings it

# Who may do what: somebody at no seat (any), in a session in the background, at the screen.
DEFAULTS = {
    names.ACTION_CONNECT: ("auth_admin", "auth_admin", "yes"),
    names.ACTION_DISCONNECT_OTHER: ("auth_admin", "auth_admin", "auth_admin"),
    names.ACTION_VIEW_DETAILS: ("auth_admin_keep", "auth_admin_keep", "yes"),
    names.ACTION_MODIFY: ("auth_admin", "auth_admin", "auth_admin_keep"),
    names.ACTION_SYSTEM: ("auth_admin", "auth_admin", "auth_admin"),
}


def load_bus_policy(policy: Path, folder: Path) -> str:
    """Return what a dbus-daemon complains of when it reads `policy`; empty when nothing."""
    config = folder / "bus.conf"
    config.write_text(
        f"""<busconfig>
            <listen>unix:path={folder}/socket</listen>
            <policy context="default"><allow user="*"/></policy>
            <include>{policy}</include>
        </busconfig>"""
    )
    read, write = os.pipe()
    # It prints its address when it has read everything, and ends at once when it could not.
    daemon = subprocess.Popen(
        ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", f"--print-address={write}"],
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[write],
    )
    os.close(write)
    with open(read) as address:
        ready = address.readline()
    daemon.terminate()
    _, said = daemon.communicate(timeout=10)
    return "" if ready else said or "it gave no address"


def actions(path: Path) -> dict[str, tuple[str | None, ...]]:
    """Return the actions of a polkit file with their defaults for any, inactive and active."""
    return {
        action.get("id", ""): tuple(action.findtext(f"defaults/allow_{who}") for who in ("any", "inactive", "active"))
        for action in ElementTree.parse(path).iter("action")
    }


def test_dbus_daemon_takes_the_policy(tmp_path: Path) -> None:
    assert not load_bus_policy(BUS_POLICY, tmp_path)


def test_dbus_daemon_refuses_a_broken_policy(tmp_path: Path) -> None:
    broken = tmp_path / "broken.conf"
    broken.write_text('<busconfig><policy context="default"><allow owns="org.cablecar1"/></policy></busconfig>')
    assert "owns" in load_bus_policy(broken, tmp_path)


def test_only_root_may_own_the_name() -> None:
    policies = ElementTree.parse(BUS_POLICY).getroot().findall("policy")
    owners = [
        policy.attrib for policy in policies for rule in policy.findall("allow") if rule.get("own") == names.BUS_NAME
    ]
    assert owners == [{"user": "root"}]
    assert not [rule for policy in policies for rule in policy.iter("allow") if "own_prefix" in rule.attrib]


def test_others_reach_named_interfaces_only() -> None:
    (default,) = (
        policy
        for policy in ElementTree.parse(BUS_POLICY).getroot().findall("policy")
        if policy.get("context") == "default"
    )
    allowed = {rule.get("send_interface") for rule in default.findall("allow")}
    assert allowed == {
        names.MANAGER_INTERFACE,
        names.LINK_INTERFACE,
        "org.freedesktop.DBus.Introspectable",
        "org.freedesktop.DBus.Peer",
        "org.freedesktop.DBus.Properties",
    }


def test_only_systemd_starts_the_helper() -> None:
    file = configparser.ConfigParser(interpolation=None)
    file.optionxform = str  # type: ignore[assignment, method-assign]  # keys are case-sensitive here
    file.read(ACTIVATION)
    assert dict(file["D-BUS Service"]) == {
        "Name": names.BUS_NAME,
        "Exec": "/bin/false",
        "User": "root",
        "SystemdService": "cablecar-helper.service",
    }


def test_the_actions_follow_polkits_dtd() -> None:
    assert ACTIONS_DTD.exists(), "tests/setup-host check installs polkitd"
    done = subprocess.run(
        ["xmllint", "--noout", "--nonet", "--dtdvalid", str(ACTIONS_DTD), str(ACTIONS)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_actions_are_those_of_the_names_module() -> None:
    named = {value for key, value in vars(names).items() if key.startswith("ACTION_")}
    assert set(DEFAULTS) == named
    assert actions(ACTIONS) == DEFAULTS


@pytest.mark.parametrize("action", sorted(DEFAULTS))
def test_each_action_tells_people_what_they_allow(action: str) -> None:
    (found,) = (node for node in ElementTree.parse(ACTIONS).iter("action") if node.get("id") == action)
    assert found.findtext("description")
    assert found.findtext("message")
