"""Every recipe of dbus/COOKBOOK.md, run as it stands on the page; no recipe without a test."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from recipe import Recipe

PAGE = Path(__file__).parents[3] / "dbus" / "COOKBOOK.md"
STARTED = Path("/run/cablecar/started")  # a boot empties /run
NOON = [Path("/etc/systemd/system", f"{lab.LINK}-noon.{kind}") for kind in ("service", "timer")]


def recipes() -> dict[str, Recipe]:
    """Return the recipes of the page by their headings."""
    found = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        (commands,) = re.findall(r"^```sh\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
        prints = re.findall(r"^```text\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
        found[title] = Recipe(commands, "".join(prints))
    return found


RECIPES = recipes()
TESTED: set[str] = set()


def of(title: str) -> pytest.MarkDecorator:
    """Give a test the recipe with this heading."""
    TESTED.add(title)
    return pytest.mark.parametrize("recipe", [RECIPES[title]], ids=[title.replace(" ", "-")])


def test_every_recipe_is_tested() -> None:
    assert set(RECIPES) == TESTED
    assert PAGE.read_text().count("```sh\n") == len(RECIPES)


@pytest.fixture
def second(configured: None) -> Iterator[None]:
    """A link beside `yosefcom` may be made; it is gone afterwards."""
    yield
    lab.manager("RemoveLink", "s", "second", check=False)


@of("Add a link")
def test_add(recipe: Recipe, second: None) -> None:
    assert recipe.run() == recipe.prints
    assert 'title = "Second line"' in Path("/etc/cablecar/links/second.toml").read_text()


@of("Put the network back")
@pytest.mark.usefixtures("up")
def test_restore(recipe: Recipe) -> None:
    assert recipe.run() == recipe.prints
    assert lab.prop("State") == "down"
    assert lab.our_routes_and_rules() == []
    assert lab.call_processes() == []


@of("Remove a link")
def test_remove(recipe: Recipe, second: None) -> None:
    lab.run("sh", "-c", RECIPES["Add a link"].commands)
    lab.bus("org.cablecar1", "/org/cablecar1/link/second", "org.cablecar1.Link", "SetPassword", "s", "x")
    assert recipe.run() == recipe.prints
    assert "second" not in lab.manager("ListLinks").output
    for root in ("/etc/cablecar", "/etc/ppp", "/var/lib/cablecar"):
        assert list(Path(root).rglob("second*")) == []


@of("See who answers by PPPoE")
def test_discover(recipe: Recipe) -> None:
    ((answer,),) = json.loads(recipe.run())["data"]
    assert (answer["interface"]["data"], answer["concentrator"]["data"]) == ("eth0", "yosef-ac")
    assert answer["services"]["data"] == ["internet"]


@pytest.mark.usefixtures("configured")
@of("List the links with their states")
def test_list(recipe: Recipe) -> None:
    assert recipe.run() == recipe.prints


@pytest.mark.usefixtures("configured")
@of("Change the password")
def test_password(recipe: Recipe) -> None:
    lab.isp("password", "a new one")
    recipe.run_with_answer("Password of yosefcom", "a new one")
    lab.link("Connect")


@pytest.mark.parametrize("line", ["l2tp"], indirect=True)
@pytest.mark.usefixtures("configured")
@of("Set the secret of an L2TP tunnel")
def test_tunnel_secret(recipe: Recipe) -> None:
    lab.isp("secret", "s3cret!")
    recipe.run_with_answer("Tunnel secret of yosefcom", "s3cret!")
    lab.link("Connect")


@pytest.mark.usefixtures("configured")
@of("Connect, and act on why it failed")
def test_connect(recipe: Recipe) -> None:
    assert recipe.run() == "connected\n"
    lab.link("Disconnect")
    lab.isp("password", "another")
    assert recipe.shows(recipe.run())
    lab.isp("unplug")
    assert recipe.run().endswith("\nlook at the modem\n")


@pytest.mark.usefixtures("configured")
@of("Wait until a link is up")
def test_wait(recipe: Recipe, tmp_path: Path) -> None:
    with recipe.running(tmp_path / "output") as waiting:
        lab.link("Connect")
        waiting.wait(timeout=10)
        lab.link("Disconnect")
        with recipe.running(tmp_path / "output") as longer:
            lab.stays(lambda: longer.poll() is None, 3, "it waits while the link is down")
    assert (tmp_path / "output").read_text() == recipe.prints


@pytest.mark.usefixtures("up")
@of("Run a command at each drop")
def test_drop(recipe: Recipe, tmp_path: Path) -> None:
    def told() -> list[str]:
        return re.findall(r'"data":\["([a-z-]+)"', lab.run("journalctl", "-o", "cat", "-t", "yosefcom-dropped").output)

    def drop() -> list[str]:
        """Disconnect, connect and be dropped; return what was told until now."""
        lab.link("Disconnect")
        lab.link("Connect")
        first = lab.pppd_pid()
        lab.isp("kill")
        lab.eventually(lambda: lab.redialed(first), 30, "back by itself")
        return told()

    with recipe.running(tmp_path / "output"):
        lab.eventually(drop, 60, "a drop is told")  # nothing says when busctl has begun to listen
        assert set(drop()) == {"hangup"}


@pytest.mark.usefixtures("configured")
@of("Follow what a link does")
def test_follow(recipe: Recipe, tmp_path: Path) -> None:
    output = tmp_path / "output"
    heading, line = recipe.prints.splitlines()
    with recipe.running(output):
        lab.eventually(lambda: heading in output.read_text(), 20, "busctl listens")
        lab.link("Connect")
        lab.link("Disconnect")
        lab.eventually(lambda: "Member=Disconnected" in output.read_text(), 10, "the end is printed")
    assert line in output.read_text()


@pytest.mark.usefixtures("up")
@of("Show addresses, name servers and traffic")
def test_details(recipe: Recipe) -> None:
    details = json.loads(recipe.run())["data"][0]
    assert details["server"]["data"] == lab.SERVER
    assert details["remote_address"]["data"] == lab.PEER
    assert {"user", "interface", "local_address", "dns", "received", "sent"} <= set(details)


@pytest.mark.usefixtures("up")
@of("Reconnect now")
def test_reconnect(recipe: Recipe) -> None:
    first = lab.pppd_pid()
    assert recipe.run() == recipe.prints
    assert lab.prop("State") == "up"
    assert lab.pppd_pid() != first


@pytest.mark.usefixtures("configured")
@of("Connect at noon")
def test_noon(recipe: Recipe) -> None:
    try:
        assert recipe.run() == recipe.prints
        due = lab.run("systemctl", "show", "--property=NextElapseUSecRealtime", NOON[1].name).output
        assert "12:00:00" in due
        lab.run("systemctl", "start", NOON[0].name)  # as the timer does
        assert lab.prop("State") == "up"
    finally:
        lab.run("systemctl", "disable", "--now", NOON[1].name, check=False)
        for path in NOON:
            path.unlink(missing_ok=True)
        lab.run("systemctl", "daemon-reload")


@pytest.mark.usefixtures("up")
@of("Read a link's log")
def test_log(recipe: Recipe) -> None:
    assert recipe.prints.strip() in recipe.run()


@pytest.mark.usefixtures("configured")
@of("Connect at boot")
def test_boot(recipe: Recipe) -> None:
    assert recipe.run() == recipe.prints
    assert lab.prop("Autoconnect") is True
    lab.run("systemctl", "stop", "cablecar-helper.service")
    STARTED.unlink()
    lab.run("systemctl", "start", "cablecar-helper.service")
    lab.eventually(lambda: lab.prop("State") == "up", 30, "it is dialed by itself")


@pytest.mark.usefixtures("up")
@of("See why the last calls ended")
def test_history(recipe: Recipe) -> None:
    first = lab.pppd_pid()
    lab.isp("kill")
    lab.eventually(lambda: lab.redialed(first), 30, "back by itself")
    assert recipe.prints in recipe.run()
