"""A small labelled lake that several test modules look at."""

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


def labelled_shop(spark: "SparkSession", root: Path) -> Shop:
    """A made-up shop of three nights, ingested, learned from and labelled below `root`."""
    files = shop.write(
        root / "shop", days=NIGHTS, dialogues_a_day=6, examples=3, train_pictures=1, test_pictures=1, broken_pictures=1
    )
    settings = settings_below(root)
    ingest(spark, settings, format="jsonl", path=str(files.history), split="train")
    ingest(spark, settings, format="jsonl", path=str(files.nights), split="test")
    lake = Lake(spark, settings.lake)
    release = fit(lake, settings)
    made = Shop(spark, settings, lake, release, Days(files.first_night, files.last_night), files)
    made.label()
    return made
