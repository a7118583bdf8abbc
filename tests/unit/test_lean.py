"""The helper loads what it uses; and where a library is laid out otherwise, all of it."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from cablecar.helper import lean

RUN = """
import runpy, sys
sys.argv = ["cablecar-helper", "--version"]
try:
    runpy.run_module("cablecar.helper", run_name="__main__")
except SystemExit as end:
    assert not end.code
print(*sys.modules)
"""


def test_the_helper_starts_without_what_it_does_not_use() -> None:
    done = subprocess.run([sys.executable, "-I", "-c", RUN], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"cablecar.helper.main", "dbus_next.aio.message_bus", "pyroute2.netlink.rtnl.rtmsg"} <= loaded
    assert not loaded & {"dbus_next.glib", "gi", "_ssl", "pyroute2.iproute", "pyroute2.ndb"}
    assert len([module for module in loaded if module.startswith("pyroute2")]) < 12


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package `odd`, which can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("odd", "odd.part", "odd.other"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/__init__.py").write_text("")
    return tmp_path / "odd"


def test_a_part_is_loaded_without_the_package(library: Path) -> None:
    (library / "__init__.py").write_text("raise RuntimeError('this takes long')")
    (library / "part.py").write_text("VALUE = 5")
    lean.load("odd", "part")
    assert importlib.import_module("odd.part").VALUE == 5


@pytest.mark.parametrize(
    "part",
    ["from odd import VALUE", "import odd\nVALUE = odd.VALUE", "from odd.other import VALUE"],
    ids=["needs a name", "needs an attribute", "is elsewhere"],
)
def test_a_part_that_needs_the_package_gets_it(library: Path, part: str) -> None:
    (library / "__init__.py").write_text("VALUE = 5")
    (library / "part.py").write_text(part)
    lean.load("odd", "part")
    assert "odd" not in sys.modules
    (library / "other.py").write_text("from odd import VALUE")
    assert importlib.import_module("odd.part").VALUE == 5


def test_a_package_that_is_missing_or_loaded_is_left_alone(library: Path) -> None:
    lean.load("there_is_no_such_package", "part")
    assert "there_is_no_such_package" not in sys.modules
    odd = importlib.import_module("odd")
    lean.load("odd", "part")  # it has none
    assert sys.modules["odd"] is odd
