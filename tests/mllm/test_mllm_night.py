"""The voter `small` in a night: pictures' files reach it in the one stage, inline or by path, and nobody else."""

import json
import shutil
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from jobs import cards, registry, seesaw, votes
from jobs import spared as spared_items
from jobs.evaluate import evaluate
from jobs.fit import fit
from jobs.items import shown, targets, with_pictures, within
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days
from kdsl.arrow import items_of
from kdsl.config import Settings
from kdsl.errors import ConfigError, ErrorCode
from kdsl.explain import explain
from kdsl.manifest import file_sha256
from kdsl.models import mllm_voter
from kdsl.models.mllm import Scorer
from kdsl.release import Release
from kdsl.seesaw import FILE, read
from tests import tiny_model
from tests.night import noted, spans
from udfs.predict import PREDICTED, predict_batches

if TYPE_CHECKING:
    from tests.night import Shop

TASKS = {"intent": "conversation", "scene": "image"}


@pytest.fixture(scope="module")
def shop(night: "Shop", tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Settings]:
    """A copy of the shop's lake, to be labelled by a tiny multimodal model as it is, without post-training."""
    root = tmp_path_factory.mktemp("mllm_night")
    shutil.copytree(night.settings.lake, root / "lake")
    small = {"path": str(tiny_model.write(root / "tiny")), "device": "cpu", "max_pixels": 57_600, "post_train": False}
    small |= {"own_tokens": 96}  # some dialogues are longer
    changed = {
        "lake": str(root / "lake"),
        "releases": str(root / "releases"),
        "fit": {"voters": ["small"], "small": small},
    }
    return Lake(night.spark, changed["lake"]), Settings.model_validate(night.settings.model_dump() | changed)


def _items(lake: Lake, settings: Settings, version: str, looked_at: tuple[str, ...]) -> list:
    every = F.lit(True)
    wanted = targets(lake, TASKS, every)
    table = with_pictures(lake, wanted, shown(lake, wanted, every), version, looked_at).toArrow()
    return [item for batch in table.to_batches() for item in items_of(batch, settings.ingest.image_root)]


def _predicted(
    lake: Lake, settings: Settings, release: Release, days: Days, rows_a_batch: int, partitions: int
) -> dict:
    """Label and score of every fit item, from Arrow batches of so many rows, shuffled over so many partitions."""
    wanted = targets(lake, TASKS, within(days))
    table = with_pictures(
        lake, wanted, shown(lake, wanted, within(days)), release.manifest.reader_version, tuple(TASKS)
    )
    predict = predict_batches(str(release.path), release.manifest.release_id, settings.ingest.max_turn_chars)
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = lake.spark.conf.get(name)
    lake.spark.conf.set(name, str(rows_a_batch))
    try:
        shuffled = table.orderBy(F.rand(rows_a_batch)).repartition(partitions)
        found = shuffled.mapInArrow(predict, from_arrow_schema(PREDICTED)).where("error_code is null").collect()
    finally:
        lake.spark.conf.set(name, before)
    return {(row["item_id"], row["task"]): (row["label"], row["score"]) for row in found}


def test_a_night_says_of_every_item_what_the_model_itself_says(shop, night):
    lake, settings = shop
    release = fit(lake, settings)
    run = label(lake, settings, release, night.days)
    assert run.counts["loads"] >= 1
    items = {(i.task, i.item_id): i for i in _items(lake, settings, release.manifest.reader_version, tuple(TASKS))}
    scorer = Scorer.load(settings.fit.small.model)
    assert run.counts["cut"] > 0
    rows = [row for row in lake.df("labels").collect() if row["error_code"] is None]
    assert {row["task"] for row in rows} == set(TASKS)
    for name in TASKS:
        task = release.taxonomy.task(name)
        of_task = [row for row in rows if row["task"] == name]
        asked = [items[name, row["item_id"]] for row in of_task]
        wanted = scorer.score(task, asked, mllm_voter.contents_of(asked)).log_probs
        votes = [{vote["voter"]: vote for vote in row["votes"]}["small"] for row in of_task]
        assert [vote["label"] for vote in votes] == [task.label_names[at] for at in wanted.argmax(1)]
    for rows_a_batch, partitions in ((1, 5), (256, 1)):
        again = _predicted(lake, settings, release, night.days, rows_a_batch, partitions)
        assert set(again) == {(row["item_id"], row["task"]) for row in rows}
        for row in rows:
            label_again, score = again[row["item_id"], row["task"]]
            assert label_again == row["label"]
            assert score == pytest.approx(row["score"], abs=1e-4)
    blind = scorer.score(task, asked, {}).faults  # the scenes were not judged without their pictures
    assert len(blind) == len(asked) > 3


def test_only_tasks_that_are_looked_at_carry_files(shop, night):
    lake, settings = shop
    version = night.release.manifest.reader_version
    for looked_at in ((), ("scene",)):
        items = _items(lake, settings, version, looked_at)
        carried = {item.task for item in items for picture in item.pictures if picture.content is not None}
        assert carried == set(looked_at)
        assert {item.task for item in items if item.pictures} == set(TASKS)


