"""A disk that can be full: a directory on a file system of its own, of a few megabytes.

    with SmallDisk(size_mib=16) as disk:
        ...            # disk.path is a directory; work there
        disk.fill()    # not a byte is left
        disk.relieve() # what `fill` took is free again

It is a tmpfs. Root mounts it; for an ordinary user a process in a namespace of its own does, and `path` leads through
that process's root directory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

BALLAST = "ballast"
CHUNK_BYTES = 65_536
HOLDER_SCRIPT = 'mount -t tmpfs -o size="$1" none "$2" && echo ready && exec cat'


class SmallDisk:
    """Exists for as long as `with` lasts. Any account may work in `path`."""

    def __init__(self, size_mib: int) -> None:
        self._size = f"{size_mib}m"
        self._mount_point = Path(tempfile.mkdtemp(prefix="hookline-disk-", dir="/tmp"))
        self._holder: subprocess.Popen[bytes] | None = None
        self.path = self._mount_point

    def __enter__(self) -> Self:
        self._mount_point.chmod(0o755)
        if os.getuid() == 0:
            command = ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "none", str(self._mount_point)]
            subprocess.run(command, check=True)
        else:
            self._hold()
        self.path.chmod(0o777)
        return self

    def _hold(self) -> None:
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", HOLDER_SCRIPT, "holder"]
        self._holder = subprocess.Popen(
            [*command, self._size, str(self._mount_point)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n", "neither root nor a namespace may mount here"
        self.path = Path(f"/proc/{self._holder.pid}/root{self._mount_point}")

    def __exit__(self, *_: object) -> None:
        if self._holder is None:
            # Lazily: whoever was killed a moment ago may not have let go of its files yet.
            subprocess.run(["umount", "--lazy", str(self._mount_point)], check=True)
        else:
            self._holder.communicate()
        shutil.rmtree(self._mount_point)

    def fill(self) -> None:
        """Take all the space that is left."""
        descriptor = os.open(self.path / BALLAST, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        size = CHUNK_BYTES
        while size:
            try:
                os.write(descriptor, bytes(size))
            except OSError:
                size //= 2
        os.close(descriptor)

    def relieve(self) -> None:
        (self.path / BALLAST).unlink()
