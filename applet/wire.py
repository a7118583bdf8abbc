"""What may cross the bus: the encoder for outgoing values, the signature check for incoming messages.

QtDBus hands a value of an unknown type to libdbus, which aborts the whole program (SIGABRT, no exception), and
picks a wire type by itself where Python's type leaves a choice. So everything that is sent goes through here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from PyQt6.QtCore import QLibraryInfo, QMetaType, QVariant, QVersionNumber, pyqtSlot
from PyQt6.QtDBus import QDBusArgument, QDBusMessage

Method = TypeVar("Method", bound=Callable[..., Any])

_STRING_LIST = cast("int", QMetaType.Type.QStringList.value)
_STRINGS_IN_A_DICT: Final = QLibraryInfo.version() >= QVersionNumber(6, 6)  # older ones abort (measured: 6.4.2)


def slot(*types: type | str) -> Callable[[Method], Method]:
    """Mark a method as a slot for these types: `pyqtSlot` with a type that checkers can follow."""
    marked: Callable[[Method], Method] = pyqtSlot(*types)
    return marked


def to_wire(value: Any) -> Any:
    """Admit only what QtDBus can marshal. Exact types: even a subclass of `str` aborts the process."""
    kind = type(value)
    if kind in (bool, float):
        return value
    if kind is int and -(2**63) <= value < 2**64:
        return value
    if kind is str and "\0" not in value:
        value.encode()  # a lone surrogate would be altered on the way: UnicodeEncodeError is a ValueError
        return value
    if kind is list:
        return [to_wire(item) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        return {to_wire(key): to_wire(item) for key, item in value.items()}
    raise TypeError(f"cannot send {kind.__name__} over D-Bus")


def uint32(value: int) -> QVariant:
    """Return `value` as D-Bus type `u`; a plain int goes out as `i`."""
    if type(value) is not int or not 0 <= value < 2**32:
        raise TypeError(f"not an unsigned 32 bit number: {value!r}")
    return _converted(value, QMetaType.Type.UInt)


def byte(value: int) -> QVariant:
    """Return `value` as D-Bus type `y`."""
    if type(value) is not int or not 0 <= value < 2**8:
        raise TypeError(f"not a byte: {value!r}")
    return _converted(value, QMetaType.Type.UChar)


def strings(values: list[str]) -> QDBusArgument:
    """Return `values` as D-Bus type `as`, for a top-level argument; a plain list goes out as `av`."""
    argument: QDBusArgument = QDBusArgument([str(to_wire(value)) for value in values], _STRING_LIST)
    return argument


def encoded(value: Any) -> Any:
    """Return a value for a top-level argument: one of the above stays as it is, a plain one is checked."""
    if type(value) in (QVariant, QDBusArgument):
        return value
    if type(value) is dict and all(type(key) is str for key in value):
        return {to_wire(key): encoded(item) for key, item in value.items()}
    return to_wire(value)


def variant_dict(values: Mapping[str, object]) -> dict[str, Any]:
    """Return `values` as D-Bus type `a{sv}`: numbers as `u`, lists of text as `as`, flags as `b`, text as `s`."""
    return {to_wire(key): _variant(key, value) for key, value in values.items()}


def _variant(key: str, value: object) -> Any:
    if type(value) not in (bool, int, str, list):
        raise TypeError(f"{key}: cannot send {type(value).__name__} as a setting")
    if type(value) is int:
        return uint32(value)
    if isinstance(value, list):
        if not all(type(item) is str for item in value):
            raise TypeError(f"{key}: not a list of text")
        # Where it has to go out as `av`, the helper takes that too.
        return strings(value) if _STRINGS_IN_A_DICT else to_wire(value)
    return to_wire(value)


def arguments(message: QDBusMessage, signature: str) -> list[Any] | None:
    """Return what `message` carries, or None when it is not exactly of `signature`.

    Nothing else stands between the bus and the code that unpacks: a message of another shape is not looked at.
    """
    return list(message.arguments()) if message.signature() == signature else None


def _converted(value: int, kind: QMetaType.Type) -> QVariant:
    variant = QVariant(value)
    variant.convert(QMetaType(cast("int", kind.value)))
    return variant