def test_pictures_kept_as_files_are_read_by_the_worker(shop, night, tmp_path: Path):
    lake, settings = shop
    version = night.release.manifest.reader_version
    inline = {item.item_id: item for item in _items(lake, settings, version, ("scene",)) if item.task == "scene"}
    paths = {name: f"{name}.bin" for name in inline}
    for name, item in inline.items():
        (tmp_path / paths[name]).write_bytes(item.pictures[0].content or b"")
    lost, other = sorted(paths)[:2]
    (tmp_path / paths[lost]).unlink()
    (tmp_path / paths[other]).write_bytes(b"of another picture")
    from kdsl.arrow import item_of

    for name, item in inline.items():
        picture = {"sha256": item.pictures[0].sha256, "width": 1, "height": 1, "lines": [], "error_code": None}
        picture |= {"thumbnail": None, "image_id": name}
        row = {
            "item_id": name,
            "task": "scene",
            "turns": None,
            "pictures": [picture | {"content": None, "path": paths[name]}],
        }
        [read] = item_of(row, str(tmp_path)).pictures
        gone = name in (lost, other)
        assert read.content == (None if gone else item.pictures[0].content)
        assert read.error_code == (ErrorCode.IMAGE_MISSING if gone else None)
    assert "content" not in repr(inline[lost])


@pytest.fixture(scope="module")
def cascade(shop: tuple[Lake, Settings]) -> tuple[Lake, Settings, Release, Release]:
    """A release whose `large` is asked of all, and one of the same voters that spares it about half of the items.

    A model of random weights is worth no question, so the price is set here to what half of the examples exceed.
    """
    lake, settings = shop
    large = settings.fit.small.model_dump()
    told = settings.fit.model_dump() | {"voters": ["linear", "large"], "large": large, "large_share": 0.5}
    settings = settings.model_copy(update={"fit": settings.fit.model_validate(told)})
    whole = fit(lake, settings)
    made = whole.path.parent / "rel-00000000ca5c"
    shutil.copytree(whole.path, made)
    manifest = json.loads((made / "manifest.json").read_text()) | {"release_id": made.name}
    for task in TASKS:
        fusion, said = whole.fusion(task), dict(whole.held_out(task).said)
        assert fusion.cascade is not None
        assert fusion.others is not None
        price = float(np.median(fusion.cascade.value(fusion.others(said).log_probs)))
        file = made / "fusion" / f"{task}.json"
        asks = fusion.cascade.model_copy(update={"price": price})
        file.write_text(fusion.model_copy(update={"cascade": asks, "uses": "pool"}).model_dump_json())
        manifest["files"][f"fusion/{task}.json"] = file_sha256(file)
    (made / "manifest.json").write_text(json.dumps(manifest))
    return lake, settings, whole, Release.open(made)


@pytest.mark.slow
def test_large_is_asked_only_of_items_that_the_policy_sends(cascade, night, tmp_path, monkeypatch):
    lake, settings, whole, release = cascade
    assert set(whole.manifest.asking) == set(TASKS)
    for task, asking in whole.manifest.asking.items():
        assert [sent.asked for sent in asking.curve[:: len(asking.curve) - 1]] == [0.0, 1.0]
        assert asking.curve[-1].score.value == whole.manifest.scores[task][whole.manifest.uses[task]].value
    run = label(lake, settings, release, night.days, into="shadow_labels")
    of_release = F.col("release_id") == release.manifest.release_id
    rows = [row for row in lake.df("shadow_labels").where(of_release).collect() if row["error_code"] is None]
    asked = [row for row in rows if [vote["voter"] for vote in row["votes"]] == ["linear", "large"]]
    spared = [row for row in rows if [vote["voter"] for vote in row["votes"]] == ["linear"]]
    assert len(asked) + len(spared) == len(rows)
    assert run.counts["asked_large"] == len(asked) > 2
    assert len(spared) > 2
    digests = [release.manifest.voter_digest(task, "large") for task in TASKS]
    stored = lake.df("votes").where(F.col("voter_digest").isin(digests)).collect()
    assert {(row["task"], row["item_id"]) for row in stored} == {(row["task"], row["item_id"]) for row in asked}
    row = spared[0].asDict(recursive=True)
    assert "the large model was not asked" in "".join(explain(row, release.fusion(row["task"])))
    row = asked[0].asDict(recursive=True)
    assert "the large model said" in "".join(explain(row, release.fusion(row["task"])))

    # The same release on stored votes: as labelled, and nothing is missing; one that asks of all cannot tell.
    lake.upsert("labels", lake.df("shadow_labels").where(of_release))
    days = F.col("event_date").between(*night.days)
    labelled = {(row["task"], row["item_id"]): row["label"] for row in rows}
    for row in votes.compare(lake, release, release, days).collect():
        assert (row["known"], row["old"]) == (True, labelled[row["task"], row["item_id"]])
    every = whole.model_copy(update={"path": _asking_all(whole)})
    known = {
        (row["task"], row["item_id"]) for row in votes.compare(lake, release, every, days).where("known").collect()
    }
    assert known == {(row["task"], row["item_id"]) for row in asked}

    # Scored is every voter on every item, by one task where models could meet on a card, and the labels stay.
    monkeypatch.setattr(cards, "may_meet", lambda *_: True)
    monkeypatch.setattr(spared_items, "predict_batches", noted(predict_batches, tmp_path))
    report = evaluate(lake, settings, release, "test")
    assert len(spans(tmp_path)) == 1
    for task in TASKS:
        assert report["voters"]["large"][task]["n"] == report["tasks"][task]["n"]
    again = lake.df("shadow_labels").where(of_release).where(days).collect()
    assert {(row["task"], row["item_id"]): row["votes"] for row in again if row["error_code"] is None} == {
        (row["task"], row["item_id"]): row["votes"] for row in rows
    }
    gold = {
        (row["task"], row["item_id"]): row["label"] for row in lake.df("gold_labels").where("split = 'test'").collect()
    }
    more = lake.df("votes").where(F.col("voter_digest").isin(digests)).collect()
    had = {(row["task"], row["item_id"]) for row in more}
    assert {key for key in labelled if key in gold} <= had
    assert len(more) == len(had)
    for task in TASKS:  # scored by what it said, of whom it was asked at night and now
        names = release.taxonomy.task(task).label_names
        right = [
            names[int(np.argmax(row["log_probs"]))] == gold[task, row["item_id"]]
            for row in more
            if row["task"] == task and (task, row["item_id"]) in gold
        ]
        assert report["voters"]["large"][task]["accuracy"] == pytest.approx(np.mean(right), abs=1e-6)
    # Scored again it is asked of nothing, since what it said is kept.
    monkeypatch.setattr(spared_items, "predict_batches", lambda *_, **__: pytest.fail("asked again"))
    assert evaluate(lake, settings, release, "test") == report


