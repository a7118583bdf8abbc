"""The stage of each lab test: a link that is configured and down, a provider without faults; and the oracle after it.

It is asked twice: while the test's link is there, in whatever state the test has left it, and after everything.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import lab
import oracle
from lines import LINES, Line

RESULTS = Path(os.environ.get("LAB_RESULTS", "/mnt/results"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "whole: takes so long that only `make test WHOLE=1` runs it")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep the journal of a test that failed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        name = f"failed-{item.name}-{report.when}.log".replace("/", "_")
        (RESULTS / name).write_text(lab.journal("-n", "400") + "\n" + "\n".join(lab.our_routes_and_rules()))


@pytest.fixture
def line(request: pytest.FixtureRequest) -> Line:
    """How the test's link dials: by PPTP, unless the test names others."""
    return LINES[getattr(request, "param", "pptp")]


@pytest.fixture(autouse=True)
def judged() -> Iterator[None]:
    """Whatever the test does: afterwards nothing of it is left, and all that must hold does."""
    oracle.begin()
    before = oracle.foreign_files()
    yield
    oracle.check(None, before)


@pytest.fixture
def configured(line: Line) -> Iterator[None]:
    """A link `yosefcom` to the lab's provider, down."""
    lab.add_link(**line.settings)
    lab.link("SetPassword", "s", lab.PASSWORD)
    yield
    try:
        oracle.check(line)
    finally:  # so that it is no fault of the tests to come
        lab.isp("reset")
        lab.manager("RemoveLink", "s", lab.LINK)


@pytest.fixture
def up(configured: None) -> None:
    """The same, up."""
    lab.link("Connect")
    assert lab.prop("State") == "up"


@pytest.fixture
def plain_file() -> Iterator[bytes]:
    """A machine on which nobody owns /etc/resolv.conf."""
    target = os.readlink(lab.RESOLV)
    lab.RESOLV.unlink()
    lab.RESOLV.write_text("# by hand\nsearch home.example\nnameserver 10.20.30.1\n")
    yield lab.RESOLV.read_bytes()
    lab.RESOLV.unlink()
    lab.RESOLV.symlink_to(target)
    lab.run("systemctl", "restart", "systemd-resolved.service")  # it may have read that file
