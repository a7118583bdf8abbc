"""The manual pages that doc/man/pages makes: clean for both formatters, complete, and installed."""

import ast
import dataclasses
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cablecar import helper
from cablecar.helper.settings import Settings

ROOT = Path(__file__).parents[2]
NAMES = ("cablecar-applet.1", "cablecar-helper.8", "cablecar.toml.5", "org.cablecar1.7")
PROGRAMS = {"cablecar-applet.1": "applet/app.py", "cablecar-helper.8": "helper/main.py"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages, as a build makes it."""
    folder = tmp_path_factory.mktemp("man")
    # -I as in debian/rules: without the virtual environment.
    subprocess.run(["/usr/bin/python3", "-I", str(ROOT / "doc/man/pages"), str(folder)], check=True)
    return folder


def complaints(page: Path) -> str:
    """Return what mandoc and groff have against a page."""
    said = ""
    for command in (["mandoc", "-Tlint", "-Wwarning"], ["groff", "-ww", "-man", "-Kutf8", "-Tutf8", "-z"]):
        done = subprocess.run([*command, str(page)], check=False, capture_output=True, text=True)
        said += done.stdout + done.stderr
    return said


def tags(page: Path) -> list[str]:
    """Return the tags of a page's lists, as a reader sees them."""
    shown = re.findall(r"^\.TP\n(.*)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"\\f[BR]|\\&", "", tag).replace("\\-", "-") for tag in shown]


def options(module: str) -> set[str]:
    """Return the options that a program declares, and argparse's own."""
    calls = [node for node in ast.walk(ast.parse((ROOT / module).read_text())) if isinstance(node, ast.Call)]
    added = [call.args[0] for call in calls if ast.unparse(call.func).endswith(".add_argument")]
    return {"--help", *(name.value for name in added if isinstance(name, ast.Constant) and type(name.value) is str)}


def test_each_page_is_made(pages: Path) -> None:
    assert sorted(path.name for path in pages.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_no_formatter_complains(pages: Path, name: str) -> None:
    assert not complaints(pages / name)


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_cut_in_two(pages: Path, name: str) -> None:
    command = ["groff", "-man", "-Kutf8", "-Tutf8", str(pages / name)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "\N{HYPHEN}\n" not in shown


@pytest.mark.parametrize("name", NAMES)
def test_a_page_names_no_file_of_the_tree_and_leaves_no_mark_of_the_comments(pages: Path, name: str) -> None:
    text = (pages / name).read_text().replace("\\-", "-")
    tops = "applet|dbus|debian|desktop|doc|helper|polkit|tests"
    assert not re.findall(rf"(?<![\w/.-])(?:{tops})/\S+", text)
    assert not re.findall(r"(?<![\w*])@[a-z]\w+", text)


@pytest.mark.parametrize("mistake", [".SH", ".XY what", ".TP\n.SH SEE"])
def test_a_mistake_is_seen(pages: Path, tmp_path: Path, mistake: str) -> None:
    broken = tmp_path / "broken.1"
    broken.write_text((pages / NAMES[0]).read_text() + mistake + "\n")
    assert complaints(broken)


@pytest.mark.parametrize("name", NAMES)
def test_the_head_has_the_version(pages: Path, name: str) -> None:
    assert f'"Cablecar {helper.__version__}"' in (pages / name).read_text().splitlines()[0]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_has_the_options_on_its_page(pages: Path, name: str) -> None:
    assert {tag for tag in tags(pages / name) if tag.startswith("--")} == options(PROGRAMS[name])


def test_the_settings_are_on_their_page(pages: Path) -> None:
    # That dbus/SETTINGS.md is true is tested in test_settings_page.py.
    assert sorted(tags(pages / "cablecar.toml.5")) == sorted(field.name for field in dataclasses.fields(Settings))


def test_every_member_is_on_the_page_of_the_interface(pages: Path) -> None:
    shown = [re.split(r"[( ]", tag)[0] for tag in tags(pages / "org.cablecar1.7")]
    members = [
        member.get("name")
        for path in ROOT.glob("dbus/*.xml")
        for kind in ("method", "signal", "property")
        for member in ElementTree.parse(path).iter(kind)
    ]
    assert sorted(shown) == sorted(filter(None, members))


def test_each_page_is_installed() -> None:
    listed = [line for path in ROOT.glob("debian/*.manpages") for line in path.read_text().splitlines()]
    assert sorted(listed) == sorted(f"build/man/{name}" for name in NAMES)
