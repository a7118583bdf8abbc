"""The client against a fake helper on a private bus."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PyQt6 import sip
from PyQt6.QtCore import QObject, QTimer
from PyQt6.QtWidgets import QApplication

from cablecar.applet import words
from cablecar.applet.client import BAD_REPLY, Client
from cablecar.applet.model import CallError, Helper, Snapshot, Verb
from cablecar.applet.wire import uint32, variant_dict
from cablecar.helper import names

HOME = "/org/cablecar1/link/home"
PROPERTIES = "org.freedesktop.DBus.Properties"


class Heard:
    """What a client said."""

    def __init__(self, client: Client) -> None:
        self.snapshots: list[Snapshot] = []
        self.answered: list[str] = []
        self.refused: list[tuple[str, CallError]] = []
        client.changed.connect(self.snapshots.append)
        client.answered.connect(self.answered.append)
        client.refused.connect(lambda path, error: self.refused.append((path, error)))


@pytest.fixture
def client(application: QApplication) -> Iterator[Client]:
    made = Client()
    yield made
    made.deleteLater()


@pytest.fixture
def running(helper: Any, client: Client, eventually: Any) -> Client:
    client.start()
    eventually(lambda: client.snapshot.links and not client.snapshot.links[0].partial)
    return client


def state(client: Client) -> str:
    return client.snapshot.links[0].state if client.snapshot.links else ""


def test_reads_everything(helper: Any, client: Client, eventually: Any) -> None:
    helper.do("add", name="work", State="up", Since=5_000_000, quiet=True)
    client.start()
    assert client.snapshot.helper is Helper.ASKING
    eventually(lambda: len(client.snapshot.links) == 2 and not any(link.partial for link in client.snapshot.links))
    home, work = client.snapshot.links
    assert (client.snapshot.helper, home.title, home.state) == (Helper.RUNNING, "Home & Co <b>", "down")
    assert (work.title, work.state, work.since) == ("work", "up", 5)
    assert not any(call["interactive"] for call in helper.seen("call"))


def test_a_state_arrives_within_100_ms(helper: Any, running: Client, eventually: Any) -> None:
    slowest = 0.0
    for step in ("dialing", "up", "waiting", "dialing", "up", "down"):
        began = time.monotonic()
        helper.do("set", name="home", State=step)
        eventually(lambda step=step: state(running) == step)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 0.1


def test_links_come_and_go(helper: Any, running: Client, eventually: Any) -> None:
    helper.do("add", name="work", State="waiting", Reason="no-cable")
    eventually(
        lambda: [(link.name, link.reason) for link in running.snapshot.links] == [("home", ""), ("work", "no-cable")]
    )
    helper.do("remove", name="home")
    eventually(lambda: [link.name for link in running.snapshot.links] == ["work"])


def test_invalidated_properties_are_read_again(helper: Any, running: Client, eventually: Any) -> None:
    helper.do("add", name="home", State="up", quiet=True)
    helper.do(
        "emit", path=HOME, interface=PROPERTIES, member="PropertiesChanged", signature="sa{sv}as",
        body=[names.LINK_INTERFACE, {}, ["State"]],
    )  # fmt: skip
    eventually(lambda: state(running) == "up")


def test_a_change_that_overtakes_the_answer_is_not_lost(helper: Any, client: Client, eventually: Any) -> None:
    change = {"name": "home", "State": "dialing", "Phase": "connecting"}
    helper.do("outcome", member="GetAll", overtaken_by=["set", change])
    client.start()
    eventually(lambda: client.snapshot.links and not client.snapshot.links[0].partial)
    link = client.snapshot.links[0]
    assert (link.title, link.state, link.phase) == ("Home & Co <b>", "dialing", "connecting")
    helper.do("set", name="home", State="up")
    eventually(lambda: state(client) == "up")
    assert client._heard == {HOME: []}


def test_a_link_that_overtakes_the_list_is_not_lost(helper: Any, client: Client, eventually: Any) -> None:
    helper.do("outcome", member="ListLinks", overtaken_by=["add", {"name": "work"}])
    client.start()
    eventually(lambda: [link.name for link in client.snapshot.links if not link.partial] == ["home", "work"])


def test_a_removal_that_overtakes_the_list_is_not_lost(helper: Any, client: Client, eventually: Any) -> None:
    helper.do("add", name="work", quiet=True)
    helper.do("outcome", member="ListLinks", overtaken_by=["remove", {"name": "work"}])
    client.start()
    eventually(lambda: [link.name for link in client.snapshot.links if not link.partial] == ["home"])


@pytest.mark.parametrize(
    ("path", "member", "signature", "body"),
    [
        (HOME, "PropertiesChanged", "s", ["org.cablecar1.Link"]),
        (HOME, "PropertiesChanged", "sas", ["org.cablecar1.Link", ["State"]]),
        (HOME, "PropertiesChanged", "sa{sv}as", ["org.example.Link", {}, ["State"]]),
        ("/org/cablecar1/link/none", "PropertiesChanged", "sa{sv}as", ["org.cablecar1.Link", {}, ["State"]]),
        ("/org/cablecar1", "LinkAdded", "s", ["/org/cablecar1/link/work"]),
        ("/org/cablecar1", "LinkAdded", "o", ["/etc/passwd"]),
        ("/org/cablecar1", "LinkAdded", "", []),
        ("/org/cablecar1", "LinkRemoved", "s", [HOME]),
        ("/org/cablecar1", "Checked", "ss", ["home", "good"]),
        ("/org/cablecar1", "LinkRemoved", "o", ["/elsewhere"]),
    ],
)
def test_odd_signals_are_ignored(
    helper: Any, running: Client, eventually: Any, path: str, member: str, signature: str, body: list[Any]
) -> None:
    heard = Heard(running)
    interface = PROPERTIES if member == "PropertiesChanged" else names.MANAGER_INTERFACE
    helper.do("emit", path=path, interface=interface, member=member, signature=signature, body=body)
    helper.do("set", name="home", State="up")
    eventually(lambda: state(running) == "up")
    assert len(heard.snapshots) == 1
    assert [call["member"] for call in helper.seen("call")] == ["ListLinks", "GetAll", "Get"]  # what the start asks


@pytest.mark.parametrize("unicast", [False, True])
def test_an_impostor_is_ignored(helper: Any, running: Client, start: Any, eventually: Any, unicast: bool) -> None:
    impostor = start("helper.py", "--no-name")
    heard = Heard(running)
    assert running._bus is not None
    to = running._bus.baseService() if unicast else None
    impostor.do(
        "emit", path="/org/cablecar1", interface=names.MANAGER_INTERFACE, member="LinkRemoved", signature="o",
        body=[HOME], to=to,
    )  # fmt: skip
    helper.do("set", name="home", State="up")
    eventually(lambda: state(running) == "up")
    assert [snapshot.links[0].state for snapshot in heard.snapshots] == ["up"]


@pytest.mark.parametrize(
    ("signature", "body"),
    [("s", ["up"]), ("as", [["home"]]), ("a(ss)", [[["home", HOME]]]), ("a(sss)", [[["home", HOME, "up"]]]), ("", [])],
)
def test_an_answer_of_another_shape_is_a_problem_not_a_crash(
    helper: Any, client: Client, eventually: Any, signature: str, body: list[Any]
) -> None:
    helper.do("list_as", signature=signature, body=body)
    client.start()
    eventually(lambda: client.snapshot.helper is Helper.ABSENT)
    assert client.snapshot.problem == BAD_REPLY
    assert words.helper(client.snapshot)


def test_odd_property_values_are_shown_generically(helper: Any, client: Client, eventually: Any) -> None:
    odd = {
        "State": ["ai", [1, 2]],
        "Title": ["u", 7],
        "Since": ["s", "soon"],
        "Reason": ["as", ["x"]],
        "Phase": ["d", 1.5],
    }
    helper.do("add", name="home", quiet=True, **odd)
    client.start()
    eventually(lambda: client.snapshot.links and not client.snapshot.links[0].partial)
    link = client.snapshot.links[0]
    assert (link.title, link.state, link.since, link.reason) == ("home", "unknown", 0, "")


@pytest.mark.parametrize("verb", list(Verb))
def test_clicks_ask_interactively(helper: Any, running: Client, eventually: Any, verb: Verb) -> None:
    heard = Heard(running)
    running.act(HOME, verb)
    eventually(lambda: heard.answered == [HOME])
    [call] = eventually(lambda: helper.seen("call", member=verb.value))
    assert (call["path"], call["interface"], call["signature"]) == (HOME, names.LINK_INTERFACE, "")
    assert call["interactive"]


def test_an_error_becomes_words(helper: Any, running: Client, eventually: Any) -> None:
    heard = Heard(running)
    helper.do("outcome", member="Connect", error="org.cablecar1.Error.AuthenticationFailed", text="\x1b[0mwrong\n")
    running.act(HOME, Verb.CONNECT)
    eventually(lambda: heard.refused)
    [(path, error)] = heard.refused
    assert (path, error) == (HOME, CallError("org.cablecar1.Error.AuthenticationFailed", "[0mwrong"))
    assert words.error(error).startswith("The provider refused the user name or password.")


def test_a_slow_helper_does_not_block(helper: Any, running: Client, eventually: Any) -> None:
    heard = Heard(running)
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    helper.do("outcome", member="Connect", hang=True)
    began = time.monotonic()
    running.act(HOME, Verb.CONNECT)
    assert time.monotonic() - began < 0.05
    eventually(lambda: helper.seen("call", member="Connect"))
    helper.do("set", name="home", State="dialing")
    eventually(lambda: state(running) == "dialing" and len(ticks) > 20)
    assert not heard.answered
    helper.do("release")
    eventually(lambda: heard.answered == [HOME])
    assert max(after - before for before, after in itertools.pairwise(ticks)) < 0.1


def test_no_helper_is_said_and_tried_again(client: Client, start: Any, eventually: Any) -> None:
    client.start()
    eventually(lambda: client.snapshot.helper is Helper.ABSENT)
    assert "not installed" in words.helper(client.snapshot)
    start("helper.py")
    eventually(lambda: client.snapshot.helper is Helper.RUNNING)
    assert client.snapshot.links == ()


def test_a_restarted_helper_is_read_anew(helper: Any, running: Client, start: Any, eventually: Any) -> None:
    helper.do("outcome", member="Connect", hang=True)
    heard = Heard(running)
    running.act(HOME, Verb.CONNECT)
    eventually(lambda: helper.seen("call", member="Connect"))
    helper.stop()
    eventually(lambda: running.snapshot.helper is Helper.GONE)
    assert [link.name for link in running.snapshot.links] == ["home"]
    eventually(lambda: heard.refused)
    assert not words.needs_saying(heard.refused[0][1])
    again = start("helper.py")
    again.do("add", name="work", State="up")
    eventually(
        lambda: running.snapshot.helper is Helper.RUNNING and [x.name for x in running.snapshot.links] == ["work"]
    )
    again.do("set", name="work", State="waiting")
    eventually(lambda: state(running) == "waiting")


def test_no_bus_is_a_problem_not_a_crash(
    application: QApplication, monkeypatch: pytest.MonkeyPatch, eventually: Any, start: Any
) -> None:
    address = os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    client = Client()
    client.start()
    eventually(lambda: client.snapshot.helper is Helper.ABSENT)
    assert words.helper(client.snapshot)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    start("helper.py")
    client.start()
    eventually(lambda: client.snapshot.helper is Helper.RUNNING)
    client.deleteLater()


FOLLOWS = """
import sys
from PyQt6.QtCore import QCoreApplication, QTimer
from cablecar.applet import words
from cablecar.applet.client import Client
from cablecar.applet.model import Helper

