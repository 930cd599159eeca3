"""Pictures: what decodes, what is refused, and with which code. No Spark."""

import hashlib
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier

import pytest
from PIL import Image, ImageFile

from kdsl import images
from kdsl.errors import BadRow, ErrorCode
from kdsl.images import FORMATS, decode, sha256, stored

LIMITS = {"max_bytes": 1_000_000, "max_pixels": 1_000_000}


def encode(fmt="PNG", size=(40, 30), mode="RGB", colour="red", **options) -> bytes:
    buffer = BytesIO()
    Image.new(mode, size, colour).save(buffer, fmt, **options)
    return buffer.getvalue()


def noise(fmt: str) -> bytes:
    buffer = BytesIO()
    Image.effect_noise((90, 70), 80).convert("RGB").save(buffer, fmt)
    return buffer.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """A header that states a size; the pixels behind it are missing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def code_of(content: bytes, **limits) -> ErrorCode:
    with pytest.raises(BadRow) as caught:
        decode(content, **{**LIMITS, **limits})
    return caught.value.code


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_allowed_format_decodes_to_rgb(fmt):
    image = decode(encode(fmt), **LIMITS)
    assert (image.mode, image.size) == ("RGB", (40, 30))
    red, green, blue = image.getpixel((5, 5))
    assert red > 240
    assert max(green, blue) < 20


def test_empty():
    assert code_of(b"") is ErrorCode.IMAGE_EMPTY


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated(fmt, share):
    content = noise(fmt)
    assert code_of(content[: int(len(content) * share)]) is ErrorCode.IMAGE_TRUNCATED


def test_truncated_is_refused_whatever_another_library_set(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    content = noise("JPEG")
    assert code_of(content[: len(content) // 2]) is ErrorCode.IMAGE_TRUNCATED
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_threads_decode_side_by_side_under_the_same_limits(monkeypatch):
    both, true = Barrier(2), images._upright_rgb

    def met(image):
        both.wait(20)
        assert Image.MAX_IMAGE_PIXELS is None
        return true(image)

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12)
    monkeypatch.setattr(images, "_upright_rgb", met)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: decode(encode(), **LIMITS).size, range(6)))
    assert found == [(40, 30)] * 6
    assert Image.MAX_IMAGE_PIXELS == 12


@pytest.mark.parametrize("others", [None, 1, 10**12])
def test_200_megapixels_are_refused_by_the_header_whatever_another_library_set(monkeypatch, others):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", others)
    assert code_of(huge_png(20_000, 10_000)) is ErrorCode.IMAGE_TOO_LARGE
    assert decode(encode(), **LIMITS).size == (40, 30)


def test_too_many_bytes():
    assert code_of(encode(), max_bytes=10) is ErrorCode.IMAGE_TOO_LARGE


@pytest.mark.parametrize("content", [b"GET / HTTP/1.1", b"%PDF-1.7 ...", b"<svg/>", b"\x00" * 100])
def test_no_picture(content):
    assert code_of(content) is ErrorCode.IMAGE_UNREADABLE


def test_other_formats_are_refused():
    assert code_of(encode("TIFF")) is ErrorCode.IMAGE_UNREADABLE


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    image = Image.new("RGB", (40, 30), "white")
    image.paste("black", (0, 0, 40, 10))  # the upper edge lands on the right
    buffer = BytesIO()
    image.save(buffer, "PNG", exif=exif)
    upright = decode(buffer.getvalue(), **LIMITS)
    assert upright.size == (30, 40)
    assert upright.getpixel((28, 20)) == (0, 0, 0)
    assert upright.getpixel((2, 20)) == (255, 255, 255)


def test_damaged_exif_costs_only_the_orientation():
    assert decode(encode("JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"), **LIMITS).size == (40, 30)


def test_only_the_first_frame_counts():
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "blue")]
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert decode(buffer.getvalue(), **LIMITS).getpixel((5, 5)) == (255, 0, 0)


def test_transparent_becomes_white():
    assert decode(encode(mode="RGBA", colour=(0, 0, 0, 0)), **LIMITS).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("more", [{}, {"transparency": 65_535}])
def test_sixteen_bits_keep_their_brightness(more):
    content = encode(mode="I;16", colour=128 * 256, **more)
    assert decode(content, **LIMITS).getpixel((5, 5)) == (128, 128, 128)


def test_sha256_is_over_the_bytes():
    assert sha256(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_a_message_never_quotes_the_file():
    with pytest.raises(BadRow) as caught:
        decode(b"secret words of a shopper", **LIMITS)
    assert "secret" not in str(caught.value)


def test_a_picture_in_a_folder_is_read_below_its_root_alone(tmp_path):
    """A file may have been replaced since it came in."""
    root = tmp_path / "pictures"
    root.mkdir()
    (tmp_path / "secret").write_bytes(b"not for you")
    (root / "whole.png").write_bytes(encode())
    (root / "link.png").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "pipe.png")
    name = sha256(encode())
    assert stored(b"in the lake", str(root), None, "its name is not asked") == b"in the lake"
    assert stored(None, str(root), None, name) is None
    assert stored(None, str(root), "whole.png", name) == encode()
    (root / "half.png").write_bytes(encode()[:-9])
    (root / "other.png").write_bytes(encode(colour="blue"))
    for path, code in (
        ("link.png", ErrorCode.PATH_OUTSIDE_ROOT),
        ("../secret", ErrorCode.PATH_OUTSIDE_ROOT),
        ("pipe.png", ErrorCode.IMAGE_MISSING),
        ("gone.png", ErrorCode.IMAGE_MISSING),
        ("half.png", ErrorCode.IMAGE_MISSING),
        ("other.png", ErrorCode.IMAGE_MISSING),
        ("https://x.example/y.png", ErrorCode.PATH_IS_URL),
    ):
        with pytest.raises(BadRow) as caught:
            stored(None, str(root), path, name)
        assert caught.value.code is code
    with pytest.raises(BadRow) as caught:
        stored(None, str(root), "whole.png", name, max_bytes=10)
    assert caught.value.code is ErrorCode.IMAGE_TOO_LARGE
