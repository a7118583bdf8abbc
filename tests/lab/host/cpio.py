"""Writes the initial RAM disk: a cpio archive in the "newc" format that the kernel unpacks."""

import stat
from pathlib import Path


class Archive:
    """A cpio archive in memory; everything in it belongs to root."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._inode = 0
        self._folders: set[str] = set()

    def add(self, name: str, mode: int, content: bytes = b"") -> None:
        """Add one entry, and the folders that it lies in."""
        name = name.strip("/")
        parent = name.rpartition("/")[0]
        if parent:
            self.folder(parent)
        self._entry(name, mode, content)

    def folder(self, name: str, permissions: int = 0o755) -> None:
        """Add a folder with those above it, unless it is there."""
        name = name.strip("/")
        if name in self._folders:
            return
        self._folders.add(name)
        self.add(name, stat.S_IFDIR | permissions)

    def file(self, name: str, content: bytes, permissions: int = 0o644) -> None:
        """Add a file."""
        self.add(name, stat.S_IFREG | permissions, content)

    def tree(self, source: Path, prefix: str) -> None:
        """Add everything under SOURCE as under PREFIX; of the permissions only "may be executed" counts."""
        for path in sorted(source.rglob("*")):
            name = f"{prefix}/{path.relative_to(source)}"
            if path.is_symlink():
                self.add(name, stat.S_IFLNK | 0o777, str(path.readlink()).encode())
            elif path.is_dir():
                self.folder(name)
            else:
                self.file(name, path.read_bytes(), 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)

    def finish(self) -> bytes:
        """Close the archive and return it."""
        self._entry("TRAILER!!!", 0)
        return bytes(self._data)

    def _entry(self, name: str, mode: int, content: bytes = b"") -> None:
        self._inode += 1
        raw = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw), 0)
        self._data += b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        self._pad()
        self._data += content
        self._pad()

    def _pad(self) -> None:
        self._data += b"\0" * (-len(self._data) % 4)
