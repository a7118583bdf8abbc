"""dbus/README.md names every error and every reason, as the helper has them; and each reason is fit for a person."""

import re
from pathlib import Path

import pytest

from cablecar.helper import errors, names, reasons
from cablecar.helper.reasons import Reason

PAGE = Path(__file__).parents[2] / "dbus" / "README.md"
NAMED = tuple(reason for reason in reasons.ALL if reason is not reasons.NONE)
# After what has happened comes what to do, and that begins with one of these.
ORDER = re.compile(
    r"(?<=\. )(?:Add|Call|Change|Check|Choose|Connect|Disconnect|End|Install|Keep|Let|Look|Remove|Set|Stop|Undo|Wait)\b"
)


def table(page: str, heading: str) -> list[tuple[str, ...]]:
    """Return the cells of the table below a heading, without its head."""
    section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in row) for row in rows[2:]]


def row_of(reason: Reason) -> tuple[str, ...]:
    """Return the row that a reason has in the page."""
    pause = f"{reason.pause:.0f} s" if reason.pause else ""
    return (f"`{reason.id}`", f"`{reason.error}`", reason.sentence, "yes" if reason.retry else "no", pause)


def wrong_with(reason: Reason) -> list[str]:
    """Return what makes a reason unfit for a person or a script."""
    found = []
    if not re.fullmatch(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", reason.id):
        found.append("its id is not of small words")
    if not re.fullmatch(r"(?:[A-Z][a-z0-9]+)+", reason.error):
        found.append("its error name is not of capital words")
    if not reason.sentence.endswith(".") or reason.sentence != reason.sentence.strip():
        found.append("its sentence has no full stop")
    if not ORDER.search(reason.sentence):
        found.append("it does not say what to do")
    if reason.pause and not reason.retry:
        found.append("a pause before a try that never comes")
    return found


def test_the_page_has_every_error_and_no_other() -> None:
    rows = table(PAGE.read_text(), "Errors")
    assert [name for name, _ in rows] == [f"`{error.name}`" for error in errors.ALL]
    assert all(when for _, when in rows)


def test_the_page_has_every_reason_and_no_other() -> None:
    assert table(PAGE.read_text(), "Reasons") == [row_of(reason) for reason in NAMED]


def test_the_page_has_every_polkit_action_and_no_other() -> None:
    actions = {f"`{value}`" for key, value in vars(names).items() if key.startswith("ACTION_")}
    assert {row[0] for row in table(PAGE.read_text(), "Who may do what")} == actions


def test_ids_and_error_names_are_unique() -> None:
    assert len({reason.id for reason in reasons.ALL}) == len(reasons.ALL)
    error_names = [reason.error for reason in NAMED] + [error.name for error in errors.ALL]
    assert len(set(error_names)) == len(error_names)


def test_every_error_class_is_in_the_list() -> None:
    declared = [value for value in vars(errors).values() if isinstance(value, type) and "name" in vars(value)]
    assert set(declared) - {errors.CablecarError} == set(errors.ALL)


@pytest.mark.parametrize("reason", NAMED, ids=lambda reason: reason.id)
def test_a_reason_is_fit_for_people_and_scripts(reason: Reason) -> None:
    assert not wrong_with(reason)


@pytest.mark.parametrize(
    "reason",
    [
        Reason("Some Thing", "SomeThing", "It broke. Wait."),
        Reason("some-thing", "some-thing", "It broke. Wait."),
        Reason("some-thing", "SomeThing", "It broke. Wait"),
        Reason("some-thing", "SomeThing", "It broke."),
        Reason("some-thing", "SomeThing", "It broke and call the provider."),
        Reason("some-thing", "SomeThing", "Check of it broke."),
        Reason("some-thing", "SomeThing", "It broke. Mend it."),
        Reason("some-thing", "SomeThing", "It broke. Call the provider.", retry=False, pause=1.0),
    ],
)
def test_an_unfit_reason_is_seen(reason: Reason) -> None:
    assert wrong_with(reason)
