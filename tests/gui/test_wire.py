"""What may be sent, and with which types it arrives."""

from collections.abc import Callable
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QByteArray
from PyQt6.QtDBus import QDBusConnection, QDBusMessage

from cablecar.applet import wire
from cablecar.applet.wire import arguments, byte, encoded, strings, to_wire, uint32, variant_dict


class Word(StrEnum):
    UP = "up"


class Number(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    "value",
    [True, 0, -(2**63), 2**64 - 1, 1.5, "", "שלום", [], [1, "a", [True]], {}, {"a": {"b": [1]}}],
)
def test_admits(value: Any) -> None:
    assert to_wire(value) == value


@pytest.mark.parametrize(
    "value",
    [
        None, b"x", bytearray(b"x"), (), (1,), {1}, Path("/"), Word.UP, Number.ONE, object(), 2**64, -(2**63) - 1,
        "a\0b", "\ud800", {1: "a"}, {Word.UP: 1}, {"a\0": 1}, {"a": None}, [None], [[b"x"]], {"a": [Word.UP]},
        QByteArray(), QDBusMessage(),
    ],
)  # fmt: skip
def test_refuses_what_would_abort_or_be_altered(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        to_wire(value)


@pytest.mark.parametrize(("encode", "value"), [(uint32, -1), (uint32, 2**32), (uint32, True), (byte, 256), (byte, "1")])
def test_numbers_of_a_size_refuse_others(encode: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)


@pytest.mark.parametrize(
    ("value", "signature"),
    [
        (to_wire("a"), "s"), (to_wire(True), "b"), (to_wire(5), "i"), (uint32(5), "u"), (byte(5), "y"),
        (strings([]), "as"), (strings(["a", "b"]), "as"), (to_wire({}), "a{sv}"), (to_wire([]), "av"),
        (to_wire({"a": 2**63, "b": [], "c": {}}), "a{sv}"), (encoded(variant_dict({"a": 1, "b": ["c"]})), "a{sv}"),
        (encoded(uint32(5)), "u"), (encoded("a"), "s"), (variant_dict({}), "a{sv}"),
    ],
)  # fmt: skip
def test_arrives_as(start: Any, session: QDBusConnection, eventually: Any, value: Any, signature: str) -> None:
    server = start("notifications.py")
    message = QDBusMessage.createMethodCall("org.freedesktop.Notifications", "/", "x.Y", "Take")
    message.setArguments([value])
    assert session.send(message)
    assert eventually(lambda: server.seen("call", member="Take"))[0]["signature"] == signature


@pytest.mark.parametrize("value", [None, 1.5, -1, 2**32, b"x", ("a",), [1], ["a", None], Word.UP, {"a": 1}, "a\0b"])
def test_a_setting_is_text_a_number_a_flag_or_a_list_of_text(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        variant_dict({"mtu": value})


@pytest.mark.parametrize("value", [None, b"x", {"a": None}, {1: "a"}, [uint32(1)]])
def test_encoded_refuses_what_is_not_encoded(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encoded(value)


@pytest.mark.parametrize(
    ("word", "modules"),
    [
        ("PyQt6.QtDBus", {"app", "client", "notify", "tray", "wire"}),
        ("setArguments", {"app", "client", "notify"}),
        (".arguments()", {"wire"}),
    ],
)
def test_there_is_one_border(word: str, modules: set[str]) -> None:
    """Nothing is sent but what went through the encoder, nothing is read but what has the expected signature."""
    folder = Path(wire.__file__).parent
    assert {path.stem for path in folder.glob("*.py") if word in path.read_text()} == modules


def test_arguments_only_of_the_expected_shape() -> None:
    message = QDBusMessage.createSignal("/", "x.Y", "Z")
    assert arguments(message, "") == []
    assert arguments(message, "s") is None
