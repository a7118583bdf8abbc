"""The quoter of the peer file before its judges: our own reader of pppd's words, and the installed pppd itself."""

import random
from pathlib import Path

import hostile
import pytest
import realpppd
from golden import SERVER, check_golden, check_row, hostile_links, hostile_texts, quoted, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cablecar.helper import pppfiles
from cablecar.helper.installed import Pppd
from cablecar.helper.settings import Settings
from cablecar.helper.words import quote, words

SAMPLES = 10_000
VERSION = Pppd().version()


def every_value() -> list[bytes]:
    """Random bytes by hypothesis, each read by ourselves at once, and the hostile strings."""
    values = hostile_texts()
    edges = st.text("\"'\\#\n\r\t abnrstx01789,@/\xff", min_size=1, max_size=60).map(
        lambda text: text.encode("latin-1")
    )
    anything = st.binary(min_size=1, max_size=255).filter(lambda value: b"\0" not in value)

    @settings(max_examples=SAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(edges | anything)
    def judge(value: bytes) -> None:
        text = b"user " + quote(value).encode() + b" noauth"
        assert [word.value for word in words(text)] == [b"user", value, b"noauth"]
        values.append(value)

    judge()
    assert len(values) >= SAMPLES
    return values


def test_a_quoted_value_is_for_pppd_what_it_was(tmp_path: Path) -> None:
    together = rows(every_value())
    for row, dump in zip(together, realpppd.dumps([quoted(row) for row in together], tmp_path), strict=True):
        check_row(row, dump)


def test_our_own_reader_takes_a_word_for_what_pppd_takes_it_for(tmp_path: Path) -> None:
    chance = random.Random(17)
    texts = ["".join(chance.choices("\"'\\#x0179anst \n\xe9", k=chance.randint(1, 12))) for _ in range(1500)]
    files = [f"user {text}\nnoauth\npty x\n".encode("latin-1") for text in texts]
    read = [[word.value for word in words(file)] for file in files]
    # Those of which the first thing is one word; pppd would take the others for more options and say so.
    chosen = [number for number, found in enumerate(read) if len(found) == 5 and found[2:] == [b"noauth", b"pty", b"x"]]
    assert len(chosen) > 200
    for number, dump in zip(chosen, realpppd.dumps([files[number] for number in chosen], tmp_path), strict=True):
        (user,) = (option for option in dump if option.name == b"user")
        assert user.is_of(read[number][1]), (files[number], user)


def test_the_judge_sees_an_injection(tmp_path: Path) -> None:
    (dump,) = realpppd.dumps([b'user "u" maxfail "7"\npty x\nnoauth\n'], tmp_path)
    assert {(option.name, option.printed) for option in dump} >= {(b"user", b"u"), (b"maxfail", b"7")}
    assert not realpppd.Option(b"user", b"a\\\\b", False).is_of(b"a\\\\b")
    with realpppd.memory(b'password "abcdef"\n', tmp_path) as memory:
        assert b"abcdef\0" in memory
        assert b"abcdeg\0" not in memory


def test_the_options_of_a_peer_file_are_the_golden_ones_whoever_the_user_is(tmp_path: Path) -> None:
    plain = Settings(SERVER, "customer@C012", title="Yosefcom"), b"secret"
    links = [plain, *hostile_links()]
    files = [pppfiles.render("yosefcom", link, SERVER, password, VERSION) for link, password in links]
    for (link, _), dump in zip(links, realpppd.dumps(files, tmp_path), strict=True):
        check_golden(link, dump, VERSION)


@pytest.mark.parametrize("number", range(len(hostile.PASSWORDS_CARRIED)))
def test_pppd_holds_the_very_bytes_of_user_and_password(number: int, tmp_path: Path) -> None:
    settings, password = hostile_links()[number]
    with realpppd.memory(pppfiles.render("yosefcom", settings, SERVER, password, VERSION), tmp_path) as memory:
        assert settings.user.encode() + b"\0" in memory
        assert password + b"\0" in memory
