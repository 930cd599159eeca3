"""Items of the lake as voters see them, for whoever looks at them again."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobs.items import shown, with_pictures
from jobs.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def seen(lake: Lake, wanted: "DataFrame", reader_version: str, looked_at: Iterable[str] = ()) -> "DataFrame":
    """The rows that voters see of targets (see `jobs.items.targets`), as `with_pictures` gives them."""
    from pyspark.sql import functions as F

    pictures = shown(lake, wanted, F.lit(True)) if lake.has("images") else None
    return with_pictures(lake, wanted, pictures, reader_version, looked_at)
