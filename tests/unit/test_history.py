"""Past calls: the newest last, bounded, and nothing depends on them."""

from pathlib import Path

from cablecar.helper.history import KEPT, History, Record
from cablecar.helper.safefile import MAX_BYTES


def record(number: int) -> Record:
    return Record(10**15 + number, 10**15 + number + 1, 10**15 + number + 2, "hangup", 2**60, 2**60)


def test_records_go_round(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    assert history.read("a", 10) == []
    for number in range(3):
        history.add("a", record(number))
    assert history.read("a", 2) == [record(1), record(2)]
    assert history.read("b", 2) == []
    history.forget("a")
    history.forget("a")
    assert history.read("a", 10) == []


def test_only_the_last_are_kept_and_the_file_stays_readable(tmp_path: Path) -> None:
    history = History(tmp_path)
    for number in range(KEPT + 5):
        history.add("a", record(number))
    assert history.read("a", KEPT + 5) == [record(number) for number in range(5, KEPT + 5)]
    assert (tmp_path / "a.json").stat().st_size < MAX_BYTES


def test_an_unreadable_history_begins_anew(tmp_path: Path) -> None:
    history = History(tmp_path)
    for garbage in ("{", "[1]", "[[1, 2]]", "null"):
        (tmp_path / "a.json").write_text(garbage)
        assert history.read("a", 10) == []
    history.add("a", record(1))
    assert history.read("a", 10) == [record(1)]
