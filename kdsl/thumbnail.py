"""What a picture looks like when its text says nothing: 256 bytes, the mean colour and contrast of an 8 x 8 grid."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

GRID = 8  # cells a side
CHANNELS = 4  # red, green, blue, contrast
SIZE = GRID * GRID * CHANNELS  # bytes
NAME = f"thumbnail{GRID}"  # part of the reader's version
_CELL = 16  # pixels a side of a cell that the contrast is taken over
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def thumbnail(image: "Image") -> bytes:
    """Row by row, cell by cell: mean red, green and blue, and twice the standard deviation of the brightness.

    Args:
        image: in RGB, of any size; it is stretched to a square first.
    """
    from PIL.Image import Resampling

    side = GRID * _CELL
    small = np.asarray(image.resize((side, side), Resampling.BOX), dtype=np.float64)
    colours = small.reshape(GRID, _CELL, GRID, _CELL, 3)
    contrast = 2 * (colours @ _LUMA).std(axis=(1, 3))
    cells = np.concatenate([colours.mean(axis=(1, 3)), contrast[:, :, None]], axis=2)
    content: bytes = np.clip(np.rint(cells), 0, 255).astype(np.uint8).tobytes()
    return content
