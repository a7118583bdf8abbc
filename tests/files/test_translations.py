"""The texts in other languages: all of them, with what the program fills in, and in files that their readers accept."""

import ast
import gettext
import io
import re
import struct
import subprocess
import unicodedata
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from cablecar.helper import reasons

ROOT = Path(__file__).parents[2]
PO = ROOT / "desktop" / "po"
TEMPLATE = PO / "cablecar.pot"
LANGUAGES = (PO / "LINGUAS").read_text().split()
XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

LETTERS = {"he": "HEBREW LETTER", "ru": "CYRILLIC"}
# Names and such, which are written alike in every language.
ALIKE = re.compile(r"{[^}]*}|\b(Cablecar|DNS|MTU|NetworkManager|VLAN|xl2tpd)\b")
# One number of each plural form, and where a form of its own is expected.
FORMS = {"he": [1, 2, 5], "ru": [1, 2, 5]}
SAME_FORM = {"he": [(3, 11), (5, 21)], "ru": [(1, 21), (2, 24), (5, 11), (5, 112)]}

Texts = dict[str, tuple[str, ...]]


def findings(metainfo: Path) -> list[str]:
    """Return what appstreamcli has against a file, without line numbers; test_desktop_files.py says what it may."""
    command = ["appstreamcli", "validate", "--pedantic", "--no-net", "--no-color", str(metainfo)]
    said = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    return sorted(re.sub(r":\d+: ", ":~: ", line) for line in said.splitlines() if re.match(r"[EWIP]: ", line))


def run(*command: str | Path) -> str:
    """Run a tool, which must be content, and return what it printed."""
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def catalogues(*arguments: str | Path) -> None:
    run(PO / "catalogues", *arguments)


def compiled(source: Path) -> bytes:
    """Return the compiled form of a .po file, which must be in order."""
    done = subprocess.run(["msgfmt", "--check", "--output-file=-", source], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def texts(compiled: bytes) -> Texts:
    """Return the entries of a compiled catalogue: `one NUL many` or the text, with its forms; without the header."""
    count, originals, translations = struct.unpack_from("<3I", compiled, 8)

    def text(table: int, index: int) -> str:
        length, offset = struct.unpack_from("<2I", compiled, table + 8 * index)
        return compiled[offset : offset + length].decode()

    entries = {text(originals, index): tuple(text(translations, index).split("\0")) for index in range(count)}
    return {text: forms for text, forms in entries.items() if text}


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    code: str = request.param
    return code


@pytest.fixture
def catalogue(language: str) -> bytes:
    return compiled(PO / f"{language}.po")


def template_texts(template: Path = TEMPLATE) -> set[str]:
    """Return what there is to translate, as `texts` names it."""
    # Of what is not translated nothing is compiled; so English is made its translation.
    english = subprocess.run(["msgen", template], check=True, capture_output=True).stdout
    done = subprocess.run(["msgfmt", "--output-file=-", "-"], input=english, check=True, capture_output=True)
    return set(texts(done.stdout))


def test_the_template_is_up_to_date(tmp_path: Path) -> None:
    fresh = tmp_path / TEMPLATE.name
    catalogues("pot", fresh)
    assert template_texts(fresh) == template_texts(), "`make po`, then translate what is new in desktop/po/*.po"


@pytest.mark.parametrize("target", ["pot", "po"])
def test_making_it_begins_with_gettext_being_there(target: str) -> None:
    command = ["make", "--no-print-directory", "--dry-run", target]
    planned = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert planned.splitlines()[0] == "tests/setup-host check"


def test_each_reason_is_in_the_template() -> None:
    assert {reason.sentence for reason in reasons.ALL if reason.sentence} <= template_texts()


# How the helper may write a sentence, and what there is to translate of it.
SENTENCES = [
    ('raise NoSuchLink("No such link.")', ["No such link."]),
    ('raise NoSuchLink("no stop here")', ["no stop here"]),
    ('Finding(GOOD, "It is there.", "Do it.")', ["It is there.", "Do it."]),
    ('Finding(BAD, f"Missing: {", ".join(self._missing)}.")'.replace('", "', "', '"), ["Missing: {missing}."]),
    ('Finding(BAD, f"It is {size}.", reasons.NO_CABLE.sentence)', ["It is {size}."]),
    ("yield f\"{a} runs{' at boot' if b else ''}: stop it.\"", ["{a} runs at boot: stop it.", "{a} runs: stop it."]),
    ('return "A sentence from anywhere."', ["A sentence from anywhere."]),
    ('log.info("Only in the log.")', []),
    ('def f():\n    """A docstring."""', []),
    ('x = "no sentence"', []),
    ('x = "word."', []),
]


@pytest.mark.parametrize(("source", "found"), SENTENCES)
def test_the_helpers_sentences_are_gathered(source: str, found: list[str]) -> None:
    assert list(gatherer().sentences(source, {"NoSuchLink", "Finding"}, "module.py")) == found


@pytest.mark.parametrize("text", ['"It is " + there', '"It is {}.".format(there)', '"It is %s." % there'])
def test_a_sentence_of_the_helper_in_pieces_is_refused(text: str) -> None:
    with pytest.raises(SystemExit, match=r"module\.py:1: make it one f-string"):
        list(gatherer().sentences(f"Finding(BAD, {text})", {"Finding"}, "module.py"))


def gatherer() -> ModuleType:
    spec = spec_from_file_location("sentences", PO / "sentences.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_language_is_complete(language: str, catalogue: bytes) -> None:
    # Neither untranslated nor fuzzy entries are compiled.
    assert set(texts(catalogue)) == template_texts()
    assert "#~" not in (PO / f"{language}.po").read_text(), "remove what is translated and not used any more"


def test_plural_forms(language: str, catalogue: bytes) -> None:
    plural = gettext.GNUTranslations(io.BytesIO(catalogue)).plural  # type: ignore[attr-defined]
    assert [plural(number) for number in FORMS[language]] == list(range(len(FORMS[language])))
    assert [plural(one) for one, _other in SAME_FORM[language]] == [
        plural(other) for _one, other in SAME_FORM[language]
    ]
    assert {len(forms) for text, forms in texts(catalogue).items() if "\0" in text} <= {len(FORMS[language])}


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"{[^}]*}", text))


