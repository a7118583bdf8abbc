"""The pages: each command on them is run by a test or says why not, what they name exists, and it is spelled right."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import manual
import pytest

from cablecar.helper import hold, hooks, pppd, reasons, redial
from cablecar.helper.reasons import Reason

ROOT = Path(__file__).parents[2]
PAGES = (*manual.RUN, manual.RECIPES, *manual.REPEATING)
# The sections of the Cables-PPTP-HOWTO that say what to do, in its order.
HOWTO = (
    "So which is it, PPTP, L2TP or PPPoE?",
    "Prerequisites",
    "General description",
    "Static routes on the cables network segment",
    "The PPP daemon's pap-secrets file",
    "The PPP daemon provider-specific options file",
    "Provider-specific ip-up.d and ip-down.d scripting",
    "Name resolution",
    "The default route",
    "Firewall issues",
    "What else to run from ip-up.d?",
    "Making the connection",
    "Restarting the connection in case of failure",
    "Having the connection established automatically at boot time",
    "Additional information and help",
)
LANGUAGES = {"sh", "console", "text", "toml"}
GUIDE = (ROOT / "doc/GUIDE.md").read_text()
TROUBLESHOOTING = ROOT / "doc/TROUBLESHOOTING.md"


def tracked(pattern: str) -> list[str]:
    """Return the files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-coz", "--exclude-standard", "--", pattern],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return sorted(name for name in listed if name and (ROOT / name).is_file())


def untested(page: str) -> list[str]:
    """Return the commands of a page that neither a test runs nor a reason excuses."""
    run = "\n".join(manual.commands_run())
    told = manual.commands_in_text(page)
    for fence in manual.fences(page):
        if fence.language == "console":
            told += manual.commands(fence)
        elif fence.language == "sh" and page in manual.REPEATING:
            told += fence.text.splitlines()
    return [command for command in told if command not in run and not manual.why_not_run(page, command)]


def broken_links(page: str, text: str) -> list[str]:
    """Return the pages and link targets that a page names and that are not in the tree."""
    folder = (ROOT / page).parent
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    spans = re.findall(r"`([\w./-]+\.md)`", text)
    return [
        name for name in filter(None, [*links, *spans]) if not (folder / name).exists() and not (ROOT / name).exists()
    ]


def misspelled(*files: str) -> str:
    # The mark of a key cuts its word in two; `iif` is a word of nft.
    command = [sys.executable, "-m", "codespell_lib", "--ignore-words-list=iif", r"--ignore-regex=\w+&\w+", *files]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True).stdout


@pytest.mark.parametrize("page", PAGES)
def test_each_command_is_run_or_says_why_not(page: str) -> None:
    assert not untested(page)
    assert {fence.language for fence in manual.fences(page)} <= LANGUAGES


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("See `nft list table inet no_such`.\n", "nft list table inet no_such"),
        ("```console\n# as root\nfalse \\\n    --really  # or not\n```\n", "false --really"),
    ],
)
def test_a_command_that_nothing_runs_is_seen(text: str, command: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert untested(str(page)) == [command]


@pytest.mark.parametrize(("page", "words"), manual.NOT_RUN)
def test_what_is_not_run_is_on_its_page(page: str, words: str) -> None:
    told = [*manual.commands_in_text(page), *(line for fence in manual.fences(page) for line in manual.commands(fence))]
    assert any(command.startswith(words) for command in told)


def test_each_page_for_users_is_looked_at() -> None:
    shown = {name for name in tracked("*.md") if name.startswith(("dbus/", "doc/"))} | {"README.md"}
    assert set(PAGES) == shown - {"doc/ARCHITECTURE.md"}


@pytest.mark.parametrize("page", PAGES)
def test_each_member_that_is_called_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    called = set(re.findall(r"org\.cablecar1\.(Manager|Link) ([A-Z]\w+)", text))
    assert called <= {
        (path.stem.rpartition(".")[2], member.get("name"))
        for path in ROOT.glob("dbus/*.xml")
        for member in ElementTree.parse(path).iter()
    }


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "doc/ARCHITECTURE.md"])
def test_each_target_of_make_exists(page: str) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE))
    assert named <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", tracked("*.md"))
def test_no_link_is_broken(page: str) -> None:
    assert not broken_links(page, (ROOT / page).read_text())


@pytest.mark.parametrize("text", ["[here](no-such.md)", "[here](../doc/no-such.md#part)", "see `dbus/NO.md`"])
def test_a_broken_link_is_seen(text: str) -> None:
    assert broken_links("doc/GUIDE.md", text)


def test_the_words_are_spelled_right() -> None:
    texts = ("*.md", "*.xml", "*.policy", "*.pot", "*.toml", "applet/*.py", "dbus/*", "debian/*", "helper/*.py")
    assert not misspelled(*{name for pattern in texts for name in tracked(pattern)})


def test_a_misspelled_word_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("It is recieved.\n")
    assert "received" in misspelled(str(page))


def test_the_troubleshooting_page_is_the_helpers_table() -> None:
    made = subprocess.run([str(ROOT / "doc/troubleshooting")], check=True, capture_output=True, text=True).stdout
    assert made == TROUBLESHOOTING.read_text(), "`make docs` makes the page anew"


@pytest.mark.parametrize("reason", [reason for reason in reasons.ALL if reason.id], ids=lambda reason: reason.id)
def test_each_reason_has_its_section(reason: Reason) -> None:
    section = TROUBLESHOOTING.read_text().split(f"\n### `{reason.id}`\n")
    assert len(section) == 2
    happened, advice = reason.sentence.split(". ", 1)
    assert f"{happened}.\n\n* To do: {advice}\n" in section[1]


def test_no_reason_that_xl2tpd_tells_of_is_looked_for_in_the_journal() -> None:
    told = {reason.id for pattern, reason in pppd._ROWS if pattern.startswith(pppd._XL2TPD)}
    sections = dict(text.split("`\n", 1) for text in TROUBLESHOOTING.read_text().split("\n### `")[1:])
    assert {"l2tp-call-lost", "not-admitted"} <= told
    assert not [reason for reason in told if "Seen by: `journalctl" in sections[reason]]


def test_each_section_of_the_howto_says_what_has_become_of_it() -> None:
    sections = dict(text.split("\n", 1) for text in GUIDE.split("\n## ")[1:])
    assert [*sections] == ["The short way", *HOWTO]
    became = re.compile(r"^\*\*You used to\*\* .*^\*\*(Now|You still do:)\*\* ", re.MULTILINE | re.DOTALL)
    assert not [heading for heading in HOWTO if not became.search(sections[heading])]


def test_the_guides_numbers_are_the_helpers() -> None:
    assert "has 30 seconds as a whole, and so has each of yours" in GUIDE
    assert hooks.LIMIT == 30
    assert "at most five minutes" in GUIDE.replace("\n", " ")
    assert redial.CAP == 300
    # A carrier that is back within four seconds has the rest for being noticed.
    assert "within four seconds" in GUIDE
    assert 4 < hold.LIMIT < 5
    assert "drops again within two minutes" in GUIDE.replace("\n", " ")
    assert redial.STABLE == 120


def test_the_menus_words_are_the_applets() -> None:
    catalogue = (ROOT / "desktop/po/cablecar.pot").read_text().replace("&", "")
    said = re.findall(r"\*\*([^*]+…)\*\*", GUIDE + TROUBLESHOOTING.read_text())
    assert said
    assert not [text for text in said if f'msgid "{text}"' not in catalogue]
