"""dbus/*.xml: well-formed, with valid signatures, and every member says what it does and since when."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from dbus_next.introspection import Node

from cablecar.helper import names

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("dbus/*.xml"))
MEMBERS = {"method", "signal", "property"}


def parse(text: str) -> Element:
    """Return the tree of an XML text, comments included."""
    builder = ElementTree.TreeBuilder(insert_comments=True)
    return ElementTree.fromstring(text, ElementTree.XMLParser(target=builder))


def members(interface: Element) -> Iterator[tuple[Element, str]]:
    """Yield each member with the comment right before it, or an empty string."""
    comment = ""
    for node in interface:
        tag: object = node.tag  # a function for a comment, whatever the stubs say
        if tag is ElementTree.Comment:
            comment = node.text or ""
        else:
            if tag in MEMBERS:
                yield node, comment
            comment = ""


def undocumented(text: str) -> list[str]:
    """Return what the comments of an interface file leave out."""
    found: list[str] = []
    for interface in parse(text).iter("interface"):
        for member, comment in members(interface):
            name = member.get("name", "?")
            if not re.search(rf"^\s*{name}:", comment):
                found.append(f"{name}: no comment that begins with its name")
            if not re.search(r"@since: \d+\.\d+\b", comment):
                found.append(f"{name}: no @since")
            for arg in member.iter("arg"):
                if member.tag == "method" and f"@{arg.get('name')}:" not in comment:
                    found.append(f"{name}: nothing about @{arg.get('name')}")
            if member.tag == "property" and member.get("access") != "read":
                found.append(f"{name}: a property that can be written goes round the authorisation of methods")
    return found


def test_each_interface_has_a_file() -> None:
    assert [path.stem for path in FILES] == sorted({names.MANAGER_INTERFACE, names.LINK_INTERFACE})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_signatures_are_valid(path: Path) -> None:
    (interface,) = Node.parse(path.read_text()).interfaces
    assert interface.name == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_member_is_documented(path: Path) -> None:
    assert not undocumented(path.read_text())


@pytest.mark.parametrize(
    "member",
    [
        '<method name="Dial"/>',
        '<!-- Connect: dials. @since: 0.1 --><method name="Dial"/>',
        '<!-- Dial: dials. --><method name="Dial"/>',
        '<!-- Dial: dials. @since: 0.1 --><method name="Dial"><arg name="number" type="s" direction="in"/></method>',
        '<!-- Rate: @since: 0.1 --><property name="Rate" type="u" access="readwrite"/>',
        '<!-- Dial: dials. @since: 0.1 --><method name="Dial"/><method name="Hang"/>',
    ],
)
def test_a_gap_is_seen(member: str) -> None:
    assert undocumented(f'<node><interface name="org.cablecar1.Link">{member}</interface></node>')
