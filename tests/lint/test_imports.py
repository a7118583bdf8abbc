"""Who imports whom, read from the syntax trees: D-Bus, netlink, Qt and the protocols stay where they belong."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.relative_to(ROOT) for folder in ("applet", "helper") for path in (ROOT / folder).rglob("*.py"))

# What the applet may know of the helper.
SHARED = {"names", "reasons"}
# The only modules that may import a library.
ONLY_IN = {
    "dbus_next": {"helper/bus.py", "helper/wire.py"},
    "pyroute2": {"helper/netlink.py"},
}
# Modules that decide and do no I/O, and all that they may import beside each other.
PURE = {
    "carrier",
    "carriers",
    "errors",
    "l2tp",
    "link",
    "names",
    "pppd",
    "pppoe",
    "pptp",
    "reasons",
    "redial",
    "settings",
    "words",
}
PURE_LIBRARY = {
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "ipaddress",
    "itertools",
    "math",
    "re",
    "typing",
    "unicodedata",
}
# Who may ask which protocol it is: the carriers, and where a value becomes a setting. Others ask the carrier.
CARRIERS = {"helper/carriers.py", "helper/l2tp.py", "helper/pppoe.py", "helper/pptp.py", "helper/settings.py"}
PROTOCOLS = {"l2tp", "pppoe", "pptp"}
# Comparisons with what others call so: a helper of the kernel's conntrack, a type of NetworkManager's profiles.
CALLED_SO_BY_OTHERS = {
    "helper/firewall.py": {"entry.get('ct helper', {}).get('type') == 'pptp'"},
    "helper/networkmanager.py": {"_text(keyfile, 'connection', 'type') == 'pppoe'"},
}


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything imported; `from a import b` as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from ((node.lineno, f"{dots}{node.module or ''}.{alias.name}") for alias in node.names)


def wrong_imports(module: str, source: str) -> list[str]:
    """Return what is wrong with the imports of `module`, a path like `helper/link.py`."""
    found: list[str] = []
    part, stem = module.split("/", 1)[0], Path(module).stem
    for line, name in imports(ast.parse(source)):
        words = name.split(".")
        top = words[0]
        ours = words[1:3] if top == "cablecar" else []
        if part == "applet" and ours and ours[0] == "helper" and not (len(ours) == 2 and ours[1] in SHARED):
            found.append(f"{module}:{line}: the applet imports {name}")
        if part == "helper" and (top == "PyQt6" or ours[:1] == ["applet"]):
            found.append(f"{module}:{line}: the helper imports {name}")
        if top in ONLY_IN and module not in ONLY_IN[top]:
            found.append(f"{module}:{line}: {top} outside {', '.join(sorted(ONLY_IN[top]))}")
        if part == "helper" and stem in PURE:
            pure = len(ours) == 2 and ours[0] == "helper" and ours[1] in PURE if ours else top in PURE_LIBRARY
            if not pure:
                found.append(f"{module}:{line}: a module without I/O imports {name}")
    return found


def wrong_calls(module: str, source: str) -> list[str]:
    """Return the calls in `module` that start a shell, or print from the helper."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if any(word.arg == "shell" for word in node.keywords):
            found.append(f"{module}:{node.lineno}: {called}(shell=…)")
        if called in {"os.system", "os.popen", "asyncio.create_subprocess_shell"}:
            found.append(f"{module}:{node.lineno}: {called}")
        if called == "print" and module.startswith("helper/"):
            found.append(f"{module}:{node.lineno}: print in the helper, which logs")
    return found


def wrong_comparisons(module: str, source: str) -> list[str]:
    """Return where a module of the helper asks which protocol it is."""
    if not module.startswith("helper/") or module in CARRIERS:
        return []
    asking = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Compare | ast.MatchValue)]
    found = {ast.unparse(node): node.lineno for node in asking if PROTOCOLS & {*texts(node)}}
    return [f"{module}:{found[text]}: {text}" for text in found.keys() - CALLED_SO_BY_OTHERS.get(module, set())]


