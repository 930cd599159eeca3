"""Picture files by their path below one root: nothing outside it is opened, nothing fetched, no read unbounded."""

import os
import re
import stat

from kdsl.errors import BadRow, ErrorCode

_URL = re.compile(r"\s*([a-z][a-z0-9+.-]*:)?//|\s*data:", re.IGNORECASE | re.ASCII)


def check(path: str) -> str:
    """The path, if it is relative and stays below its root as it is written.

    Raises:
        BadRow: PATH_IS_URL or PATH_OUTSIDE_ROOT.
    """
    if _URL.match(path):
        raise BadRow(ErrorCode.PATH_IS_URL, "the picture's path is a URL; pictures are files below the root")
    parts = path.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts:
        raise BadRow(ErrorCode.PATH_OUTSIDE_ROOT, "the picture's path is absolute or holds '..'")
    return path


def read(root: str, path: str, max_bytes: int) -> bytes:
    """The bytes of one picture file.

    Args:
        root: the folder below which pictures lie; empty where there is none.
        path: relative to it.
        max_bytes: a larger file is not read.

    Raises:
        BadRow: PATH_IS_URL, PATH_OUTSIDE_ROOT (also by a symbolic link), IMAGE_MISSING or IMAGE_TOO_LARGE.
    """
    check(path)
    if not root:
        raise BadRow(ErrorCode.IMAGE_MISSING, "there is no folder of pictures; name one: ingest.image_root")
    top = os.path.realpath(root)
    real = os.path.realpath(os.path.join(top, path))
    if os.path.commonpath([top, real]) != top:
        raise BadRow(ErrorCode.PATH_OUTSIDE_ROOT, "the picture's path leads out of the root by a symbolic link")
    try:
        # Non-blocking, so that a named pipe cannot hold the worker; no link, so that none slips in after the check.
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no usable name"
        raise BadRow(ErrorCode.IMAGE_MISSING, f"the picture cannot be opened: {reason}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise BadRow(ErrorCode.IMAGE_MISSING, "the picture's path names no file")
        if found.st_size > max_bytes:
            raise BadRow(
                ErrorCode.IMAGE_TOO_LARGE, f"the picture has {found.st_size:,} bytes; at most {max_bytes:,} go in"
            )
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(max_bytes + 1)  # a file may grow while it is read; `decode` refuses what is over
    except OSError as error:
        raise BadRow(ErrorCode.IMAGE_MISSING, f"the picture cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
