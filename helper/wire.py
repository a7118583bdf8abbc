"""D-Bus types and decorators over dbus-next: real types for checkers, signature strings at run time.

With `bus.py` the only module that imports dbus-next. A method must name its polkit action, `OPEN` included, so that
forgetting one cannot open a hole; `bus.py` asks polkit before the method's body runs. Modules that use the aliases
must not postpone annotations: dbus-next would see the alias's name instead of its signature.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from dbus_next.constants import PropertyAccess
from dbus_next.service import ServiceInterface, dbus_property, method, signal
from dbus_next.signature import Variant

__all__ = [
    "OPEN",
    "DBusBool",
    "DBusCheck",
    "DBusDict",
    "DBusDicts",
    "DBusDrop",
    "DBusLinks",
    "DBusPath",
    "DBusPaths",
    "DBusStr",
    "DBusStrings",
    "DBusTexts",
    "DBusTry",
    "DBusUInt32",
    "DBusUInt64",
    "ReadOnly",
    "ServiceInterface",
    "Variant",
    "dbus_method",
    "dbus_readonly",
    "dbus_signal",
    "plain",
    "variants",
]

if TYPE_CHECKING:
    DBusStr = str
    DBusBool = bool
    DBusUInt32 = int
    DBusUInt64 = int
    DBusPath = str
    DBusPaths = list[str]
    DBusStrings = list[str]
    DBusTexts = dict[str, str]
    DBusDict = dict[str, Variant]
    DBusDicts = list[dict[str, Variant]]
    DBusLinks = list[list[str]]
    DBusCheck = list[str | dict[str, Any]]
    DBusDrop = list[str | bool]
    DBusTry = list[int]
else:
    DBusStr = "s"
    DBusBool = "b"
    DBusUInt32 = "u"
    DBusUInt64 = "t"
    DBusPath = "o"
    DBusPaths = "ao"
    DBusStrings = "as"
    DBusTexts = "a{ss}"
    DBusDict = "a{sv}"
    DBusDicts = "aa{sv}"
    DBusLinks = "a(sos)"
    DBusCheck = "sa{sv}"
    DBusDrop = "ssb"
    DBusTry = "uu"

OPEN: Final = ""  # the action of a method that everybody may call

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])


class ReadOnly(Generic[T_co]):
    """What a checker sees in place of dbus-next's property object."""

    def __get__(self, instance: object, owner: type | None = None) -> T_co:
        """Return the property's value."""
        raise NotImplementedError


def dbus_method(name: str, action: str, check: Callable[..., object] | None = None) -> Callable[[F], F]:
    """Export a method under `name`.

    Args:
        name: The member's name on the bus.
        action: The polkit action that the caller needs, or `OPEN`.
        check: Called with the arguments before polkit is asked; raises when they are malformed. It must be pure:
            no file and no resolver is touched for a caller who has not been authorized.
    """

    def decorate(function: F) -> F:
        exported = method(name)(function)
        described = exported.__dict__["__DBUS_METHOD"]
        described.action = action
        described.check = check
        return cast("F", exported)

    return decorate


def dbus_signal(name: str) -> Callable[[F], F]:
    """Export a signal under `name`; the decorated function returns what it carries."""
    return cast("Callable[[F], F]", signal(name))


def dbus_readonly(name: str) -> Callable[[Callable[[Any], T]], ReadOnly[T]]:
    """Export a read-only property. Writable ones would go round authorization: there are none."""
    return cast("Callable[[Callable[[Any], T]], ReadOnly[T]]", dbus_property(PropertyAccess.READ, name))


def variants(values: Mapping[str, Any], types: Mapping[str, str] | None = None) -> dict[str, Variant]:
    """Return plain values as an `a{sv}`.

    Args:
        values: Text, flags, numbers and lists of text.
        types: The D-Bus type of those that are none of `s`, `b`, `u` and `as`.
    """
    return {key: Variant((types or {}).get(key) or _type_of(value), value) for key, value in values.items()}


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "b"
    if isinstance(value, int):
        return "u"
    return "as" if isinstance(value, list) else "s"


def plain(value: object) -> Any:
    """Return a received value without its Variants, at any depth."""
    if isinstance(value, Variant):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