def texts(node: ast.expr | ast.pattern) -> Iterator[str]:
    """Yield the texts that a comparison is with, those of a list among them; not what is only looked up on the way."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.MatchValue(value=value):
            yield from texts(value)
        case ast.Compare(left=left, comparators=others):
            for each in (left, *others):
                yield from texts(each)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            for each in parts:
                yield from texts(each)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_imports_only_what_it_may(module: Path) -> None:
    assert not wrong_imports(module.as_posix(), (ROOT / module).read_text())


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_calls_only_what_it_may(module: Path) -> None:
    assert not wrong_calls(module.as_posix(), (ROOT / module).read_text())


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_asks_no_protocol_by_name(module: Path) -> None:
    assert not wrong_comparisons(module.as_posix(), (ROOT / module).read_text())


def test_every_module_named_here_exists() -> None:
    named = {f"helper/{name}.py" for name in PURE} | set.union(*ONLY_IN.values()) | CARRIERS
    assert {path.as_posix() for path in MODULES} >= named


def test_the_protocols_and_what_others_call_so_are_there() -> None:
    tree = ast.parse((ROOT / "helper/carriers.py").read_text())
    (table,) = (node for node in ast.walk(tree) if isinstance(node, ast.Dict))
    assert {key.value for key in table.keys if isinstance(key, ast.Constant)} == PROTOCOLS
    for module, comparisons in CALLED_SO_BY_OTHERS.items():
        text = ast.unparse(ast.parse((ROOT / module).read_text()))
        assert all(comparison in text for comparison in comparisons)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("applet/client.py", "from cablecar.helper import settings"),
        ("applet/client.py", "from cablecar.helper.settings import Settings"),
        ("applet/client.py", "import cablecar.helper.bus"),
        ("applet/client.py", "import cablecar.helper"),
        ("applet/client.py", "from cablecar import helper"),
        ("applet/client.py", "import dbus_next"),
        ("applet/sub/client.py", "def f():\n    from cablecar.helper import link"),
        ("helper/service.py", "from dbus_next.service import method"),
        ("helper/service.py", "import pyroute2.netlink"),
        ("helper/service.py", "from PyQt6.QtCore import QObject"),
        ("helper/service.py", "from cablecar.applet import model"),
        ("helper/link.py", "import os"),
        ("helper/link.py", "import asyncio"),
        ("helper/link.py", "from pathlib import Path"),
        ("helper/link.py", "from cablecar.helper import store"),
        ("helper/link.py", "from cablecar.helper.store import Store"),
        ("helper/names.py", "from . import store"),
    ],
)
def test_a_wrong_import_is_seen(module: str, source: str) -> None:
    assert wrong_imports(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("applet/client.py", "from cablecar.helper import names, reasons"),
        ("applet/client.py", "from cablecar.helper.names import BUS_NAME"),
        ("applet/client.py", "from PyQt6.QtDBus import QDBusMessage"),
        ("helper/bus.py", "from dbus_next.aio import MessageBus"),
        ("helper/netlink.py", "from pyroute2 import IPRoute"),
        ("helper/link.py", "from cablecar.helper import reasons"),
        ("helper/link.py", "from collections.abc import Callable"),
    ],
)
def test_a_right_import_is_let_through(module: str, source: str) -> None:
    assert not wrong_imports(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("applet/app.py", "subprocess.run('ls', shell=True)"),
        ("helper/main.py", "subprocess.run('ls', shell=flag)"),
        ("helper/main.py", "os.system('ls')"),
        ("helper/main.py", "async def f():\n    await asyncio.create_subprocess_shell('ls')"),
        ("helper/main.py", "print('hello')"),
    ],
)
def test_a_wrong_call_is_seen(module: str, source: str) -> None:
    assert wrong_calls(module, source)


def test_the_applet_may_print() -> None:
    assert not wrong_calls("applet/app.py", "print('cablecar-applet 0.1')")


@pytest.mark.parametrize(
    "source",
    [
        "x = settings.protocol == 'pptp'",
        "if 'l2tp' != protocol:\n    pass",
        "x = protocol in ('pptp', 'l2tp')",
        "x = [one for one in links if one['protocol'] not in {'pppoe'}]",
        "match protocol:\n    case 'pppoe':\n        pass",
        "match protocol:\n    case 'pptp' | 'l2tp':\n        pass",
        "x = _text(keyfile, 'connection', 'type') == 'pppoe'",
    ],
)
def test_a_question_for_the_protocol_is_seen(source: str) -> None:
    assert wrong_comparisons("helper/call.py", source)
    assert not wrong_comparisons("helper/l2tp.py", source)
    assert not wrong_comparisons("applet/fields.py", source)


@pytest.mark.parametrize(
    "source",
    [
        "x = BY_PROTOCOL[settings.protocol].over_ip",
        "x = {'protocol': 'pptp'}",
        "x = _text(keyfile, 'pppoe', 'username') == ''",
        "x = settings.protocol == other.protocol",
    ],
)
def test_what_asks_no_protocol_is_let_through(source: str) -> None:
    assert not wrong_comparisons("helper/call.py", source)
