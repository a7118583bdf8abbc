"""Translation: `_()` and `ngettext()` for every text that a person reads, and Qt in the same language.

Owns the choice of the language; must not know any text. Without a catalogue the English text is shown. Dates and
numbers are written by `QLocale()`, which `install()` makes that of the texts unless the person has chosen one.

The helper speaks English, with what it fills in already in its sentences: `said()` finds out by the sentence's form
which of those in the catalogue it is.
"""

import gettext
import os
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PyQt6.QtWidgets import QApplication

DOMAIN: Final = "cablecar"

# Beside the modules in a checkout and a virtual environment; there first, since it is of the same version.
FOLDERS: Final = (Path(__file__).parent / "locale", Path(sys.prefix, "share", "locale"))


def wanted(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the languages to look for, the best first, up to English: that is what the texts are written in."""
    value = next(filter(None, map(environment.get, ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"))), "")
    for language in value.split(":"):
        if language.split(".")[0].split("_")[0] in ("C", "POSIX", "en"):
            return
        if language:
            yield language


def find(languages: list[str]) -> gettext.NullTranslations:
    """Return the catalogue for these languages, or one that leaves everything in English."""
    # An empty list would make gettext look into the environment by its own rules.
    folder = next((folder for folder in FOLDERS if languages and gettext.find(DOMAIN, folder, languages)), None)
    return gettext.translation(DOMAIN, folder, languages) if folder else gettext.NullTranslations()


_catalogue: Final = find(list(wanted(os.environ)))
LANGUAGE: Final = _catalogue.info().get("language", "en")
_RIGHT_TO_LEFT: Final = LANGUAGE in ("ar", "fa", "he", "ur", "yi")
_MARK: Final = "\N{RIGHT-TO-LEFT MARK}"
_ISOLATE, _END_OF_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_HELPER: Final = "helper"  # the context of the helper's sentences
_DEEPEST: Final = 6  # what is filled in may be a sentence, with a sentence filled in
_PLACEHOLDER: Final = re.compile(r"{([a-z_]+)}")
_CHOICE: Final = re.compile(r"[\w-]+(?: or [\w-]+)+", re.ASCII)  # of a setting's values
# Where a name begins or ends in a sign that belongs to no script, and would go to its other side: `mtu-`, /etc, @C012.
_NAME: Final = re.compile(r"`[^`]+`|(?<![\w.])[/@](?=\w)|{file}", re.ASCII)


def _(text: str) -> str:
    """Return `text` in the user's language. The empty text stays empty (gettext would answer its header)."""
    return _directed(_catalogue.gettext(text)) if text else ""


def ngettext(one: str, many: str, number: int) -> str:
    """Return the form of a text that goes with `number`, in the user's language."""
    return _directed(_catalogue.ngettext(one, many, number))


def said(text: str) -> str:
    """Return what the helper has said, in the user's language; what is not in the catalogue stays."""
    reason = _catalogue.gettext(text) if text else text
    translated = reason if reason != text else _recognized(text)
    return text if translated is None else _directed(translated)


@lru_cache(maxsize=1024)  # the same part is met in several ways, and so is each part of it
def _recognized(text: str, deep: int = 0) -> str | None:
    if deep > _DEEPEST:
        return None
    # What is filled in seldom has a full stop; a reason or an error may be.
    return _sentence(text, deep) or _sentences(text, deep) or _of_a_form(text, deep, several=True)


def _sentence(text: str, deep: int) -> str | None:
    translated = _catalogue.pgettext(_HELPER, text)
    return translated if translated != text else _of_a_form(text, deep)


def _sentences(text: str, deep: int) -> str | None:
    for end in (match.end() for match in re.finditer(r"[.?] ", text)):
        if (first := _sentence(text[: end - 1], deep)) and (others := _recognized(text[end:], deep)):
            return f"{first} {others}"
    return None


def _of_a_form(text: str, deep: int, *, several: bool = False) -> str | None:
    for form, translation, is_frame in _forms():
        if (match := form.fullmatch(text)) and (several or not any(". " in value for value in match.groups())):
            known = {name: _recognized(value, deep + 1) or _choice(value) for name, value in match.groupdict().items()}
            if is_frame and not any(known.values()):
                continue
            values = {name: known[name] or _isolated(value) for name, value in match.groupdict().items()}
            pieces = enumerate(_PLACEHOLDER.split(translation))
            return "".join(values[piece] if odd % 2 else piece for odd, piece in pieces)
    return None


def _choice(value: str) -> str | None:
    between = _(" or ")
    return between.join(map(_isolated, value.split(" or "))) if _CHOICE.fullmatch(value) else None


def _isolated(value: str) -> str:
    return f"{_ISOLATE}{value}{_END_OF_ISOLATE}" if _RIGHT_TO_LEFT else value


@cache
def _forms() -> list[tuple[re.Pattern[str], str, bool]]:
    """Return the forms of the helper's sentences that fill something in, the surest first.

    With each its translation, and whether it is only a frame, like `{path}: {error}`: that may be anything.
    """
    context = f"{_HELPER}\4"
    entries = getattr(_catalogue, "_catalog", {}).items()  # nothing else lists a catalogue
    texts = [(key.removeprefix(context), text) for key, text in entries if isinstance(key, str) and context in key]
    letters = {text: sum(map(str.isalpha, _PLACEHOLDER.sub("", text))) for text, _translation in texts}
    texts.sort(key=lambda entry: letters[entry[0]], reverse=True)
    return [(_form(text), other, not letters[text]) for text, other in texts if _PLACEHOLDER.search(text)]


def _form(text: str) -> re.Pattern[str]:
    known: set[str] = set()

    def group(name: str) -> str:
        again = name in known
        known.add(name)
        return f"(?P={name})" if again else f"(?P<{name}>.+?)"

    pieces = _PLACEHOLDER.split(text)
    return re.compile("".join(group(piece) if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces)))


def _directed(text: str) -> str:
    """Let a text begin with the direction of its language, and names keep theirs.

    Labels, panels and notification servers go by the first letter, which may be that of a name or of a placeholder.
    """
    if not _RIGHT_TO_LEFT:
        return text
    letters = [kind for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")]
    # What has no translation, such as a sentence of the helper, keeps the direction that it has.
    if "{" not in text and "R" not in letters and "AL" not in letters:
        return text
    begin = _MARK if letters[:1] == ["L"] else ""
    return begin + _NAME.sub("\N{LEFT-TO-RIGHT MARK}\\g<0>\N{LEFT-TO-RIGHT MARK}", text)


def install(application: "QApplication") -> None:
    """Let Qt speak the language of the texts: its own buttons, the side where lines begin, dates and numbers."""
    from PyQt6.QtCore import QLibraryInfo, QLocale, QTranslator

    locale = QLocale(LANGUAGE)
    chosen = os.environ.get("LC_ALL") or os.environ.get("LC_TIME") or ""
    system = QLocale(chosen or os.environ.get("LANG", "C")).language()
    if LANGUAGE != "en" and system != locale.language() and (system == QLocale.Language.C or not chosen):
        QLocale.setDefault(locale)
    translator = QTranslator(application)
    if translator.load(locale, "qtbase", "_", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
        application.installTranslator(translator)
    # Also without Qt's catalogue, from which Qt would take it.
    application.setLayoutDirection(locale.textDirection())
