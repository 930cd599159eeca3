"""Pictures from bytes: bounded, verified, upright and in RGB; everything else is refused with a code."""

import hashlib
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from kdsl.errors import BadRow, ErrorCode
from kdsl.importers import paths

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 20_000_000  # bytes of a file that is read from a folder
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

_ORIENTATION = 0x0112  # EXIF tag: how the camera was held, 1 (upright) to 8


def sha256(content: bytes) -> str:
    """The picture's identity: 64 hex digits over its bytes."""
    return hashlib.sha256(content).hexdigest()


def suffix(content: bytes) -> str:
    """What the name of such a file ends in, by its first bytes."""
    for begins, name in ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp")):
        if content.startswith(begins):
            return name
    return ".webp" if content.startswith(b"RIFF") else ".bin"


def stored(content: bytes | None, root: str, path: str | None, name: str, max_bytes: int = MOST) -> bytes | None:
    """The file of a picture: the bytes that the lake holds, else the file at `path` below `root`; None: neither.

    `name` is the SHA-256 of the picture that came in: its file may be gone, replaced or half copied since.

    Raises:
        BadRow: IMAGE_MISSING where the file is another one; see `kdsl.importers.paths.read`.
    """
    if content is not None or not path:
        return content
    found = paths.read(root, path, max_bytes)
    if sha256(found) != name:
        raise BadRow(ErrorCode.IMAGE_MISSING, "the file at the picture's path is not the one that came in")
    return found


def decode(content: bytes, *, max_bytes: int, max_pixels: int) -> "Image":
    """The first frame of a picture, upright, in RGB; what is transparent becomes white.

    Args:
        content: the whole file.
        max_bytes: a larger file is refused unread.
        max_pixels: a picture whose header states more is refused before anything is decoded.

    Raises:
        BadRow: IMAGE_EMPTY, IMAGE_TOO_LARGE, IMAGE_TRUNCATED, or IMAGE_UNREADABLE (no picture, damaged, or of a
            format that is not in `FORMATS`).
    """
    if not content:
        raise BadRow(ErrorCode.IMAGE_EMPTY, "the picture has 0 bytes")
    if len(content) > max_bytes:
        raise BadRow(ErrorCode.IMAGE_TOO_LARGE, f"the picture has {len(content):,} bytes; at most {max_bytes:,} go in")
    from PIL import Image

    with _DECODING:
        try:
            with Image.open(BytesIO(content), formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise BadRow(
                        ErrorCode.IMAGE_TOO_LARGE,
                        f"the picture has {width:,} x {height:,} pixels; at most {max_pixels:,} go in",
                    )
                image.load()
                return _upright_rgb(image)
        except BadRow:
            raise
        except Exception as error:  # noqa: BLE001 - a hostile file can make a decoder raise anything
            raise _refusal(content, error) from None  # Pillow's own message may quote the file


@contextmanager
def _own_limits() -> Iterator[None]:
    # Both are globals of Pillow that any library may set. Ours count instead: the size is checked above, by the
    # header, and half a picture is no picture.
    from PIL import Image, ImageFile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


class _Decoding:
    """What threads that decode side by side enter: the first one in sets our limits, the last one out restores."""

    def __init__(self) -> None:
        self._lock, self._inside, self._limits = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limits.enter_context(_own_limits())
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limits.close()


_DECODING = _Decoding()


def _upright_rgb(image: "Image") -> "Image":
    from PIL import Image

    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(_orientation(image))
    rgb = _rgb(image)
    return rgb.transpose(turn) if turn is not None else rgb


def _rgb(image: "Image") -> "Image":
    from PIL import Image

    if image.mode.startswith("I;16"):  # first: Pillow cannot make RGBA of it, and a see-through shade is no loss
        return image.point(lambda value: value / 256).convert("L").convert("RGB")  # 16 bits a pixel: keep the upper 8
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return image.convert("RGB")


def _orientation(image: "Image") -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged metadata costs the orientation, not the picture
        return 1
    return value if isinstance(value, int) else 1


def _refusal(content: bytes, error: Exception) -> BadRow:
    if "truncated" in str(error).lower() or _ends_early(content):
        return BadRow(ErrorCode.IMAGE_TRUNCATED, f"the picture ends early, after {len(content):,} bytes")
    return BadRow(ErrorCode.IMAGE_UNREADABLE, f"no readable picture; {', '.join(FORMATS)} go in")


def _ends_early(content: bytes) -> bool:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in content[-64:]
    if content.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" not in content[-64:]
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return len(content) < 8 + int.from_bytes(content[4:8], "little")
    if content.startswith(b"BM"):
        return len(content) < int.from_bytes(content[2:6], "little")
    return content.startswith((b"GIF87a", b"GIF89a")) and not content.endswith(b";")
