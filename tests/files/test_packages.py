"""What gets into the wheel and into the Debian packages is what stands in the tree, no more and no less."""

import fnmatch
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from cablecar import helper
from cablecar.helper import install

ROOT = Path(__file__).parents[2]
DEBS = ROOT / "build" / "deb"
MODULES = Path("usr/lib/python3/dist-packages/cablecar")
CATALOGUES = {f"locale/{language}/LC_MESSAGES/cablecar.mo" for language in ("he", "ru")}


def tracked(*folders: str) -> set[str]:
    """Return the files under `folders` that git tracks or would track."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-coz", "--exclude-standard", "--", *folders],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return {name for name in listed if name and (ROOT / name).is_file()}


def install_lists() -> dict[Path, list[str]]:
    """Return the patterns of each debian/*.install, without their destinations."""
    return {
        path: [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
        for path in sorted(ROOT.glob("debian/*.install"))
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob(f"cablecar-{helper.__version__}-*.whl")
    return zipfile.ZipFile(path)


def test_building_the_wheel_leaves_the_tree_as_it_is(tmp_path: Path) -> None:
    # root may be who builds it, from somebody's checkout. -B: the bytecode of debian/wheel_files.py is in nobody's way.
    tree = tmp_path / "tree"
    for name in tracked("."):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name, follow_symlinks=False)
    before = set(tree.rglob("*"))
    command = [sys.executable, "-B", "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheel")]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    assert set(tree.rglob("*")) == before
    (path,) = (tmp_path / "wheel").iterdir()
    assert set(fnmatch.filter(zipfile.ZipFile(path).namelist(), "*.mo")) == {
        f"cablecar/applet/{path}" for path in CATALOGUES
    }


def deb_path(package: str) -> Path:
    """Return a package in build/deb."""
    path = DEBS / f"{package}_{helper.__version__.replace('.dev', '~dev')}_all.deb"
    assert path.exists(), "there are no packages in build/deb: `make deb` builds them, and `make check` calls it"
    return path


def deb(package: str) -> tarfile.TarFile:
    """Return the contents of a package, names beginning with `./`."""
    done = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb_path(package))], check=True, capture_output=True)
    return tarfile.open(fileobj=io.BytesIO(done.stdout))


def contents(package: str) -> dict[str, bytes]:
    """Return all regular files in a package by their path, the manual pages without their compression."""
    found, archive = {}, deb(package)
    for member in archive:
        if file := archive.extractfile(member) if member.isfile() else None:
            name, data = member.name.removeprefix("./"), file.read()
            page = name.startswith("usr/share/man/")
            found[name.removesuffix(".gz") if page else name] = gzip.decompress(data) if page else data
    return found


def files(package: str) -> set[str]:
    """Return the paths of all regular files in a package."""
    return {member.name.removeprefix("./") for member in deb(package) if member.isfile()}


def maintainer_script(package: str, script: str) -> str:
    """Return a maintainer script, with what debhelper added to it."""
    command = ["dpkg-deb", "--info", str(deb_path(package)), script]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_wheel_has_the_tree(wheel: zipfile.ZipFile) -> None:
    packaged = {name for name in wheel.namelist() if ".dist-info/" not in name}
    catalogues = {f"cablecar/applet/{path}" for path in CATALOGUES}
    modules = {name for name in packaged if not name.startswith("cablecar/system/")}
    assert modules == {f"cablecar/{name}" for name in tracked("applet", "helper")} | catalogues


@pytest.mark.parametrize(("package", "part"), [("cablecar-helper", "helper"), ("cablecar", "applet")])
def test_the_wheel_has_the_systems_files_of_the_packages(wheel: zipfile.ZipFile, package: str, part: str) -> None:
    folder = f"cablecar/system/{part}/"
    carried = {name.removeprefix(folder): wheel.read(name) for name in wheel.namelist() if name.startswith(folder)}
    placed = contents(package)
    # The modules and what pip or `install` makes are elsewhere; what Debian has beside is about the package itself.
    others = ("usr/lib/python3", "usr/share/locale", "usr/bin", f"usr/share/doc/{package}/c", "usr/share/lintian")
    assert carried == {name: data for name, data in placed.items() if not name.startswith(others)}
    assert [name for name in placed if name.startswith("usr/bin/")] == [f"usr/bin/cablecar-{part}"]


def test_the_folders_of_the_packages_are_those_that_install_makes() -> None:
    assert {f"/{line}" for line in (ROOT / "debian/cablecar-helper.dirs").read_text().split()} <= set(install.FOLDERS)
    modes = {member.name.removeprefix("."): member.mode for member in deb("cablecar-helper") if member.isdir()}
    assert {path: modes[path] for path in install.FOLDERS} == install.FOLDERS


def test_the_packages_keep_away_from_an_installation_without_them() -> None:
    assert f'[ -e "$DPKG_ROOT{install.MANIFEST}" ]' in maintainer_script("cablecar-helper", "preinst")


def test_what_install_asks_for_the_package_depends_on() -> None:
    control = (ROOT / "debian/control").read_text()
    assert not [
        package for package in install.NEEDED.values() if not re.search(rf"^ +{package}\b", control, re.MULTILINE)
    ]


def test_the_wheel_has_types_icons_and_no_namespace_module(wheel: zipfile.ZipFile) -> None:
    packaged = wheel.namelist()
    assert {"cablecar/applet/py.typed", "cablecar/helper/py.typed"} <= set(packaged)
    assert fnmatch.filter(packaged, "cablecar/applet/icons/hicolor/*.svg")
    assert "cablecar/__init__.py" not in packaged


def test_the_wheel_starts_both_programs(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    started = re.findall(r"^(\S+) = cablecar\.(\w+)\.(\w+):main$", wheel.read(entry_points).decode(), re.MULTILINE)
    assert {program: f"{part}/{module}.py" for program, part, module in started} == {
        "cablecar-helper": "helper/main.py",
        "cablecar-applet": "applet/app.py",
    }
    for _, part, module in started:
        assert "\ndef main(" in (ROOT / part / f"{module}.py").read_text()


@pytest.mark.parametrize("path", install_lists(), ids=lambda path: path.name)
def test_each_file_to_install_exists(path: Path) -> None:
    sources = [pattern for pattern in install_lists()[path] if not pattern.startswith("usr/")]  # usr/: the wheel's
    assert sources
    assert not [pattern for pattern in sources if not list(ROOT.glob(pattern))]


def test_each_file_for_the_system_is_installed() -> None:
    patterns = [pattern for listed in install_lists().values() for pattern in listed]
    placed = (ROOT / "debian" / "place-files").read_text()
    forgotten = {
        name
        for name in tracked("dbus", "polkit", "desktop") - tracked("desktop/po", "desktop/screenshots")
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        and name not in placed
        and not name.endswith((".md", ".example"))
    }
    assert not forgotten


@pytest.mark.parametrize(("package", "folder"), [("cablecar-helper", "helper"), ("cablecar", "applet")])
def test_a_package_has_its_modules(package: str, folder: str) -> None:
    packaged = {str(Path(name).relative_to(MODULES)) for name in files(package) if Path(name).is_relative_to(MODULES)}
    assert packaged == tracked(folder)


def test_the_packages_share_no_file() -> None:
    assert not files("cablecar-helper") & files("cablecar")


PACKAGES = {
    "cablecar-helper": {
        "etc/needrestart/conf.d/cablecar.conf",
        "usr/bin/cablecar-helper",
        "usr/lib/cablecar/ip-down",
        "usr/lib/cablecar/ip-up",
        "usr/lib/systemd/system/cablecar-helper.service",
        "usr/lib/systemd/system/cablecar-calls.target",
        "usr/lib/systemd/system/cablecar-strict.service",
        "usr/lib/systemd/system/cablecar-discover.service",
        "usr/lib/systemd/system/cablecar-killed@.service",
        "usr/lib/systemd/system/cablecar-l2tp@.service",
        "usr/lib/systemd/system/cablecar-resolver.service",
        "usr/lib/systemd/system/cablecar-link@.service",
        "usr/share/dbus-1/interfaces/org.cablecar1.Link.xml",
        "usr/share/dbus-1/interfaces/org.cablecar1.Manager.xml",
        "usr/share/dbus-1/system-services/org.cablecar1.service",
        "usr/share/dbus-1/system.d/org.cablecar1.conf",
        "usr/share/polkit-1/actions/org.cablecar1.policy",
    },
    "cablecar": {
        "etc/xdg/autostart/org.cablecar1.applet.desktop",
        "usr/bin/cablecar-applet",
        "usr/share/applications/org.cablecar1.applet.desktop",
        "usr/share/icons/hicolor/scalable/apps/org.cablecar1.applet.svg",
        "usr/share/metainfo/org.cablecar1.applet.metainfo.xml",
        *(f"usr/share/{path}" for path in CATALOGUES),
    },
}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_the_files_of_the_system(package: str) -> None:
    assert PACKAGES[package] <= files(package)


def test_the_pages_that_the_readme_names_are_where_it_says() -> None:
    folder = "usr/share/doc/cablecar-helper"
    pages = re.findall(r"^\* `((?:dbus|doc)/\w+\.md)`", (ROOT / "README.md").read_text(), re.MULTILINE)[:5]
    assert "the first five" in (ROOT / "README.md").read_text()
    assert {f"{folder}/README.md", *(f"{folder}/{page}" for page in pages)} <= files("cablecar-helper")


def test_the_pictures_of_the_pages_are_there_too() -> None:
    folder = Path("usr/share/doc/cablecar-helper")
    for page in ("README.md", "doc/GUIDE.md"):
        pictures = re.findall(r"^!\[.+\]\((.+\.png)\)$", (ROOT / page).read_text(), re.MULTILINE)
        assert pictures
        assert {os.path.normpath(folder / Path(page).parent / name) for name in pictures} <= files("cablecar-helper")


@pytest.mark.parametrize("package", PACKAGES)
def test_owners_and_modes(package: str) -> None:
    for member in deb(package):
        private = member.name == "./etc/cablecar/links"
        program = member.name.startswith(("./usr/bin/", "./usr/lib/cablecar/"))
        expected = 0o700 if private else 0o755 if member.isdir() or program else 0o644
        assert (member.name, oct(member.mode), member.uid, member.gid) == (member.name, oct(expected), 0, 0)


def test_the_folder_of_the_links_is_there() -> None:
    assert deb("cablecar-helper").getmember("./etc/cablecar/links").isdir()


@pytest.mark.parametrize(
    ("package", "program"), [("cablecar-helper", "cablecar-helper"), ("cablecar", "cablecar-applet")]
)
def test_a_program_starts_isolated_with_the_systems_python(package: str, program: str) -> None:
    script = deb(package).extractfile(f"./usr/bin/{program}")
    assert script
    assert script.readline().decode().split() == ["#!", "/usr/bin/python3", "-I"]


def test_the_helper_is_enabled_started_and_restarted_but_no_link_is() -> None:
    postinst = maintainer_script("cablecar-helper", "postinst")
    for unit in ("cablecar-helper.service", "cablecar-strict.service"):
        assert f"deb-systemd-helper enable '{unit}'" in postinst
    assert "_dh_action=restart" in postinst
    assert "cablecar-link" not in postinst
    prerm = maintainer_script("cablecar-helper", "prerm")
    stops = [line.strip() for line in prerm.splitlines() if "stop" in line and "cablecar" in line]
    running = (
        "'cablecar-calls.target' 'cablecar-discover.service' 'cablecar-helper.service' 'cablecar-resolver.service' "
        "'cablecar-strict.service'"
    )
    assert stops == [
        f"deb-systemd-invoke stop {running} >/dev/null || true",
        "systemctl --quiet stop 'cablecar-link@*.service' 'cablecar-l2tp@*.service' || true",
    ]
    # On removal only, and never around a chroot: on upgrade the calls go on.
    assert prerm.count('[ "$1" = remove ] && [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ] && ! ischroot') == 1
    assert prerm.count('if [ -n "$hangup" ]') == 2
    assert prerm.count('"$1" = remove') == 2
    assert "upgrade" not in re.sub(r"^#.*$", "", prerm, flags=re.MULTILINE)


def run_script(script: str, action: str, root: Path) -> str:
    """Run a maintainer script of the helper for a system below `root`; return which of systemd's programs it called."""
    for program in ("busctl", "systemctl"):
        path = root.parent / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho {program} "$@"\n')
        path.chmod(0o755)
    return subprocess.run(
        ["sh", str(ROOT / f"debian/cablecar-helper.{script}"), action],
        env={"PATH": f"{root.parent / 'bin'}:{os.environ['PATH']}", "DPKG_ROOT": str(root)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.mark.parametrize(
    ("script", "action"), [("prerm", "remove"), ("postinst", "configure"), ("postrm", "remove"), ("postrm", "purge")]
)
def test_who_installs_into_a_folder_keeps_the_system_around_it_out(script: str, action: str, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    assert run_script(script, action, tmp_path / "root") == ""


def test_a_purge_takes_the_settings_below_that_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in ("etc/cablecar/links", "var/lib/cablecar", "etc/ppp/peers"):
        (root / folder).mkdir(parents=True)
    (root / "etc/ppp/peers/home").write_text("# Generated by Cablecar for the link home.\nnoauth\n")
    (root / "etc/ppp/peers/theirs").write_text("noauth\n")
    run_script("postrm", "purge", root)
    assert {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()} == {"etc/ppp/peers/theirs"}
    assert not (root / "etc/cablecar").exists()


@pytest.mark.parametrize("ours", [False, True])
def test_an_administrators_mask_stays(ours: bool, tmp_path: Path) -> None:
    mask = tmp_path / "root/run/systemd/system/cablecar-helper.service"
    mask.parent.mkdir(parents=True)
    mask.symlink_to("/dev/null")
    if ours:
        (tmp_path / "root/run/cablecar-helper.masked").touch()
    run_script("postrm", "remove", tmp_path / "root")
    assert mask.is_symlink() is not ours
    assert not (tmp_path / "root/run/cablecar-helper.masked").exists()
    assert "/run/cablecar-helper.masked" in maintainer_script("cablecar-helper", "prerm")


def test_needrestart_leaves_the_calls_alone() -> None:
    program = """
        our %nrconf = (override_rc => { qr(^dbus) => 0 });
        eval do { local(@ARGV, $/) = shift; <> };
        die $@ if $@;
        for my $unit (@ARGV) { print "$unit " if grep { $unit =~ /$_/ } keys %{$nrconf{override_rc}} }
    """
    calls = ["cablecar-link@home.service", "cablecar-l2tp@home.service"]
    command = ["perl", "-we", program, "debian/needrestart/cablecar.conf", *calls]
    kept = subprocess.run([*command, "cablecar-helper.service"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert kept.stdout.split() == calls
    assert not kept.stderr


def test_the_source_package_has_nothing_that_was_made_in_the_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in tracked("debian"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name, follow_symlinks=False)
    made = [".venv/bin/python", "applet/locale/he.mo", "build/deb/x.deb", "helper/__pycache__/x.pyc", ".mypy_cache/x"]
    for name in [*made, "applet/module.py"]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    subprocess.run(["dpkg-source", "--build", "tree"], cwd=tmp_path, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.tar.xz")
    with tarfile.open(path) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert names == {"applet/module.py", *tracked("debian")}