def _asking_all(release: Release) -> Path:
    made = release.path.parent / "rel-0000000000a1"
    shutil.copytree(release.path, made)
    manifest = json.loads((made / "manifest.json").read_text())
    for task in TASKS:
        file = made / "fusion" / f"{task}.json"
        fusion = release.fusion(task).model_copy(update={"cascade": None, "others": None, "uses": "pool"})
        file.write_text(fusion.model_dump_json())
        manifest["files"][f"fusion/{task}.json"] = file_sha256(file)
    (made / "manifest.json").write_text(json.dumps(manifest))
    return made


def test_a_seesaw_needs_examples_to_hold_out(shop, tmp_path: Path):
    lake, settings = shop  # one picture a scene, three dialogues an intent: none can be spared
    with pytest.raises(ConfigError, match="has too few examples to hold out"):
        seesaw.run(lake.spark, settings, Namespace(model="small", seeds=2, into=str(tmp_path), release=None))
    with pytest.raises(ConfigError, match=r"fit\.large\.path is empty"):
        seesaw.run(lake.spark, settings, Namespace(model="large", seeds=2, into=str(tmp_path)))
    with pytest.raises(ConfigError, match="--seeds: 1 given"):
        seesaw.run(lake.spark, settings, Namespace(model="small", seeds=1, into=str(tmp_path)))


@pytest.mark.slow
def test_a_seesaw_is_measured_drawn_and_kept_in_a_child(shop, night, tmp_path: Path, capsys):
    _, settings = shop
    shutil.copytree(night.settings.lake, tmp_path / "lake")  # as the night left it, with its release at work
    shutil.copytree(night.release.path, tmp_path / "releases" / night.release.path.name)
    lake = Lake(night.spark, str(tmp_path / "lake"))
    lake.upsert("gold_labels", lake.df("gold_labels").withColumn("split", F.lit("train")))  # two pictures a scene
    lora = {"rank": 2, "steps": 2, "evaluate_every": 1, "rows": 2, "held_out": 0.5}
    small = settings.fit.small.model_dump() | {"lora": lora}
    told = {"lake": str(tmp_path / "lake"), "releases": str(tmp_path / "releases")}
    told |= {"fit": settings.fit.model_dump() | {"rules_budget": 5, "small": small}}
    settings = Settings.model_validate(settings.model_dump() | told)
    seesaw.run(lake.spark, settings, Namespace(model="small", seeds=2, into=str(tmp_path), release=""))
    found = read(tmp_path / FILE)
    assert {(look.seed, look.adapter, look.task, look.step) for look in found.looks} == {
        (settings.fit.seed + nth, adapter, task, step)
        for nth in (0, 1) for task in TASKS for adapter in ("joint", task) for step in (1, 2)
    }  # fmt: skip
    assert len(found.with_rules) == 8
    assert "<svg" in (tmp_path / "seesaw.svg").read_text()
    said = capsys.readouterr().out
    assert "with rules beside its own, less joint one" in said
    assert found.verdict() in said
    child = registry.find(lake, settings, "")
    assert child.manifest.parent == night.release.manifest.release_id
    assert child.seesaw() == found
    assert (child.path / "seesaw.svg").read_text() == (tmp_path / "seesaw.svg").read_text()
    assert "seesaw.svg" in child.manifest.files
