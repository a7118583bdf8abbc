"""Files written whole or not at all.

`replace` leaves either the old file or the new one, whatever happens in between: a kill, a full disk, a power cut.
It never follows a symbolic link and never touches a file that is not a plain one of our own user.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Collection
from pathlib import Path

from cablecar.helper.errors import StorageFailed

MAX_BYTES = 65536  # of any file that we read
_SUFFIX = ".cablecar-new"


def replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write `data` to `path` by a synced temporary file beside it and a rename.

    Raises:
        StorageFailed: It could not be written; what was there is intact.
    """
    temporary = _temporary(path)
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _failed(path, error) from error
    try:
        # A temporary file that a kill left behind is ours by its name; the folder is writable to root only.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        _write_new(temporary, folder, data, mode)
        os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise _failed(path, error) from error
    finally:
        os.close(folder)


def read(path: Path) -> bytes:
    """Return the contents of a plain file of ours.

    Raises:
        FileNotFoundError: There is none.
        StorageFailed: It is no plain file, not ours alone, too large or unreadable.
    """
    try:
        # O_NONBLOCK: a FIFO put in its place must not hold us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise (_unsafe(path) if error.errno == errno.ELOOP else _failed(path, error)) from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_size > MAX_BYTES:
            raise _unsafe(path)
        if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StorageFailed(f"{path} can be written by others than root. Try: chmod go-w {path}")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES)
    finally:
        os.close(descriptor)


def read_names(path: Path) -> set[str]:
    """Return the names that `write_names` has left in a file, none when there is no file.

    Raises:
        StorageFailed: As for `read`.
    """
    try:
        return set(read(path).decode().split())
    except FileNotFoundError:
        return set()


def write_names(path: Path, names: Collection[str]) -> None:
    """Write names to a file, which is there while there are any.

    Raises:
        StorageFailed: It could not be written, or not be removed.
    """
    if names:
        replace(path, "\n".join(sorted(names)).encode())
    else:
        remove(path)


def remove(path: Path) -> None:
    """Remove the file if it is there, and what a killed `replace` may have left of it.

    Raises:
        StorageFailed: It is there and could not be removed.
    """
    try:
        path.with_name(_temporary(path)).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _failed(path, error) from error


def toml_files(folder: Path) -> list[Path]:
    """Return the files of a folder that people write, sorted; Emacs makes `.#NAME` while it has a file open."""
    return [path for path in sorted(folder.glob("*.toml")) if not path.name.startswith(".#")]


def sweep(folder: Path, pattern: str = f".*{_SUFFIX}") -> None:
    """Remove from a folder of ours the files of a pattern: what killed writers have left."""
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            path.unlink()


def _temporary(path: Path) -> str:
    return f".{path.name}{_SUFFIX}"


def _write_new(name: str, folder: int, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, mode, dir_fd=folder), "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)  # the umask has no say
        file.flush()
        os.fsync(file.fileno())


def _unsafe(path: Path) -> StorageFailed:
    return StorageFailed(f"{path} is not a plain file of root's with at most {MAX_BYTES} bytes.")


def _failed(path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(f"{path}: {os.strerror(error.errno) if error.errno else 'failed'}. Nothing was changed.")
