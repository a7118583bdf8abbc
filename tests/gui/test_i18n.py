"""The choice of the language, and Qt in the same one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cablecar.applet import i18n

ROOT = Path(__file__).resolve().parents[2]

# A program of its own: the language is chosen once, when the texts are loaded.
PROGRAM = """
from cablecar.applet import i18n
from PyQt6.QtCore import QDate, QLocale
from PyQt6.QtWidgets import QApplication, QDialogButtonBox
from cablecar.applet import words
application = QApplication(["test"])
i18n.install(application)
box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
print(i18n.LANGUAGE)
print(i18n._("Connected"))
print(words.reason("no-password"))
print(box.buttons()[0].text().replace("&", ""))
print(application.layoutDirection().name)
print(QLocale().toString(QDate(2026, 11, 22), "d MMMM"))
"""

ENGLISH = [
    "en", "Connected", "No password is stored for this link. Set the password, then connect.", "Cancel", "LeftToRight",
]  # fmt: skip
HEBREW = ["he", "מחובר", "לא נשמרה סיסמה לחיבור הזה. הגדירו סיסמה ואז התחברו.", "ביטול", "RightToLeft", "22 נובמבר"]
RUSSIAN = [
    "ru", "Подключено", "Для этого соединения не сохранён пароль. Задайте пароль и подключитесь.", "Отмена",
    "LeftToRight", "22 ноября",
]  # fmt: skip


def catalogues(folder: Path) -> None:
    subprocess.run([ROOT / "desktop" / "po" / "catalogues", "mo", folder], check=True)


def run(installed: Path, environment: dict[str, str], program: str = PROGRAM) -> list[str]:
    """Return what a program says in an environment that has these of the variables about languages."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("LANG", "LC_"))}
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        env=ours | {"PYTHONPATH": str(installed), "PYTHONIOENCODING": "utf-8"} | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANGUAGE": "he"}, HEBREW),
        ({"LANG": "he_IL.UTF-8"}, HEBREW),
        ({"LANGUAGE": "he", "LANG": "C.UTF-8"}, HEBREW),
        ({"LANGUAGE": "ru", "LANG": "he_IL.UTF-8"}, RUSSIAN),
        # Dates as the person has set dates to be.
        ({"LANGUAGE": "ru", "LANG": "ru_RU.UTF-8", "LC_TIME": "he_IL.UTF-8"}, [*RUSSIAN[:-1], HEBREW[-1]]),
        ({"LC_ALL": "ru_RU.UTF-8", "LANG": "he_IL.UTF-8"}, RUSSIAN),
        ({"LANGUAGE": "fr:ru"}, RUSSIAN),
        ({"LANGUAGE": "en_IL:en:he"}, ENGLISH),
        ({"LANG": "C.UTF-8"}, ENGLISH),
        ({"LANG": "ar_EG.UTF-8"}, ENGLISH),
        ({}, ENGLISH),
    ],
)
def test_texts_buttons_direction_and_dates(installed: Path, environment: dict[str, str], expected: list[str]) -> None:
    assert run(installed, environment)[: len(expected)] == expected


def test_a_catalogue_of_the_system_is_found(installed: Path, tmp_path: Path) -> None:
    without = tmp_path / "dist-packages"
    shutil.copytree(installed, without, ignore=shutil.ignore_patterns("locale", "__pycache__"))
    assert run(without, {"LANGUAGE": "he"})[: len(ENGLISH)] == ENGLISH
    catalogues(tmp_path / "usr" / "share" / "locale")
    # What Debian's Python has as its prefix.
    (without / "sitecustomize.py").write_text(f"import sys\nsys.prefix = {str(tmp_path / 'usr')!r}\n")
    assert run(without, {"LANGUAGE": "he"}) == HEBREW


def test_a_text_begins_in_the_direction_of_its_language(installed: Path) -> None:
    program = """
from cablecar.applet.i18n import _
for text in ("{title}: {state}", "Connected", "Cablecar: password", "The helper's own sentence."):
    print(ascii(_(text)[0]))
"""
    assert run(installed, {"LANGUAGE": "he"}, program) == [r"'\u200f'", r"'\u05de'", r"'\u200f'", "'T'"]
    assert run(installed, {"LANGUAGE": "ru"}, program) == ["'{'", r"'\u041f'", "'C'", "'T'"]


def test_names_keep_their_direction(installed: Path) -> None:
    program = """
from cablecar.applet.i18n import _
from cablecar.helper import reasons
print(ascii(_(reasons.UNWRITABLE_FILE.sentence)).count("\\\\u200e/\\\\u200e"))
print(ascii(_(reasons.MTU_TOO_LARGE.sentence)).count("\\\\u200e`mtu`\\\\u200e"))
print(ascii(_(reasons.FAILED.sentence)).count("\\\\u200e"))
"""
    assert run(installed, {"LANGUAGE": "he"}, program) == ["2", "1", "0"]
    assert run(installed, {"LANGUAGE": "ru"}, program) == ["0", "0", "0"]


