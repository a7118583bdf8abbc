"""The tests of this folder for those who are not root: in a user namespace, where they are root and may be others."""

import subprocess
import sys
from pathlib import Path


def test_all_the_others_as_root_of_a_user_namespace(tmp_path: Path) -> None:
    command = [
        "unshare", "--map-root-user", "--map-auto", "--mount", sys.executable, "-P", "-m", "pytest", "-q",
        "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}", str(Path(__file__).parent),
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
