"""Loads no more of the libraries than the helper uses.

Starting is recovering (`main.py`), so the start must be short, and importing is nearly all of it. `import pyroute2`
loads more than two hundred modules of which we use seven, `import dbus_next` also GLib, `import asyncio` also
OpenSSL. `__main__.py` calls this first; without it everything works the same, only later and in more memory.
"""

import importlib
import importlib.util
import sys


def load(package: str, *parts: str) -> None:
    """Import modules of `package`, the parents of each among them, but do not run the package's own `__init__`.

    When the library is laid out otherwise than we know it, nothing is loaded, and whoever imports it gets all of it.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or package in sys.modules:
        return
    sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        for part in parts:
            importlib.import_module(f"{package}.{part}")
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            del sys.modules[name]


def do_without(*modules: str) -> None:
    """Make importing these fail from now on, as where they are not installed."""
    for module in modules:
        sys.modules[module] = None  # type: ignore[assignment]  # importlib's documented way