def faults(language: str, source: str, forms: tuple[str, ...]) -> Iterator[str]:
    """Yield what is wrong with a translation."""
    original = source.split("\0")[-1]
    for index, form in enumerate(forms):
        # A form for one number only need not say it: "two days" is one word in Hebrew.
        says_number = len(forms) == 1 or language == "ru" or index == len(forms) - 1
        if says_number and placeholders(form) != placeholders(original):
            yield "placeholders differ"
        if not set(placeholders(form)) <= set(placeholders(original)):
            yield "a placeholder that is not filled in"
        if re.findall(r"^\s*|\s*$", form) != re.findall(r"^\s*|\s*$", original):
            yield "space at an end"
        if any(unicodedata.category(character) in ("Cc", "Cf") and character != "\n" for character in form):
            yield "a character that is not seen"
        if any(form.endswith(mark) != original.endswith(mark) for mark in (".", "…", ":", "?", ";")):
            yield "another mark at the end"
        if len(re.findall(r"&\w", form)) != len(re.findall(r"&\w", original)):
            yield "no accelerator, or one of its own"
        letters = [unicodedata.name(letter, "") for letter in ALIKE.sub("", form.replace("&", "")) if letter.isalpha()]
        if letters and not any(name.startswith(LETTERS[language]) for name in letters):
            yield "not in the language"


def test_each_translation_is_sound(language: str, catalogue: bytes) -> None:
    found = {text: what for text, forms in texts(catalogue).items() if (what := list(faults(language, text, forms)))}
    assert not found


@pytest.mark.parametrize(
    ("source", "forms"),
    [
        ("Connected.", ("Connected.",)),
        ("Connected.", ("מחובר",)),
        ("Connected", ("מחובר.",)),
        ("Connected", ("מחובר ",)),
        ("Connected", ("\u200fאת",)),
        ("Connected since {time}", ("מחובר",)),
        ("Connected since {time}", ("מחובר מאז {זמן}",)),
        ("{n} day\0{n} days", ("יום", "יומיים", "ימים")),
        ("{n} day\0{n} days", ("יום {m}", "יומיים", "{n} ימים")),
        ("Connect", ("ה&תחברות",)),
        ("&Connect", ("התחברות",)),
    ],
)
def test_a_wrong_translation_is_seen(source: str, forms: tuple[str, ...]) -> None:
    assert list(faults("he", source, forms))


def test_a_reasons_first_sentence_stands_alone(catalogue: bytes) -> None:
    # The menu shows what comes before the first ". "; what to do follows it.
    translated = texts(catalogue)
    for reason in reasons.ALL:
        if reason.sentence:
            (text,) = translated[reason.sentence]
            assert (". " in text) == (". " in reason.sentence), text


def wrong_texts(source: str) -> list[int]:
    """Return the lines where what is put together at run time is given to `_`: xgettext cannot know it."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("_", "ngettext")
        and any(isinstance(argument, ast.JoinedStr | ast.BinOp) for argument in node.args)
    ]


@pytest.mark.parametrize("path", sorted(ROOT.glob("applet/*.py")), ids=lambda path: path.name)
def test_texts_are_whole(path: Path) -> None:
    assert not wrong_texts(path.read_text())


def test_a_text_in_pieces_is_seen() -> None:
    assert wrong_texts('_(f"Connected since {time}")') == [1]
    assert wrong_texts('_("Connected since " + time)') == [1]
    assert not wrong_texts('_("Connected " "since {time}").format(time=time)')


@pytest.mark.parametrize("source", sorted(ROOT.glob("desktop/*.desktop")), ids=lambda path: path.name)
def test_desktop_entries_are_translated(source: Path, tmp_path: Path) -> None:
    merged = tmp_path / source.name
    catalogues("merge", source, merged)
    run("desktop-file-validate", merged)
    lines = merged.read_text().splitlines()
    for language in LANGUAGES:
        assert any(line.startswith(f"Comment[{language}]=") for line in lines)


def test_the_polkit_actions_are_translated(tmp_path: Path) -> None:
    merged = tmp_path / "org.cablecar1.policy"
    catalogues("merge", ROOT / "polkit" / merged.name, merged)
    run("xmllint", "--noout", "--nonet", "--dtdvalid", "/usr/share/polkit-1/policyconfig-1.dtd", merged)
    actions = ElementTree.parse(merged).getroot().findall("action")
    assert actions
    for action in actions:
        for tag in ("description", "message"):
            assert {each.get(XML_LANGUAGE) for each in action.findall(tag)} == {None, *LANGUAGES}


def test_the_metainfo_is_translated(tmp_path: Path) -> None:
    merged = tmp_path / "org.cablecar1.applet.metainfo.xml"
    catalogues("merge", ROOT / "desktop" / merged.name, merged)
    assert findings(merged) == findings(ROOT / "desktop" / merged.name)
    root = ElementTree.parse(merged).getroot()
    for path in ("summary", "description/p", "description/ul/li"):
        assert {each.get(XML_LANGUAGE) for each in root.findall(path)} == {None, *LANGUAGES}
