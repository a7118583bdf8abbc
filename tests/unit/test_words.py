"""pppd's word grammar. The model was held against pppd 2.4.9 itself with 2000 random texts (`pppd file F dryrun`)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cablecar.helper.words import quote, words


def values(text: bytes) -> list[bytes]:
    return [word.value for word in words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b" \t\r\n\v\f", []),
        (b"user u@C012\r\nnoauth\r\n", [b"user", b"u@C012", b"noauth"]),
        (b"# a comment \\\nuser a", [b"user", b"a"]),
        (b"user a#b\nnoauth", [b"user", b"a", b"noauth"]),
        (b"user #x\nremotename r", [b"user", b"remotename", b"r"]),
        (b"user \"a b\"'c d'e", [b"user", b"a bc de"]),
        (b"user 'a\"b'", [b"user", b'a"b']),
        (b'user "a\\"b"', [b"user", b'a"b']),
        (b"user 'a\\'b'", [b"user", b"a'b"]),
        (b"user \\#a\\ b", [b"user", b"#a b"]),
        (b"user \\a\\b\\f\\n\\r\\s\\t\\q\\\\", [b"user", b"\a\b\f\n\r \tq\\"]),
        (b"user \\101\\1012\\7", [b"user", b"AA2\x07"]),
        (b"user \\777", [b"user", b"\xff"]),
        (b"user \\x41\\x4g\\xe9x", [b"user", b"A\x04g\xe9x"]),
        (b"us\\\ner a\\\nb", [b"user", b"ab"]),
        (b'user "a\\\nb"', [b"user", b"ab"]),
        (b'user "a\nb" noauth', [b"user", b"a\nb", b"noauth"]),
        (b'user "a\nnoauth\n', [b"user", b"a\nnoauth\n"]),
        (b"user a\0b noauth", [b"user", b"a", b"noauth"]),
        (b"user a\\000b \\x00", [b"user", b"a", b""]),
        (b'user "" noauth', [b"user", b"", b"noauth"]),
        (b'user ""', [b"user"]),
        (b"user a\\", [b"user", b"a"]),
        (b"user \\", [b"user"]),
        (b"user \xe9\xa0\x85", [b"user", b"\xe9\xa0\x85"]),
    ],
)
def test_words_are_read_as_pppd_reads_them(text: bytes, expected: list[bytes]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(("length", "kept"), [(1022, 1022), (1023, 1023), (1024, 1023), (5000, 1023)])
def test_a_long_word_is_cut_and_the_next_one_is_whole(length: int, kept: int) -> None:
    assert values(b"a" * length + b" next") == [b"a" * kept, b"next"]


def test_only_the_first_word_of_a_line_begins_it() -> None:
    text = b"a b\n\n# c\n  d 'e\nf' g\\\nh\ni#\nj \\\nk"
    assert [word.value for word in words(text) if word.begins_line] == [b"a", b"d", b"i", b"j"]


@given(st.binary(max_size=255).filter(lambda value: b"\0" not in value))
def test_what_we_quote_is_read_back(value: bytes) -> None:
    assert values(b"user " + quote(value).encode() + b" noauth") == [b"user", value, b"noauth"]


@given(st.binary(max_size=400))
def test_any_bytes_have_words(text: bytes) -> None:
    assert all(b"\0" not in value and len(value) <= 1023 for value in values(text))


@pytest.mark.parametrize("unit", [b"\\", b'"', b"'\"", b"# ", b"\\\n", b"a\\\n", b"\\x", b"a ", b'"a'])
def test_a_megabyte_takes_no_time(unit: bytes) -> None:
    begin = time.process_time()
    values(unit * (1_000_000 // len(unit)))
    assert time.process_time() - begin < 5
