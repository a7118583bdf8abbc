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
NAMED = sorted(set(re.findall(rf"`((?:{'|'.join(FOLDERS)})/[^`\s:]*)(?::(\w+))?`", PAGE)))


def is_there(path: str, function: str) -> bool:
    """Whether the tree has a file or folder, or files of a pattern, and the function in it."""
    found = list(ROOT.glob(path))
    if function:
        nodes = ast.walk(ast.parse(found[0].read_text())) if found else ()
        return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function for node in nodes)
    return bool(found)


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