def changed(snapshot):
    print(words.helper(snapshot) or [link.state for link in snapshot.links if not link.partial], flush=True)
    if snapshot.helper is Helper.ABSENT:
        QTimer.singleShot(100, client.start)

application = QCoreApplication([])
client = Client()
client.changed.connect(changed)
client.start()
application.exec()
"""


def test_a_bus_that_dies_is_said_and_opened_anew(start: Any, tmp_path: Path, eventually: Any) -> None:
    # In a process of its own: libdbus remembers for ever where the bus was.
    address = f"unix:path={tmp_path}/bus"
    own = {"DBUS_SYSTEM_BUS_ADDRESS": address}
    said = tmp_path / "said"
    daemon = ["dbus-daemon", "--session", f"--address={address}", "--nofork", "--print-address=1"]
    processes: list[subprocess.Popen[str]] = []

    def bus() -> None:
        processes.append(subprocess.Popen(daemon, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        assert processes[-1].stdout is not None and processes[-1].stdout.readline()
        start("helper.py", environment=own).do("add", name="home", State="up")

    try:
        bus()
        with said.open("w") as output:
            client = subprocess.Popen([sys.executable, "-c", FOLLOWS], env=os.environ | own, stdout=output, text=True)
        processes.insert(0, client)
        eventually(lambda: said.read_text().endswith("['up']\n"))
        processes[-1].kill()
        eventually(lambda: "The system bus cannot be reached.\n" in said.read_text())
        bus()
        eventually(lambda: said.read_text().endswith("['up']\n"))
    finally:
        for process in processes:
            process.kill()
            process.communicate()


class Asker(QObject):
    """Asks, as a window does, and keeps the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Any] = []

    def arrived(self, answer: Any) -> None:
        self.answers.append(answer)

    def arrived_at(self, _place: str, answer: Any) -> None:
        self.answers.append(answer)

    def ways(self) -> list[Callable[[Any], None]]:
        return [self.arrived, partial(self.arrived_at, "here"), lambda answer: self.arrived(answer)]


