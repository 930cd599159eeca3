"""The reader, on pictures drawn here."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from kdsl.config import ReaderSettings
from kdsl.dialogue import Line
from kdsl.images import sha256
from kdsl.ocr import Reader, reader_version, reading_order
from kdsl.thumbnail import CHANNELS, GRID
from udfs.perceive import threads

SETTINGS = ReaderSettings(max_bytes=1_000_000, max_pixels=4_000_000)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(SETTINGS)


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def screen(width: int = 480, height: int = 800) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(28)
    draw.text((40, 60), "Refund details", "black", font)
    draw.text((40, 400), "Order 12345", "black", font)
    draw.text((300, 402), "Paid", "black", font)
    draw.text((40, 720), "Contact us", "black", font)
    return image


def test_reads_lines_with_boxes_in_reading_order(reader: Reader) -> None:
    content = png(screen())
    picture = reader.read(content)
    assert picture.error_code is None
    assert (picture.width, picture.height) == (480, 800)
    assert picture.sha256 == sha256(content)
    text = [line.text.replace(" ", "") for line in picture.lines]
    assert text == ["Refunddetails", "Order12345", "Paid", "Contactus"]
    for line, top in zip(picture.lines, (60, 400, 402, 720), strict=True):
        left, upper, right, lower = line.box
        assert 0 <= left < right <= 1
        assert upper < (top + 16) / 800 < lower
        assert SETTINGS.min_score <= line.score <= 1


def test_reads_a_thumbnail_of_what_it_decoded(reader: Reader) -> None:
    image = Image.new("RGB", (400, 800), "white")
    image.paste("red", (0, 0, 200, 100))
    cells = np.frombuffer(reader.read(png(image)).thumbnail or b"", np.uint8).reshape(GRID, GRID, CHANNELS)
    assert cells[0, :4].tolist() == [[255, 0, 0, 0]] * 4
    assert cells[0, 4:].tolist() == cells[7, :4].tolist() == [[255, 255, 255, 0]] * 4
    assert reader.read(b"no picture").thumbnail is None


def test_the_same_picture_reads_the_same(reader: Reader) -> None:
    content = png(screen())
    assert reader.read(content) == reader.read(content)


def test_more_threads_read_the_same(reader: Reader) -> None:
    content = png(screen())
    one, two = (each.read(content).lines for each in (reader, Reader(SETTINGS, threads=2)))
    assert [line.text for line in one] == [line.text for line in two]
    assert [line.box for line in one] == [line.box for line in two]


@pytest.mark.parametrize(("told", "taken"), [("", 1), ("8", 8), ("4,2", 4), ("0", 1), ("many", 1)])
def test_a_reader_takes_the_threads_that_a_task_has(told: str, taken: int) -> None:
    assert threads(told) == taken


def test_a_picture_without_text_has_no_lines_and_no_error(reader: Reader) -> None:
    picture = reader.read(png(Image.new("RGB", (200, 300), "green")))
    assert picture.lines == ()
    assert picture.error_code is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "image_empty"),
        (b"no picture at all", "image_unreadable"),
        (png(screen())[:900], "image_truncated"),
        (b"\x00" * 1_000_001, "image_too_large"),
        (png(Image.new("L", (4_000, 1_001))), "image_too_large"),
    ],
    ids=["0 bytes", "noise", "half a file", "too many bytes", "too many pixels"],
)
def test_a_bad_picture_has_a_code_and_no_lines(reader: Reader, content: bytes, code: str) -> None:
    picture = reader.read(content)
    assert picture.error_code == code
    assert picture.lines == ()
    assert picture.sha256 == sha256(content)


@pytest.mark.parametrize("size", [(1, 1), (3, 1_200), (2_600, 2), (31, 31)])
def test_thin_pictures_are_read(reader: Reader, size: tuple[int, int]) -> None:
    picture = reader.read(png(Image.new("RGB", size, "white")))
    assert (picture.width, picture.height) == size
    assert picture.error_code is None


def test_an_engine_that_fails_costs_one_picture(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_pixels: object) -> None:
        raise RuntimeError("inside the engine")

    monkeypatch.setattr(reader, "_engine", broken)
    picture = reader.read(png(screen()))
    assert picture.error_code == "image_unreadable"
    assert (picture.width, picture.height) == (480, 800)


def test_at_most_so_many_lines() -> None:
    few = Reader(ReaderSettings(max_lines=2)).read(png(screen()))
    assert 1 <= len(few.lines) <= 2


def test_the_version_names_every_setting(reader: Reader) -> None:
    assert reader.version == reader_version(SETTINGS)
    assert reader.version.startswith("rapidocr-")
    other = {"max_side": 640, "min_score": 0.6, "max_lines": 7, "max_bytes": 9, "max_pixels": 9}
    assert set(other) == set(ReaderSettings.model_fields)
    versions = {reader_version(SETTINGS.model_copy(update={name: value})) for name, value in other.items()}
    assert len(versions | {reader.version}) == len(other) + 1


def test_says_nothing(reader: Reader, capfd: pytest.CaptureFixture[str]) -> None:
    reader.read(png(screen()))
    reader.read(png(Image.new("RGB", (50, 50), "white")))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_reading_order_takes_lines_of_one_height_from_left_to_right() -> None:
    def line(text: str, left: float, top: float) -> Line:
        return Line(text, 1.0, (left, top, left + 0.1, top + 0.02))

    lines = [line("d", 0.1, 0.5), line("b", 0.5, 0.100), line("c", 0.8, 0.104), line("a", 0.1, 0.103)]
    assert "".join(found.text for found in reading_order(lines)) == "abcd"
    assert reading_order([]) == []
