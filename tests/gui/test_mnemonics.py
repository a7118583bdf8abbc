"""What Alt with a letter does: on each page, in each language, every input has a key, and no other has that."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cablecar.applet.mnemonics import bare, literal

WALK = Path(__file__).with_name("walk.py")
WINDOWS = {"assistant", "editor", "window", "preferences", "password", "diagnosis", "status"}

Pages = list[dict[str, Any]]


@pytest.fixture(scope="module", params=["C", "he", "ru"])
def pages(installed: Path, request: pytest.FixtureRequest) -> Pages:
    """What walk.py tells of each page, in one language."""
    environment = os.environ | {"PYTHONPATH": str(installed), "PYTHONIOENCODING": "utf-8", "LANGUAGE": request.param}
    done = subprocess.run(
        [sys.executable, WALK], check=False, capture_output=True, text=True, encoding="utf-8", env=environment
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def faults(pages: Pages, what: str) -> dict[str, Any]:
    return {page["page"]: page[what] for page in pages if page[what]}


def test_each_window_is_walked_through(pages: Pages) -> None:
    assert {page["page"].split(",")[0] for page in pages} == WINDOWS
    assert all(page["keys"] for page in pages)


def test_no_key_is_given_twice_on_a_page(pages: Pages) -> None:
    assert not faults(pages, "twice")


def test_each_input_has_a_key(pages: Pages) -> None:
    assert not faults(pages, "unreached")


def test_each_button_has_our_key_and_not_the_desktops(pages: Pages) -> None:
    assert not faults(pages, "qts")


def test_no_mark_is_read_or_shown_as_a_sign(pages: Pages) -> None:
    assert not faults(pages, "read")
    assert not faults(pages, "shown")


@pytest.mark.parametrize(
    ("marked", "text"),
    [("&Save", "Save"), ("MT&U", "MTU"), ("Q&&A", "Q&A"), ("A && &B", "A & B"), ("Home &", "Home &"), ("", "")],
)
def test_bare(marked: str, text: str) -> None:
    assert bare(marked) == text


@pytest.mark.parametrize("text", ["Home & Co", "&Home", "R&&D", "plain"])
def test_what_is_literal_is_read_as_it_was(text: str) -> None:
    assert bare(literal(text)) == text
