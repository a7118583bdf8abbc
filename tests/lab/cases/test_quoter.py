"""The peer file before the guest's own pppd, for the host's is of one version only: few samples, since the grammar of
its words is what may differ. The tests of the host are in tests/unit/test_quoter.py.
"""

import sys
from pathlib import Path

import lab

sys.path.insert(0, str(Path(__file__).parents[2] / "shared"))

import hostile
import realpppd
from golden import SERVER, check_golden, check_row, hostile_links, hostile_texts, quoted, rows

from cablecar.helper import pppfiles
from cablecar.helper.installed import Pppd

VERSION = Pppd().version()


def test_a_quoted_value_is_for_this_pppd_what_it_was(tmp_path: Path) -> None:
    together = rows(hostile_texts())
    for row, dump in zip(together, realpppd.dumps([quoted(row) for row in together], tmp_path), strict=True):
        check_row(row, dump)


def test_the_options_of_a_peer_file_are_the_golden_ones_for_this_pppd(tmp_path: Path) -> None:
    print("pppd", *VERSION)
    links = hostile_links()[: len(hostile.PASSWORDS_CARRIED) + 10]
    files = [pppfiles.render(lab.LINK, link, SERVER, password, VERSION) for link, password in links]
    for (link, _), dump in zip(links, realpppd.dumps(files, tmp_path), strict=True):
        check_golden(link, dump, VERSION)