# Each of the helper's sentences, as it comes with something filled in, must be found in the catalogue again.
SAID = """
import re
from cablecar.applet import i18n
for key, translation in i18n._catalogue._catalog.items():
    if isinstance(key, str) and key.startswith("helper\\4"):
        fill = lambda text: re.sub("{([a-z_]+)}", r"<\\1>", text)
        said = re.sub("[\\u200e\\u200f\\u2068\\u2069]", "", i18n.said(fill(key[7:])))
        if said != fill(translation) and key[7:] not in ("{path}: {error}", "{path}: {error}."):  # frames
            print(key[7:], "->", said)
"""

SAID_SO = [
    ("Call Reload.", "Вызовите Reload."),
    ("Tula", "Тула"),
    ("The server is 203.0.113.7.", "Адрес сервера: 203.0.113.7."),
    # What is filled in may be a sentence itself.
    ("The setting `a` must be text.", "Настройка `a`: нужен текст."),
    ("/a: The link is up.", "/a: Соединение установлено."),
    ("/a: Nothing known.", None),
    ("/a, line 3: There is no setting `a`. Known are: b, c.", "/a, строка 3: Настройки `a` нет. Известны: b, c."),
    ("The setting `dns` must be peer or none.", "Настройка `dns`: нужно peer или none."),
    ("/a: Permission denied. Nothing was changed.", "/a: Отказано в доступе. Ничего не изменено."),
    # Several sentences.
    (
        "The password must be text. The server is a. The link is up.",
        "Пароль: нужен текст. Адрес сервера: a. Соединение установлено.",
    ),
    ("/a can be written by others than root. Try: chmod go-w /b", None),
    # A name from outside is neither a place to fill in nor an escape.
    ("The server is {path} \\1.", "Адрес сервера: {path} \\1."),
    ("Something new of a newer helper.", None),
    ("{title}: {state}", None),
    ("", None),
]  # fmt: skip


@pytest.mark.parametrize("language", ["he", "ru"])
def test_what_the_helper_says_is_recognized(installed: Path, language: str) -> None:
    assert run(installed, {"LANGUAGE": language}, SAID) == []


def test_what_the_helper_says_is_translated(installed: Path) -> None:
    program = (
        "import json\nfrom cablecar.applet.i18n import said\nfor text in TEXTS:\n    print(json.dumps(said(text)))"
    )
    texts = [text for text, _ in SAID_SO]
    russian = run(installed, {"LANGUAGE": "ru"}, program.replace("TEXTS", repr(texts)))
    assert [json.loads(line) for line in russian] == [translation or text for text, translation in SAID_SO]
    english = run(installed, {"LANGUAGE": "C"}, program.replace("TEXTS", repr(texts)))
    assert [json.loads(line) for line in english] == texts


@pytest.mark.parametrize("language", ["he", "ru"])
@pytest.mark.parametrize("part", ["a: ", "a: b. ", "a, line 3: ", "The server is a: b. "])
def test_what_has_many_parts_is_not_looked_at_for_ever(installed: Path, language: str, part: str) -> None:
    program = f"""
from cablecar.applet import i18n
calls, look = 0, i18n._of_a_form
def counted(*text, **options):
    global calls
    calls += 1
    assert calls < 20000
    return look(*text, **options)
i18n._of_a_form = counted
i18n.said(({part!r} * 195 + "b")[:600])
print(i18n.said("a: b: The link is up.") != "a: b: The link is up.")
"""
    assert run(installed, {"LANGUAGE": language}, program) == ["True"]


def test_what_is_filled_in_keeps_its_direction(installed: Path) -> None:
    program = "from cablecar.applet.i18n import said\nprint(ascii(said('The server is 203.0.113.7.')))"
    assert "\\u2068203.0.113.7\\u2069." in run(installed, {"LANGUAGE": "he"}, program)[0]


@pytest.mark.parametrize(
    ("environment", "languages"),
    [
        ({"LANGUAGE": "", "LANG": "ru_RU.UTF-8"}, ["ru_RU.UTF-8"]),
        ({"LC_MESSAGES": "he", "LANG": "ru"}, ["he"]),
        ({"LANGUAGE": "he:ru:en:fr"}, ["he", "ru"]),
        ({"LANGUAGE": ":he"}, ["he"]),
        ({"LC_ALL": "POSIX", "LANG": "ru"}, []),
        ({"LANG": "en.UTF-8"}, []),
    ],
)
def test_languages_wanted(environment: dict[str, str], languages: list[str]) -> None:
    assert list(i18n.wanted(environment)) == languages


def test_plurals_without_a_catalogue() -> None:
    assert [i18n.ngettext("{n} day", "{n} days", n).format(n=n) for n in (0, 1, 2)] == ["0 days", "1 day", "2 days"]
