"""The log: plain text whatever it says, with plain words, following the newest line."""

from collections.abc import Iterator

import pytest
from hostile import TITLES_CARRIED, TITLES_REFUSED
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication, QTextCursor
from PyQt6.QtWidgets import QApplication

from cablecar.applet import logview
from cablecar.applet.logview import LogView, explain, parse


@pytest.fixture
def view(application: QApplication) -> Iterator[LogView]:
    made = LogView()
    made.resize(400, 120)
    made.show()
    yield made
    made.deleteLater()


def shown(view: LogView) -> list[str]:
    return view.toPlainText().split("\n")


def scroll(view: LogView) -> tuple[int, int]:
    bar = view.verticalScrollBar()
    assert bar is not None
    return bar.value(), bar.maximum()


def test_known_lines_are_explained(view: LogView) -> None:
    view.show_lines(("PAP authentication succeeded", "something else"))
    said, meant, other = shown(view)
    assert (said, other) == ("PAP authentication succeeded", "something else")
    assert "accepted" in meant


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("pppd 2.5.2 started by root, uid 0", "begins"),
        ("LCP: timeout sending Config-Requests", "GRE"),
        ("local  IP address 10.64.12.3", "gave this machine"),
        ("local IP address 10.64.12.3", "gave this machine"),
        ("anon log[main:pptp.c:354]: The synchronous pptp option is NOT activated", ""),
        ("No response to 5 echo-requests", "stopped answering"),
        ("Terminating on signal 15", "on this machine"),
    ],
)
def test_explanations(line: str, word: str) -> None:
    assert word in explain(line)
    assert bool(word) == bool(explain(line))


@pytest.mark.parametrize("text", (*TITLES_CARRIED, *TITLES_REFUSED))
def test_hostile_lines_are_only_text(view: LogView, text: str) -> None:
    (line,) = parse([f"said: {text}"])
    view.show_lines((line,))
    assert shown(view)[0] == line
    assert "\n" not in line and "\x1b" not in line and "\u202e" not in line


@pytest.mark.parametrize("answer", [None, {}, 5, "text", [5, None, ["x"]], ["", "\n"]])
def test_what_is_no_log_is_empty(answer: object) -> None:
    assert parse(answer) == ()


def test_no_more_than_the_newest_lines() -> None:
    lines = parse([f"line {number}" for number in range(5000)])
    assert len(lines) == logview.LINES and lines[-1] == "line 4999"


def test_follows_the_newest_line_unless_somebody_reads(view: LogView) -> None:
    lines = tuple(f"line {number}" for number in range(100))
    view.show_lines(lines[:50])
    value, most = scroll(view)
    assert value == most > 0
    view.show_lines(lines[:60])
    value, most = scroll(view)
    assert value == most
    bar = view.verticalScrollBar()
    assert bar is not None
    bar.setValue(10)
    view.show_lines(lines)
    assert scroll(view)[0] == 10
    assert shown(view) == list(lines)


def test_a_new_call_begins_a_new_log(view: LogView) -> None:
    view.show_lines(("one", "two"))
    view.show_lines(("three",))
    assert shown(view) == ["three"]
    view.show_lines(())
    assert shown(view) == [""]


def test_a_selection_survives_a_new_line(view: LogView) -> None:
    view.show_lines(("first line", "second line"))
    cursor = view.textCursor()
    cursor.movePosition(QTextCursor.MoveOperation.Start)
    cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
    view.setTextCursor(cursor)
    view.show_lines(("first line", "second line", "third line"))
    view.copy()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None and clipboard.text() == "first line"


def test_the_oldest_lines_go_without_the_place_and_the_selection(view: LogView) -> None:
    lines = tuple(f"line {n}" if n % 3 else f"{n}: PAP authentication succeeded" for n in range(300))
    view.show_lines(lines[:200])
    cursor = view.textCursor()
    document = view.document()
    assert document is not None
    found = document.find("line 125")
    cursor.setPosition(found.selectionStart())
    cursor.setPosition(found.selectionEnd(), QTextCursor.MoveMode.KeepAnchor)
    view.setTextCursor(cursor)
    before = view.cursorRect()
    assert scroll(view)[0] < scroll(view)[1]
    for begin in (1, 2, 10, 50):
        view.show_lines(lines[begin : begin + 200])
        assert view.textCursor().selectedText() == "line 125"
        assert abs(view.cursorRect().top() - before.top()) <= 1
        assert shown(view)[0] == lines[begin]
        assert [line for line in shown(view) if not line.startswith("—")] == list(lines[begin : begin + 200])
    view.show_lines(lines[200:])
    assert shown(view)[-1] == lines[-1] and view.textCursor().selectedText() == ""


def test_what_is_left_of_the_log_looks_as_before(view: LogView) -> None:
    view.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    meant = "שלום: PAP authentication succeeded"
    view.show_lines((meant, meant, "one", "two"))
    for lines in ((meant, "one", "two", "three"), ("one", "two", "three", meant)):
        view.show_lines(lines)
        document = view.document()
        assert document is not None
        assert document.firstBlock().textDirection() == Qt.LayoutDirection.LeftToRight
        assert document.firstBlock().blockFormat().indent() == 0
        assert [line for line in shown(view) if not line.startswith("—")] == list(lines)


def test_what_programs_say_runs_from_left_to_right_in_every_language(view: LogView) -> None:
    view.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    view.show_lines(("שלום: PAP authentication succeeded",))
    document = view.document()
    assert document is not None
    said, meant = document.firstBlock(), document.lastBlock()
    assert said.textDirection() == Qt.LayoutDirection.LeftToRight
    assert meant.textDirection() == Qt.LayoutDirection.RightToLeft
    assert "mono" in said.begin().fragment().charFormat().font().family().lower()


def test_tab_leaves_the_log(view: LogView) -> None:
    assert view.tabChangesFocus() and view.isReadOnly()
    assert view.accessibleName()
