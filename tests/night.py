"""A small labelled lake that several test modules look at."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.fit import fit
from jobs.ingest import ingest
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days
from kdsl.config import Settings
from kdsl.demo import shop
from kdsl.release import Release
from udfs.unquoted import Batches

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NIGHTS = 3


@dataclass
class Shop:
    """A labelled lake of three nights."""

    spark: "SparkSession"
    settings: Settings
    lake: Lake
    release: Release
    days: Days
    files: shop.ShopFiles

    def label(self, days: Days | None = None, **changes: Any) -> Any:
        return label(self.lake, self.settings, self.release, days or self.days, **changes)

    def rows(self, table: str, where: str = "true") -> list[Any]:
        return self.lake.df(table).where(where).collect()


def noted(predict_batches: Callable[..., Callable[[Batches], Batches]], folder: Path) -> Callable[..., Any]:
    """As `predict_batches`; each task that asks leaves a file in the folder, with when it began and ended."""

    def noting(*told: Any, **more: Any) -> Callable[[Batches], Batches]:
        predict = predict_batches(*told, **more)

        def ask(batches: Batches) -> Batches:
            begun = time.time()
            yield from predict(batches)
            (folder / str(uuid.uuid4())).write_text(f"{begun} {time.time()}")

        return ask

    return noting


def spans(folder: Path) -> list[tuple[float, ...]]:
    """What `noted` left: begin and end, in order."""
    return sorted(tuple(map(float, file.read_text().split())) for file in folder.iterdir())


def settings_below(root: Path) -> Settings:
    return Settings.model_validate(
        {
            "lake": str(root / "lake"),
            "releases": str(root / "releases"),
            "spark": {"master": "local[2]"},
            "fit": {
                "voters": ["linear", "rules"],
                "rules_budget": 20,
                "encoder": "",
                "folds": 2,
            },  # the encoder has tests of its own; here it would cost seconds a worker
            "label": {"perceive_chunk": 8},
        }
    )


def build(spark: "SparkSession", root: Path) -> None:
    """A made-up shop of three nights, ingested, learned from and labelled below `root`."""
    files = _written(root)
    lines = [json.loads(line) for line in files.nights.read_text(encoding="utf-8").splitlines()]
    told = [json.dumps({**line, "split": "test"}, ensure_ascii=False) for line in lines]
    files.nights.write_text("\n".join(told), encoding="utf-8")  # so that one ingest takes both files
    settings = settings_below(root)
    ingest(spark, settings, format="jsonl", path=str(files.folder), split="train")
    lake = Lake(spark, settings.lake)
    release = fit(lake, settings)
    chunked = settings.model_copy(update={"label": settings.label.model_copy(update={"chunk_rows": 20})})
    label(lake, chunked, release, Days(files.first_night, files.last_night))  # two nights, then the third


def opened(spark: "SparkSession", root: Path) -> Shop:
    """The shop that `build` made, or a copy of its folder."""
    files, settings = _written(root), settings_below(root)
    [release] = Path(settings.releases).glob("rel-*")
    days = Days(files.first_night, files.last_night)
    return Shop(spark, settings, Lake(spark, settings.lake), Release.open(release), days, files)


def _written(root: Path) -> shop.ShopFiles:
    """The same files whenever it is called."""
    return shop.write(
        root / "shop", days=NIGHTS, dialogues_a_day=6, examples=3, train_pictures=1, test_pictures=1, broken_pictures=1
    )
