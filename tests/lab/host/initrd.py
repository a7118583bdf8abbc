"""The RAM disk that a guest boots with: busybox, the modules that find the tree, and the lab's own files."""

from tests.lab.host.cpio import Archive
from tests.lab.host.tree import LAB, Tree


def initrd(tree: Tree) -> bytes:
    """Return the RAM disk that boots TREE."""
    archive = Archive()
    archive.file("bin/busybox", tree.busybox.read_bytes(), 0o755)
    archive.file("init", (LAB / "host" / "init").read_bytes(), 0o755)
    for module in tree.modules:
        archive.file(f"modules/{module.name}", module.read_bytes())
    archive.tree(LAB / "guest", "guest")
    return archive.finish()
