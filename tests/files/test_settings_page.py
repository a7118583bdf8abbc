"""dbus/SETTINGS.md: every setting, with its true default."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from cablecar.helper.settings import Settings, parse

PAGE = (Path(__file__).parents[2] / "dbus/SETTINGS.md").read_text()
ROWS = {match[1]: match[2] for match in re.finditer(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE)}


def test_every_setting_is_on_the_page_and_nothing_else() -> None:
    assert set(ROWS) == {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_the_default_is_the_true_one(field: "dataclasses.Field[object]") -> None:
    shown = ROWS[field.name]
    if field.default is dataclasses.MISSING:
        assert shown == "\N{EN DASH}"
    elif field.default in ("", ()):
        assert "`" not in shown
    else:
        assert shown.strip("`").lower().startswith(str(field.default).lower())


def test_the_example_is_one() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert parse(tomllib.loads(example)).autoconnect is True
