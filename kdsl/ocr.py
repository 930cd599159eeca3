"""Pictures to lines of text with boxes, and a thumbnail: rapidocr's packaged weights on the CPU, set for speed.

Nothing is downloaded and nothing is logged. A bad picture comes back with an error code, never as an exception.
"""

from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from kdsl import images
from kdsl.config import ReaderSettings
from kdsl.dialogue import Line, Picture
from kdsl.errors import BadRow, ErrorCode
from kdsl.thumbnail import NAME, thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image

# The detector works on a copy of `max_side`; letters are cut from the picture at up to this many pixels a side.
CUT_SIDE = 2_000
# The detector sees steps of 32 pixels; anything thinner is padded to one step.
MIN_SIDE = 32
MODELS = "ppocrv6-small"


class Reader:
    """Reads pictures, one at a time, in one thread unless told otherwise (Spark runs one worker a core)."""

    def __init__(self, settings: ReaderSettings, *, threads: int = 1) -> None:
        from rapidocr import RapidOCR

        self.settings = settings
        self.version = reader_version(settings)
        self._engine = RapidOCR(params=_parameters(settings, threads))

    def read(self, content: bytes) -> Picture:
        """The lines of a picture from top to bottom, then left to right; boxes as shares of width and height.

        What cannot be decoded or read has no lines and an `image_*` error code.
        """
        sha256 = images.sha256(content)
        try:
            image = images.decode(
                content, max_bytes=self.settings.max_bytes, max_pixels=self.settings.max_pixels
            ).convert("RGB")
        except BadRow as error:
            return Picture(sha256, 0, 0, error_code=error.code.value)
        try:
            lines = self._lines(image)
        except Exception:  # noqa: BLE001 - the engine raises many kinds on odd pixels; one picture must not stop a night
            return Picture(sha256, image.width, image.height, error_code=ErrorCode.IMAGE_UNREADABLE.value)
        found = tuple(lines[: self.settings.max_lines])
        return Picture(sha256, image.width, image.height, found, thumbnail=thumbnail(image))

    def _lines(self, image: "Image") -> list[Line]:
        import numpy as np

        image = _fitted(image)
        width, height = image.size
        pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])  # the engine expects BGR
        found: Any = self._engine(pixels)
        texts, scores, boxes = (
            getattr(found, "txts", None),
            getattr(found, "scores", None),
            getattr(found, "boxes", None),
        )
        if texts is None or scores is None or boxes is None:
            return []
        lines = []
        for text, score, corners in zip(texts, scores, boxes, strict=True):
            xs, ys = corners[:, 0] / width, corners[:, 1] / height
            box = (_share(xs.min()), _share(ys.min()), _share(xs.max()), _share(ys.max()))
            lines.append(Line(str(text), round(float(score), 4), box))
        return reading_order(lines)


def reader_version(settings: ReaderSettings) -> str:
    """Names everything that changes what is read: it keys the cache of pictures that were read."""
    s = settings
    limits = f"lines{s.max_lines}/bytes{s.max_bytes}/pixels{s.max_pixels}"
    return f"rapidocr-{version('rapidocr')}/{MODELS}/side{s.max_side}/score{s.min_score:g}/{limits}/{NAME}"


def reading_order(lines: Iterable[Line]) -> list[Line]:
    """Lines from top to bottom; those whose middle lies within the height of a row's first line, left to right."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (line.box[1], line.box[0], line.text)):
        middle = (line.box[1] + line.box[3]) / 2
        if rows and middle < rows[-1][0].box[3]:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: (line.box[0], line.box[1], line.text))]


def _parameters(settings: ReaderSettings, threads: int) -> dict[str, Any]:
    return {
        "Global.log_level": "critical",
        "Global.text_score": settings.min_score,
        "Global.max_side_len": CUT_SIDE,
        "Global.use_cls": False,  # screenshots stand upright
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        # A limit from above alone: small pictures are not blown up.
        "Det.limit_type": "max",
        "Det.limit_side_len": settings.max_side,
        "Det.max_candidates": settings.max_lines,
        # One line at a time, padded to its own width: most time goes into padding otherwise, and a line's text
        # does not depend on its neighbours.
        "Rec.rec_batch_num": 1,
        "Rec.rec_img_shape": [3, 48, 64],
    }


def _fitted(image: "Image") -> "Image":
    """At most CUT_SIDE a side, at least MIN_SIDE (padded with white on the right and below)."""
    from PIL import Image as pil

    longest = max(image.size)
    if longest > CUT_SIDE:
        size = tuple(max(1, round(side * CUT_SIDE / longest)) for side in image.size)
        image = image.resize((size[0], size[1]), pil.Resampling.BILINEAR, reducing_gap=2.0)
    if min(image.size) < MIN_SIDE:
        canvas = pil.new("RGB", (max(image.width, MIN_SIDE), max(image.height, MIN_SIDE)), "white")
        canvas.paste(image)
        return canvas
    return image


def _share(value: float) -> float:
    return round(min(max(float(value), 0.0), 1.0), 5)
