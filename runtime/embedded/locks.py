"""Advisory file locks. The kernel releases them when the process that holds them ends."""

import os
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .errors import EmbeddedServerError

if sys.platform != "win32":
    import fcntl

_PAUSE = 0.02  # seconds between two tries: flock can wait, but not for a bounded time

_open_locks: "set[FileLock]" = set()


class FileLock:
    """One open file and the lock on it. Two of these on one file exclude each other, even within one process.

    It is not inherited: a program that this process starts holds it only if its `fd` is passed explicitly, and a forked
    child closes its copy.
    """

    def __init__(self, path: Path, owner: tuple[int, int] | None = None) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self.path = path
        self.fd = os.open(path, flags, 0o600)
        if owner is not None:
            os.fchown(self.fd, *owner)
        _open_locks.add(self)

    def share(self) -> None:
        """Hold it together with others that share it. Waits for an exclusive holder."""
        fcntl.flock(self.fd, fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Hold it alone, giving up a share. Returns whether that was possible. Does not wait."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait_exclusive(self, seconds: float) -> bool:
        """Hold it alone, waiting at most so many seconds. Returns whether that was possible."""
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not self.try_exclusive():
            if time.monotonic() >= deadline:
                return False
            pause.wait(_PAUSE)
        return True

    def release(self) -> None:
        """Release it, including the copy of a child that is between fork and exec."""
        if self.fd >= 0:
            fcntl.flock(self.fd, fcntl.LOCK_UN)
            self.forget()

    def forget(self) -> None:
        """Close this process's copy. A process that received another copy explicitly still holds the lock."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            _open_locks.discard(self)


@contextmanager
def exclusive(path: Path, seconds: float, owner: tuple[int, int] | None = None) -> Generator[None]:
    """Hold the lock on a file during a block.

    Raises `EmbeddedServerError` if another process holds it for more than so many seconds.
    """
    lock = FileLock(path, owner)
    try:
        if not lock.wait_exclusive(seconds):
            raise EmbeddedServerError(
                f"another process has been starting or stopping the server for {seconds:.0f} seconds",
                path,
                "Find it with `fuser` or `lsof` on this file and end it, which releases the lock.",
            )
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether any process holds a lock on the file."""
    if not path.exists():
        return False
    probe = FileLock(path)
    try:
        return not probe.try_exclusive()
    finally:
        probe.release()


def _forget_in_child() -> None:
    for lock in list(_open_locks):
        lock.forget()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_in_child)
