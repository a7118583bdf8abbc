"""doc/ARCHITECTURE.md, held against the tree: what it names exists, and what it says of imports is enforced."""

import ast
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "doc/ARCHITECTURE.md").read_text()
RULES = runpy.run_path(str(ROOT / "tests/lint/test_imports.py"))
FOLDERS = ("applet", "dbus", "debian", "desktop", "doc", "helper", "polkit", "tests")
# What a thing is called where it is, and the module that has it in its code as the owner; the others only look there.
OWNERS: dict[str | int, tuple[str, set[str]]] = {
    201: ("routes", set()),
    "/usr/sbin/nft": ("nft", {"install"}),
    "/etc/ppp/peers": ("pppfiles", set()),
    "/etc/resolv.conf": ("resolver", {"lookup"}),
    "org.fedoraproject.FirewallD1": ("firewalld", set()),
    "org.freedesktop.PolicyKit1": ("authority", set()),
    "org.freedesktop.resolve1": ("resolved", set()),
    "org.freedesktop.systemd1": ("units", set()),
    "set_forwarding": ("forwarding", set()),
}
NAMED = sorted(set(re.findall(rf"`((?:{'|'.join(FOLDERS)})/[^`\s:]*)(?::(\w+))?`", PAGE)))


def is_there(path: str, function: str) -> bool:
    """Whether the tree has a file or folder, or files of a pattern, and the function in it."""
    found = list(ROOT.glob(path))
    if function:
        nodes = ast.walk(ast.parse(found[0].read_text())) if found else ()
        return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function for node in nodes)
    return bool(found)


def said(tree: ast.Module) -> set[str | int]:
    """Return the texts and numbers of a module's code, and what it calls of other objects."""
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in docstrings)
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        *(node.value for node in constants if isinstance(node.value, str | int)),
        *(called.attr for called in calls if isinstance(called, ast.Attribute)),
    }


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def words(line: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", line))


@pytest.mark.parametrize(("path", "function"), NAMED)
def test_what_it_names_is_there(path: str, function: str) -> None:
    assert is_there(path, function)


@pytest.mark.parametrize(("path", "function"), [("helper/no_such.py", ""), ("helper/link.py", "no_such")])
def test_what_is_not_there_is_seen(path: str, function: str) -> None:
    assert not is_there(path, function)


@pytest.mark.parametrize("folder", ["helper", "applet"])
def test_each_module_has_one_room(folder: str) -> None:
    table = section("Rooms").split(f"| {folder}/ | modules |", 1)[1].split("\n\n", 1)[0]
    told = re.findall(r"`(\w+)`", table)
    modules = [path.stem for path in (ROOT / folder).glob("*.py") if not path.stem.startswith("__")]
    assert sorted(told) == sorted(modules), "a new module gets a room in doc/ARCHITECTURE.md, an old one leaves it"


def test_the_rules_of_importing_are_those_enforced() -> None:
    applet, libraries, pure = (line for line in section("Who imports whom").splitlines() if line.startswith("* "))
    assert words(applet) == RULES["SHARED"]
    told = {part.split()[0]: words(part) for part in libraries.removeprefix("* ").split("; ")}
    assert told == RULES["ONLY_IN"]
    assert words(pure) == RULES["PURE"]


def test_each_step_of_the_click_names_code() -> None:
    steps = re.findall(r"^\d+\. .*?(?=^\d+\. |^\w|\Z)", section("The path of one click"), re.MULTILINE | re.DOTALL)
    assert len(steps) == 11
    assert not [step for step in steps if "/" not in "".join(words(step))]


@pytest.mark.parametrize(("thing", "owner", "others"), [(thing, *whose) for thing, whose in OWNERS.items()])
def test_only_its_owner_touches_a_thing(thing: str | int, owner: str, others: set[str]) -> None:
    modules = {path.stem for path in ROOT.glob("helper/*.py") if thing in said(ast.parse(path.read_text()))}
    assert modules == {owner, *others}
    assert f"`helper/{owner}.py`" in section("Who owns what")


def test_what_a_docstring_speaks_of_is_not_touched() -> None:
    tree = ast.parse("def find():\n    'In /usr/sbin/nft.'\n    kernel.set_forwarding(1, run('/usr/sbin/nft', 201))\n")
    assert said(tree) == {"/usr/sbin/nft", 201, 1, "set_forwarding"}
