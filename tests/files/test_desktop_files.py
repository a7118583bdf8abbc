"""The launcher, the autostart file, the metainfo and the icons, against freedesktop's own checkers."""

import configparser
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
IDENTITY = "org.cablecar1.applet"
LAUNCHER = ROOT / "desktop" / f"{IDENTITY}.desktop"
AUTOSTART = ROOT / "desktop" / f"{IDENTITY}-autostart.desktop"
METAINFO = ROOT / "desktop" / f"{IDENTITY}.metainfo.xml"
ICONS = ROOT / "applet" / "icons" / "hicolor"


def entry(path: Path) -> dict[str, str]:
    """Return the keys of a desktop file."""
    file = configparser.ConfigParser(interpolation=None)
    file.optionxform = str  # type: ignore[assignment, method-assign]  # keys are case-sensitive here
    file.read(path)
    return dict(file["Desktop Entry"])


def check(*command: str) -> str:
    """Return what a checker says; empty when it is content."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return (done.stdout + done.stderr) if done.returncode else ""


@pytest.mark.parametrize("path", [LAUNCHER, AUTOSTART], ids=lambda path: path.name)
def test_desktop_file_is_valid(path: Path) -> None:
    assert path.exists()
    assert not check("desktop-file-validate", str(path))


@pytest.mark.parametrize("path", [LAUNCHER, AUTOSTART], ids=lambda path: path.name)
def test_desktop_file_starts_the_applet(path: Path) -> None:
    keys = entry(path)
    assert keys["Exec"].split()[0] == "cablecar-applet"
    assert keys["Icon"] == IDENTITY
    assert (ICONS / "scalable" / "apps" / f"{IDENTITY}.svg").exists()


def test_autostart_does_nothing_after_the_removal_of_the_package() -> None:
    # It is a configuration file, which stays until purge.
    assert entry(AUTOSTART).get("TryExec") == "cablecar-applet"


def metainfo_faults(path: Path, kinds: str = "EW") -> set[str]:
    """Return the tags of what appstreamcli finds: errors, warnings, infos, and what only pedants say."""
    command = ["appstreamcli", "validate", "--pedantic", "--no-net", "--no-color", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    found = set(re.findall(rf"^[{kinds}]: \S+ ([a-z-]+)", done.stdout, re.MULTILINE))
    assert found or done.returncode == 0, done.stdout + done.stderr
    return found


def test_metainfo_is_valid() -> None:
    # There is no home page yet; only AppStream 1 minds.
    assert metainfo_faults(METAINFO) <= {"url-homepage-missing"}


def test_metainfo_pleases_pedants() -> None:
    # AppStream 1 has another tag for the developer, which Debian 12's does not know.
    developer = {"developer-name-tag-deprecated", "developer-info-missing"}
    assert metainfo_faults(METAINFO, "EWIP") <= {"url-homepage-missing", *developer}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("<metadata_license>CC0-1.0<", "<metadata_license>no-such-licence<"), ("</component>", "")],
)
def test_a_mistake_in_the_metainfo_is_seen(tmp_path: Path, right: str, wrong: str) -> None:
    broken = tmp_path / METAINFO.name
    broken.write_text(METAINFO.read_text().replace(right, wrong))
    assert metainfo_faults(broken) - {"url-homepage-missing"}


def test_metainfo_names_the_launcher() -> None:
    root = ElementTree.parse(METAINFO).getroot()
    assert root.findtext("id") == IDENTITY
    assert root.findtext("launchable[@type='desktop-id']") == LAUNCHER.name


@pytest.mark.parametrize("path", sorted(ICONS.rglob("*.svg")), ids=lambda path: path.name)
def test_icon_is_xml_in_a_folder_of_its_kind(path: Path) -> None:
    assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert path.stem.endswith("-symbolic") == (path.parts[-3] == "symbolic")
