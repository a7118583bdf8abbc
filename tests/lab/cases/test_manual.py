"""The pages of the manual, each from beginning to end: every command that it calls runnable, as it stands."""

import sys
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from recipe import Recipe

sys.path.insert(0, str(Path(__file__).parents[2] / "shared"))

import manual

HOME = "/org/cablecar1/link/home"  # README.md's link
README_USER = "NAME@SUFFIX"


@pytest.fixture
def reader(configured: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """What the page expects to be there is there, and no more."""
    match request.param:
        case "README.md":
            lab.isp("user", README_USER)
        case "doc/GUIDE.md":
            lab.manager("RemoveLink", "s", lab.LINK)  # the page makes it
        case "doc/TROUBLESHOOTING.md":
            lab.link("Connect")
    yield
    lab.manager("RemoveLink", "s", "home", check=False)


@pytest.mark.parametrize(("reader", "page"), [(page, page) for page in manual.RUN], indirect=["reader"], ids=manual.RUN)
@pytest.mark.usefixtures("reader")
def test_a_page_from_its_beginning_to_its_end(page: str) -> None:
    blocks = [fence.text for fence in manual.fences(page) if fence.language == "sh"]
    for commands in blocks:
        if "systemd-ask-password" in commands:
            Recipe(commands).run_with_answer("Password", lab.PASSWORD)
        else:
            lab.run("sh", "-ec", commands)
    match page:
        case "README.md":
            state = lab.run("busctl", "get-property", "org.cablecar1", HOME, "org.cablecar1.Link", "State")
            assert state.output == 's "up"\n'
        case "doc/GUIDE.md":
            assert (lab.prop("State"), lab.prop("Autoconnect")) == ("down", True)
        case "doc/TROUBLESHOOTING.md":
            assert not lab.our_routes_and_rules()