def test_ask_sends_what_the_contract_says(helper: Any, running: Client, eventually: Any) -> None:
    asker = Asker()
    values = variant_dict({"mtu": 1400, "debug": True, "authentication": ["pap", "chap"], "route": []})
    running.ask("/org/cablecar1", names.MANAGER_INTERFACE, "AddLink", ["home", values], "", asker.arrived, clicked=True)
    running.ask(HOME, names.LINK_INTERFACE, "Log", [uint32(5)], "", asker.arrived)
    eventually(lambda: len(asker.answers) == 2)
    [add], [log] = helper.seen("call", member="AddLink"), helper.seen("call", member="Log")
    assert (add["signature"], add["interactive"]) == ("sa{sv}", True)
    assert (log["signature"], log["body"], log["interactive"]) == ("u", [5], False)
    for kind in ("('u', 1400)", "('b', True)", "('as', ['pap', 'chap'])", "('as', [])"):
        assert kind in add["body"][1]


def test_ask_answers_errors_and_other_shapes(helper: Any, running: Client, eventually: Any) -> None:
    asker = Asker()
    running.ask(HOME, names.LINK_INTERFACE, "Details", (), "a{sv}", asker.arrived)
    helper.do("outcome", member="Log", error="org.cablecar1.Error.NotAuthorized", text="no")
    running.ask(HOME, names.LINK_INTERFACE, "Log", [uint32(5)], "as", asker.arrived)
    eventually(lambda: len(asker.answers) == 2)
    assert asker.answers == [BAD_REPLY, CallError("org.cablecar1.Error.NotAuthorized", "no")]


@pytest.mark.parametrize("way", range(3))
def test_who_is_gone_hears_nothing(helper: Any, running: Client, eventually: Any, way: int) -> None:
    helper.do("outcome", member="Details", hang=True)
    asker, other = Asker(), Asker()
    for one in (asker, other):
        running.ask(HOME, names.LINK_INTERFACE, "Details", (), "", one.ways()[way])
    eventually(lambda: len(helper.seen("call", member="Details")) == 2)
    sip.delete(asker)
    helper.do("release")
    eventually(lambda: other.answers)
    assert asker.answers == []
