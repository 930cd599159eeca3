"""The nightly job on a small made-up shop: real session, real tables, real voter, real reader."""

import argparse
import json
import math
import shlex
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import psutil
import pytest
from PIL import Image
from sklearn.metrics import f1_score

from jobs import cli, console, examples, ingest_merge, ledger, registry, sql, votes
from jobs import label as label_job
from jobs.evaluate import evaluate
from jobs.fit import fit
from jobs.ingest import ingest
from jobs.items import targets, with_pictures, within
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days
from jobs.pending import pending
from jobs.tables import TABLES
from kdsl.arrow import item_of
from kdsl.errors import ConfigError, ErrorCode, ReleaseError
from kdsl.features import text_fields
from kdsl.fusion.decide import decide
from kdsl.images import sha256
from kdsl.release import Release
from kdsl.thumbnail import SIZE
from tests.night import NIGHTS, Shop


def test_every_item_of_the_nights_has_exactly_one_row(night: Shop) -> None:
    nights = f"event_date BETWEEN '{night.days.start}' AND '{night.days.end}'"
    expected = Counter((row["conversation_id"], "intent") for row in night.rows("conversations", nights))
    expected += Counter((row["image_id"], "scene") for row in night.rows("images", nights))
    rows = night.rows("labels", nights)
    assert Counter((row["item_id"], row["task"]) for row in rows) == expected
    assert len(expected) > 18
    known = {task.name: set(task.label_names) for task in night.release.taxonomy.tasks}
    for row in rows:
        assert row["error_code"] is None
        assert row["abstained"] or row["label"] in known[row["task"]]
        assert row["release_id"] == night.release.manifest.release_id
        assert [vote["voter"] for vote in row["votes"]] == ["linear", "rules"]


def test_rules_explain_each_row_with_the_words_that_matched(night: Shop) -> None:
    dialogues = {row["conversation_id"]: row for row in night.rows("conversations")}
    rows = night.rows("labels", "task = 'intent' AND error_code IS NULL")
    assert {row["ruleset_fingerprint"] for row in rows} == {
        json.loads((night.release.folder("intent", "rules") / "weights.json").read_text())["fingerprint"]
    }
    matched = 0
    for row in rows:
        [vote] = [vote for vote in row["votes"] if vote["voter"] == "rules"]
        assert vote["abstained"] == (not row["rules_fired"])
        said = {"item_id": "", "task": "", "pictures": None, **dialogues[row["item_id"]].asDict(recursive=True)}
        fields = text_fields(item_of(said))
        for rule in row["rules_fired"]:
            assert rule["sentence"].startswith("If ")
            for match in rule["matches"]:
                if match["field"] in ("last_user", "user", "agent"):
                    assert fields[match["field"]][match["start"] : match["stop"]] == match["words"]
                    matched += 1
    assert matched > 0


def test_a_finished_range_adds_no_version_to_any_table_but_runs(night: Shop) -> None:
    before = night.lake.versions()
    run = night.label()
    after = night.lake.versions()
    assert run.counts["pending"] == 0
    assert after.pop("runs") == before.pop("runs") + 1
    assert after == before


def test_a_second_fit_finds_the_release_learns_nothing_anew_and_prints_its_id_last(night: Shop, capsys) -> None:
    before = night.lake.versions(["image_features", "releases"])
    cli.module("fit").run(night.lake.spark, night.settings, argparse.Namespace(budget=None))
    assert capsys.readouterr().out.splitlines()[-1] == night.release.manifest.release_id
    assert night.lake.versions(["image_features", "releases"]) == before


def test_each_picture_was_read_once(night: Shop) -> None:
    read = Counter(row["sha256"] for row in night.rows("image_features"))
    assert set(read.values()) == {1}
    assert set(read) == {row["sha256"] for row in night.rows("images")}
    for row in night.rows("image_features"):
        assert (row["thumbnail"] is None) == (row["error_code"] is not None)
        assert row["thumbnail"] is None or len(row["thumbnail"]) == SIZE
    runs = [row for row in night.rows("runs", "job = 'label'") if row["counts"].get("pictures_read")]
    assert sum(row["counts"]["pictures_read"] for row in runs) < len(read)  # the history's were read by fit


def test_runs_tell_what_was_done(night: Shop) -> None:
    first = min(night.rows("runs", "job = 'label'"), key=lambda row: row["started_at"])
    assert first["state"] == "done"
    assert first["release_id"] == night.release.manifest.release_id
    assert first["counts"]["pending"] == first["counts"]["labelled"] > 18
    assert {"find pending", "read pictures", "predict", "merge", "measure"} <= set(first["seconds"])
    assert first["output_versions"]["labels"] >= 1
    assert json.loads(first["arguments"])["from"] == night.days.start.isoformat()


def test_batch_metrics_hold_each_night(night: Shop) -> None:
    metrics = {
        (row["event_date"], row["task"], row["metric"], row["label"]): row for row in night.rows("batch_metrics")
    }
    gold = {(row["item_id"], row["task"]) for row in night.rows("gold_labels", "split = 'test'")}
    for offset in range(NIGHTS):
        day = night.days.start + timedelta(days=offset)
        rows = night.rows("labels", f"event_date = '{day}' AND task = 'intent'")
        scored = sum((row["item_id"], "intent") in gold for row in rows)
        assert metrics[day, "intent", "rows", ""]["value"] == len(rows)
        figure = metrics[day, "intent", "weighted_f1", ""]
        assert figure["n"] == scored > 0
        assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
        by_label = [row for key, row in metrics.items() if key[:3] == (day, "intent", "f1")]
        assert sum(row["n"] for row in by_label) == scored
        assert sum(row["value"] * row["n"] for row in by_label) / scored == pytest.approx(figure["value"])
        assert all(0 <= row["low"] <= row["value"] <= row["high"] <= 1 for row in by_label)
        assert any(row["low"] < row["high"] for row in by_label)
        assert metrics[day, "all", "seconds", "predict"]["value"] > 0
        assert (day, "intent", "abstain_rate", "") in metrics


def test_evaluate_has_the_promised_keys_and_ignores_what_was_learned(night: Shop) -> None:
    report = evaluate(night.lake, night.settings, night.release, "test")
    gold = night.rows("gold_labels", "split = 'test'")
    assert report["release_id"] == night.release.manifest.release_id
    assert set(report["tasks"]) == {"intent", "scene"}
    for task, figures in report["tasks"].items():
        assert {"weighted_f1", "low", "high", "macro_f1", "accuracy", "n", "labels", "confused"} <= set(figures)
        assert (
            figures["n"] == sum(row["task"] == task for row in gold) == sum(f["n"] for f in figures["labels"].values())
        )
        for name in ("macro_f1", "accuracy"):
            low, high = figures[f"{name}_interval"]
            assert low <= figures[name] <= high
        assert all(0 <= f["low"] <= f["f1"] <= f["high"] <= 1 for f in figures["labels"].values())
        assert {voter for voter, by in report["voters"].items() if by[task]["n"] == figures["n"]} == {"linear", "rules"}
    mean = sum(figures["weighted_f1"] for figures in report["tasks"].values()) / 2
    assert report["overall_weighted_f1"] == pytest.approx(mean)
    with pytest.raises(ConfigError, match="did not learn from; splits with gold are test, train"):
        evaluate(night.lake, night.settings, night.release, "train")


def test_gold_that_arrives_later_corrects_the_figures(night: Shop) -> None:
    day = night.days.start
    gold = {row["item_id"] for row in night.rows("gold_labels", "task = 'intent'")}
    late = next(
        row for row in night.rows("labels", f"event_date = '{day}' AND task = 'intent'") if row["item_id"] not in gold
    )
    where = f"event_date = '{day}' AND task = 'intent' AND metric = 'weighted_f1'"
    before = night.rows("batch_metrics", where)
    frame = night.spark.createDataFrame(
        [(late["item_id"], "intent", late["label"], "test", "somebody", datetime.now(UTC))],
        TABLES["gold_labels"].columns,
    )
    night.lake.upsert("gold_labels", frame)
    assert night.label().counts["pending"] == 0
    after = night.rows("batch_metrics", where)
    newest = max(after, key=lambda row: row["computed_at"])
    assert len(after) == len(before) + 1
    assert newest["n"] == max(row["n"] for row in before) + 1


@pytest.mark.slow
def test_a_figure_whose_gold_went_away_is_no_current_figure(night: Shop) -> None:
    day, key = night.days.end, "given-and-taken"
    _conversations(night, (key, day, [("user", "where is my parcel", [])]))
    gold = [(key, "intent", "where_is_my_order", "test", "somebody", datetime.now(UTC))]
    night.lake.upsert("gold_labels", night.spark.createDataFrame(gold, TABLES["gold_labels"].columns))
    night.label(Days(day, day))
    where = f"event_date = '{day}' AND task = 'intent' AND metric = 'weighted_f1'"
    sql.views(night.lake)
    before = night.spark.sql(f"SELECT n FROM current_metrics WHERE {where}").collect()
    night.lake.delta("gold_labels").delete("true")
    night.label(Days(day, day))
    sql.views(night.lake)
    assert len(before) == 1
    assert night.spark.sql(f"SELECT n FROM current_metrics WHERE {where}").isEmpty()
    night.lake.delta("gold_labels").restoreToVersion(night.lake.version("gold_labels") - 1)


def test_gold_that_the_release_does_not_know_is_not_learned_and_counts_as_wrong(night: Shop) -> None:
    gold, stored, day = night.lake.version("gold_labels"), night.lake.version("batch_metrics"), night.days.start
    known, foreign = night.rows("labels", f"event_date = '{day}' AND task = 'intent' AND label IS NOT NULL")[:2]
    now = datetime.now(UTC)
    rows = [
        (known["item_id"], "intent", known["label"], "other", None, now),
        (foreign["item_id"], "intent", "a_label_of_before", "other", None, now),
        (night.rows("conversations")[0]["conversation_id"] + "-x", "intent", "a_label_of_before", "train", None, now),
    ]
    night.lake.upsert("gold_labels", night.spark.createDataFrame(rows, TABLES["gold_labels"].columns))
    says = "1 gold labels are none of the release's labels (1 others, as intent a_label_of_before) and count as wrong"
    try:
        with console.out.capture() as told:
            figures = evaluate(night.lake, night.settings, night.release, "other")["tasks"]["intent"]
        assert says in told.get()
        with console.out.capture() as told:
            night.label(Days(day, day))
        assert says in told.get()
        with console.out.capture() as told, ledger.recorded(night.lake, "fit", {}, (), ()) as run:
            taught = examples.collect(night.lake, night.settings, night.release.taxonomy, run)
    finally:
        night.lake.delta("gold_labels").restoreToVersion(gold)
        night.lake.delta("batch_metrics").restoreToVersion(stored)
    lost = figures["labels"]["a_label_of_before"]
    assert (lost["f1"], lost["n"]) == (0.0, 1)
    wanted = f1_score([known["label"], "a_label_of_before"], [known["label"], foreign["label"]], average="weighted")
    assert (figures["n"], figures["weighted_f1"], figures["accuracy"]) == (2, pytest.approx(wanted), 0.5)
    assert "1 gold labels are not of taxonomy 'demo' and are left out" in told.get()
    assert "a_label_of_before" not in {label for _, _, _, label in taught.keys}


@pytest.mark.slow
def test_another_release_labels_the_range_anew_and_may_be_chosen(night: Shop) -> None:
    other = fit(
        night.lake, night.settings.model_copy(update={"fit": night.settings.fit.model_copy(update={"seed": 8})})
    )
    assert other.manifest.release_id != night.release.manifest.release_id
    assert label(night.lake, night.settings, other, night.days).counts["labelled"] > 18
    found = registry.find(night.lake, night.settings, night.release.manifest.release_id)
    label(night.lake, night.settings, found, night.days)
    assert {row["release_id"] for row in night.rows("labels")} == {night.release.manifest.release_id}


@pytest.mark.slow
def test_a_dialogue_that_moves_while_a_night_labels_it_keeps_one_label(
    night: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.loads(line) for line in night.files.nights.read_text().splitlines()]
    moved = [line for line in lines if "conversation_id" in line and not any("images" in t for t in line["turns"])][1]
    [was] = night.rows("labels", f"item_id = '{moved['conversation_id']}'")
    elsewhere = was["event_date"] - timedelta(days=31)  # in no range that another test labels
    file = tmp_path / "moved.jsonl"
    file.write_text(json.dumps({**moved, "event_date": elsewhere.isoformat()}) + "\n")
    write = ingest_merge.Merge.write

    def labelled_meanwhile(merge: ingest_merge.Merge) -> None:  # after its label was deleted, before it has moved
        night.label(night.days)
        assert night.rows("labels", f"item_id = '{moved['conversation_id']}'")
        write(merge)

    monkeypatch.setattr(ingest_merge.Merge, "write", labelled_meanwhile)
    ingest(night.spark, night.settings, format="jsonl", path=str(file), split="test")
    assert not night.rows("labels", f"item_id = '{moved['conversation_id']}'")


def _conversations(night: Shop, *told: tuple[str, date, list[tuple[str, str, list[str]]]]) -> None:
    rows = [(key, day, turns, "test", f"hash-{key}", datetime.now(UTC)) for key, day, turns in told]
    night.lake.append("conversations", night.spark.createDataFrame(rows, TABLES["conversations"].columns))


@dataclass
class Odd:
    """Nights of odd items, labelled by one run: bad ones, unlike ones, one that shows a picture seen before, and what
    lost its place."""

    bad: date
    unlike: date
    seen: date
    days: Days
    moved: str
    """A dialogue of the first night, ingested again with the date `seen`."""
    gone: str
    """Another one of that night, deleted."""
    run: ledger.Run
    told: list[str]


@pytest.fixture(scope="module")
def odd(night: Shop, tmp_path_factory: pytest.TempPathFactory) -> Odd:
    bad, unlike, seen = (night.days.end + timedelta(days=days) for days in (100, 70, 40))
    good, again = night.rows("images")[:2]
    # Known matters, so that labels vary as on any night, in words of which most are new.
    known = [t["text"] for r in night.rows("conversations") for t in r["turns"] if t["speaker"] == "user"]
    new = ("qwxz", "vlarg", "trompf", "gnurz", "plix", "smorp") * 4
    texts = [f"{known[n % len(known)]} {' '.join(f'{word}{n}' for word in new)}" for n in range(60)]
    _conversations(
        night,
        ("empty", bad, []),
        ("silent", bad, [("agent", "hello", [])]),
        ("endless", bad, [("user", "x" * 1_000_000, [])]),
        ("odd", bad, [("user", "\u202e\ufffd \U0001f4e6 where is my parcel", ["no-such-picture"])]),
        *((f"odd-{n}", unlike, [("user", text.replace("<image>", ""), [])]) for n, text in enumerate(texts)),
        ("sends-it-again", seen, [("user", "look <image>", [again["image_id"]])]),
    )
    files = {"none": b"", "half": bytes(good["content"])[:2000], "noise": b"not a picture at all", "lost": None}
    rows = [
        (key, None, bad, f"sha-{key}", content, None if content is not None else "images/lost.jpg", "test", good[-1])
        for key, content in {**files, "fine": bytes(good["content"])}.items()
    ]
    night.lake.append("images", night.spark.createDataFrame(rows, TABLES["images"].columns))
    moved, gone = _moved_and_gone(night, seen, tmp_path_factory.mktemp("moved") / "moved.jsonl")
    with console.out.capture() as told:
        run = night.label(Days(night.days.start, bad))
    return Odd(bad, unlike, seen, Days(seen, bad), moved, gone, run, told.get().splitlines())


def _moved_and_gone(night: Shop, later: date, file: Path) -> tuple[str, str]:
    lines = [json.loads(line) for line in night.files.nights.read_text().splitlines()]
    moved = next(line for line in lines if "conversation_id" in line and not any("images" in t for t in line["turns"]))
    assert moved["event_date"] == night.days.start.isoformat()
    file.write_text(json.dumps({**moved, "event_date": later.isoformat()}) + "\n")
    ingest(night.spark, night.settings, format="jsonl", path=str(file), split="test")
    there = night.rows("conversations", f"event_date = '{night.days.start}'")
    gone = next(row["conversation_id"] for row in there if row["conversation_id"] != moved["conversation_id"])
    night.lake.delta("conversations").delete(f"conversation_id = '{gone}'")
    night.lake.append("shadow_labels", night.lake.df("labels").where(f"item_id = '{gone}'"))
    return moved["conversation_id"], gone


def test_bad_items_become_error_rows_and_the_others_are_labelled(night: Shop, odd: Odd) -> None:
    rows = {row["item_id"]: row for row in night.rows("labels", f"event_date = '{odd.bad}'")}
    assert {key: row["error_code"] for key, row in rows.items()} == {
        "empty": ErrorCode.EMPTY_DIALOGUE,
        "silent": ErrorCode.NO_USER_TURN,
        "endless": ErrorCode.TURN_TOO_LONG,
        "odd": None,
        "none": ErrorCode.IMAGE_EMPTY,
        "half": ErrorCode.IMAGE_TRUNCATED,
        "noise": ErrorCode.IMAGE_UNREADABLE,
        "lost": ErrorCode.IMAGE_MISSING,
        "fine": None,
    }
    assert all((row["label"] is None) == (row["error_code"] is not None) for row in rows.values())
    assert odd.run.counts["labelled"] == 9 + 60 + 1 + 1
    error_rate = night.rows("batch_metrics", f"event_date = '{odd.bad}' AND task = 'scene' AND metric = 'error_rate'")
    assert error_rate[0]["value"] == pytest.approx(4 / 5)


def test_a_picture_sent_in_dialogues_of_two_dates_is_seen_by_both(night: Shop, odd: Odd) -> None:
    # The other night's five are new; one of them is not there.
    assert (odd.run.counts["pictures_cached"], odd.run.counts["pictures_read"]) == (1, 4)
    rows = night.rows("labels", f"event_date = '{odd.seen}'")
    assert {(row["item_id"], row["error_code"]) for row in rows} == {("sends-it-again", None), (odd.moved, None)}


def test_dialogues_that_moved_or_went_leave_no_label_behind(night: Shop, odd: Odd) -> None:
    assert odd.run.counts["orphans"] == 2  # of `labels` and of `shadow_labels`
    assert night.rows("shadow_labels") == []
    rows = night.rows("labels", f"item_id IN ('{odd.moved}', '{odd.gone}')")
    assert [(row["item_id"], row["event_date"]) for row in rows] == [(odd.moved, odd.seen)]
    # The day is estimated anew of those that are left, though none of them was pending.
    own = f"event_date = '{night.days.start}' AND task = 'intent'"
    figures = night.rows("batch_metrics", f"{own} AND metric = 'estimated_weighted_f1'")
    assert max(figures, key=lambda row: row["computed_at"])["n"] == len(night.rows("labels", own))
    ids = Counter((row["item_id"], row["task"]) for row in night.rows("labels"))
    assert set(ids.values()) == {1}


def test_a_night_of_unlike_items_says_so_and_gives_a_command_that_can_be_pasted(night: Shop, odd: Odd) -> None:
    day = odd.unlike
    assert any(f"{day} intent: not reliable tonight (items unlike the examples" in line for line in odd.told)
    asking = [line for line in odd.told if "label these 50 items" in line and f"--from {day}" in line]
    [command] = [line.partition("label these 50 items: ")[2] for line in asking]
    program, *argv = shlex.split(command)
    args, settings = cli.parse(argv)
    assert (program, args.job, args.start, args.end, args.n) == ("./spark-submit.sh", "sample", day, day, 50)
    for name in ("lake", "releases", "taxonomy"):
        assert getattr(settings, name) == getattr(night.settings, name)
    assert settings.spark.master == night.settings.spark.master


def test_a_fault_that_may_pass_is_asked_again_and_nothing_is_said_or_written_twice(night: Shop, odd: Odd) -> None:
    # A file that was not there is looked for again; the other faults are final.
    assert "sha-lost" not in {row["sha256"] for row in night.rows("image_features")}
    before = night.lake.versions()
    wanted = targets(night.lake, {"intent": "conversation", "scene": "image"}, within(odd.days))
    todo = pending(night.lake, night.release.manifest.release_id, wanted, within(odd.days))
    assert with_pictures(night.lake, todo, None, "").select("item_id", "again").collect() == [("lost", True)]
    with console.out.capture() as told:
        assert night.label(odd.days).counts["pending"] == 1
    assert "not reliable" not in told.get()
    assert night.lake.versions() == before | {"runs": before["runs"] + 1}
    good = next(row for row in night.rows("images", "image_id = 'fine'"))
    found = night.spark.createDataFrame([("lost", good["content"])], "image_id STRING, content BINARY")
    merging = night.lake.delta("images").alias("t").merge(found.alias("s"), "t.image_id = s.image_id")
    merging.whenMatchedUpdate(set={"content": "s.content"}).execute()
    assert night.label(odd.days).counts["pending"] == 1
    [label] = night.rows("labels", "item_id = 'lost'")
    assert (label["error_code"], label["label"] is None) == (None, label["abstained"])
    sql.views(night.lake)
    rate = f"event_date = '{odd.bad}' AND task = 'scene' AND metric = 'error_rate'"
    assert night.spark.sql(f"SELECT value FROM current_metrics WHERE {rate}").collect()[0][0] == pytest.approx(3 / 5)
    assert pending(night.lake, night.release.manifest.release_id, wanted, within(odd.days)).isEmpty()


def test_a_dialogue_whose_picture_is_away_is_labelled_without_it_and_again_when_it_is_back(
    night: Shop, tmp_path: Path
) -> None:
    day = night.days.end + timedelta(days=190)
    days, own, now = Days(day, day), f"event_date = '{day}'", datetime.now(UTC)
    buffer = BytesIO()
    Image.new("RGB", (40, 60), "navy").save(buffer, "PNG")
    name, key = sha256(buffer.getvalue()), "shows-it"
    row = ("away", key, day, name, None, "away.png", "test", now)
    night.lake.append("images", night.spark.createDataFrame([row], TABLES["images"].columns))
    _conversations(night, (key, day, [("user", "where is my parcel <image>", ["away"])]))
    mounted = night.settings.ingest.model_copy(update={"image_root": str(tmp_path)})
    shop = replace(night, settings=night.settings.model_copy(update={"ingest": mounted}))

    def said() -> dict[str, tuple[str | None, str]]:
        return {row["item_id"]: (row["error_code"], row["input_hash"]) for row in shop.rows("labels", own)}

    with console.out.capture() as told:
        counts = shop.label(days).counts
        assert (counts["pictures_missing"], counts["pictures_read"]) == (1, 0)
    assert "1 of 1 new pictures are gone from ingest.image_root" in " ".join(told.get().split())
    blind = said()[key][1]
    assert blind.startswith(f"hash-{key}/without-")
    assert {item: code for item, (code, _) in said().items()} == {key: None, "away": ErrorCode.IMAGE_MISSING}
    before = night.lake.versions()
    (tmp_path / "away.png").write_bytes(b"half a copy")  # another file is as good as none, and nothing is cached
    assert shop.label(days).counts["pending"] == 2
    assert night.lake.versions() == before | {"runs": before["runs"] + 1}
    assert not night.rows("image_features", f"sha256 = '{name}'")
    (tmp_path / "away.png").write_bytes(buffer.getvalue())
    assert shop.label(days).counts["pending"] == 2
    assert said() == {key: (None, f"hash-{key}"), "away": (None, name)}
    votes_of = {row["input_hash"] for row in night.rows("votes", f"item_id = '{key}'")}
    assert votes_of == {blind, f"hash-{key}"}
    assert [row["error_code"] for row in night.rows("image_features", f"sha256 = '{name}'")] == [None]
    assert shop.label(days).counts["pending"] == 0


def test_an_item_with_a_fault_counts_as_wrong(night: Shop, odd: Odd) -> None:
    gold = [("endless", "intent", "refund_status", "hard", None, datetime.now(UTC))]
    night.lake.upsert("gold_labels", night.spark.createDataFrame(gold, TABLES["gold_labels"].columns))
    report = evaluate(night.lake, night.settings, night.release, "hard")
    assert report["tasks"]["intent"]["n"] == 1
    assert report["tasks"]["intent"]["weighted_f1"] == report["voters"]["linear"]["intent"]["weighted_f1"] == 0


@pytest.mark.parametrize("because", ["narrowed", pytest.param("killed", marks=pytest.mark.slow)])
def test_a_night_that_was_labelled_and_not_measured_gets_its_figures_from_the_next_run(
    night: Shop, monkeypatch: pytest.MonkeyPatch, because: str
) -> None:
    day = night.days.end + timedelta(days=160 if because == "killed" else 164)
    days, own = Days(day, day + timedelta(days=1)), f"event_date = '{day}'"
    asked = {because: days.start, f"learned-{because}": days.end}
    _conversations(night, *((name, at, [("user", "where is my parcel", [])]) for name, at in asked.items()))
    learned = night.release.learned()
    monkeypatch.setattr(Release, "learned", lambda _: learned | {"intent": [*learned["intent"], f"learned-{because}"]})
    if because == "killed":
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(label_job.quality, "write", lambda *_, **__: 1 / 0)
            night.label(days)
    else:
        night.label(days, only=night.spark.createDataFrame([(name, "intent") for name in asked], ["item_id", "task"]))
    assert len(night.rows("labels", own)) == 1
    assert night.rows("batch_metrics", own) == []
    assert night.label(days).counts["pending"] == 0
    figures = {row["metric"] for row in night.rows("batch_metrics", own)}
    assert {"rows", "estimated_weighted_f1", "likeness", "input_likeness"} <= figures
    before = night.lake.versions()
    monkeypatch.setattr(label_job.quality.unlabelled, "heard", None)  # no day is looked at again
    night.label(days)
    assert night.lake.versions() == before | {"runs": before["runs"] + 1}
    if because == "narrowed":  # a day that loses its items loses all that was measured of them
        night.lake.delta("conversations").delete(own)
        night.label(days)
        sql.views(night.lake)
        assert night.spark.sql(f"SELECT * FROM current_metrics WHERE {own} AND task = 'intent'").isEmpty()


def test_what_the_release_learned_from_takes_no_part_in_estimates(night: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days with many examples among their items were called unlike the examples: none of their words was new."""
    day = night.days.end + timedelta(days=162)
    _conversations(
        night, *((name, day, [("user", "where is my parcel", [])]) for name in ("example", "other", "further"))
    )
    learned = night.release.learned()
    told = Mock(return_value=learned | {"intent": [*learned["intent"], "example"]})
    monkeypatch.setattr(Release, "learned", told)
    night.label(Days(day, day))
    told.assert_called_once()  # thousands of ids, which travel to every worker
    looked_at = {row["metric"]: row["n"] for row in night.rows("batch_metrics", f"event_date = '{day}'")}
    assert [looked_at[name] for name in ("rows", "estimated_weighted_f1", "likeness", "input_likeness")] == [3, 2, 2, 2]


def _killed_workers() -> int:
    """Kill the Python workers of this process's Spark session; how many there were."""
    daemons, workers = set(), []
    for one in psutil.Process().children(recursive=True):  # parents come before their children
        with suppress(psutil.NoSuchProcess):  # some end meanwhile, or have ended and nobody asked how
            if one.ppid() in daemons:
                workers.append(one)
            elif "pyspark.daemon" in one.cmdline():
                daemons.add(one.pid)
    for worker in workers:
        worker.kill()
    return len(workers)


@pytest.mark.slow
def test_a_range_in_chunks_gives_the_same_labels_and_tells_that_models_were_loaded_again(
    night: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ("item_id", "task", "label", "score")
    before = {tuple(row[name] for name in key) for row in night.rows("labels")}
    days = Days(night.days.start, night.days.start + timedelta(days=1))
    night.lake.delta("labels").delete(f"event_date <= '{days.end}'")
    small = night.settings.model_copy(update={"label": night.settings.label.model_copy(update={"chunk_rows": 5})})
    chunked = replace(night, settings=small)
    assert _killed_workers() >= 2
    together, chunks = label_job.together, []

    def lose_workers_after_the_first_chunk(*commits: Callable[[], object]) -> None:
        together(*commits)
        chunks.append(_killed_workers() if not chunks else 0)

    monkeypatch.setattr(label_job, "together", lose_workers_after_the_first_chunk)
    run = chunked.label(days)
    assert len(chunks) == 2
    assert run.counts["labelled"] > 12
    assert (run.counts["loads"], run.counts["reloads"]) == (4, 2)  # two slots, and their workers were killed once
    [row] = night.rows("runs", f"run_id = '{run.run_id}'")
    assert (row["counts"]["loads"], row["counts"]["reloads"]) == (4, 2)
    monkeypatch.undo()
    after = {tuple(row[name] for name in key) for row in night.rows("labels")}
    assert after == before


def test_releases_that_are_missing_altered_or_foreign_are_refused(
    night: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ReleaseError, match=r"there is no .*rel-none; known in --releases: rel-"):
        registry.find(night.lake, night.settings, "rel-none")
    foreign = night.settings.model_copy(update={"taxonomy": "conf/taxonomies/mire.yaml"})
    with pytest.raises(ReleaseError, match="was learned for taxonomy 'demo'"):
        registry.find(night.lake, foreign, night.release.manifest.release_id)
    empty = Lake(night.spark, str(tmp_path / "empty"))
    with pytest.raises(ReleaseError, match="has no promoted release; learn one first"):
        registry.find(empty, night.settings, None)
    file = night.release.folder("intent", "linear") / "linear.npz"
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(ReleaseError, match=r"linear\.npz was altered"):
            registry.find(night.lake, night.settings, night.release.manifest.release_id)
    finally:
        file.write_bytes(content)
    monkeypatch.setattr(registry, "reader_version", lambda _settings: "another reader")
    with pytest.raises(ReleaseError, match=r"this version reads them by another reader\. Run fit again"):
        registry.find(night.lake, night.settings, night.release.manifest.release_id)


def test_sql_shows_cells_as_they_are(night: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    sql.views(night.lake)
    sql.show(night.spark.sql("SELECT '[b] total [/] y' AS `[i]`, count(*) AS n FROM current_metrics"), 5)
    assert "[b] total [/] y" in capsys.readouterr().out


def test_a_release_found_again_is_promoted_again(night: Shop) -> None:
    registry.register(night.lake, night.release, promote=False, reason="noted already")
    before = night.lake.version("releases")
    registry.register(night.lake, night.release, promote=True, reason="at work already")
    assert night.lake.version("releases") == before
    night.lake.delta("releases").update(set={"promoted_at": "NULL"})
    registry.register(night.lake, night.release, promote=True, reason="again")
    assert registry.promoted(night.lake) == night.release.manifest.release_id


def test_no_text_of_a_dialogue_is_in_tables_about_faults_or_runs(night: Shop) -> None:
    words = {turn["text"] for row in night.rows("conversations") for turn in row["turns"] if len(turn["text"]) > 20}
    told = " ".join(str(row) for table in ("runs", "quarantine", "batch_metrics") for row in night.rows(table))
    assert words
    assert not [text for text in words if text in told]


def test_votes_hold_what_every_voter_said_so_that_fusion_can_be_done_again(night: Shop) -> None:
    nights = f"event_date BETWEEN '{night.days.start}' AND '{night.days.end}'"
    labels = {(row["item_id"], row["task"]): row for row in night.rows("labels", f"{nights} AND error_code IS NULL")}
    manifest = night.release.manifest
    said: dict[tuple[str, str], dict[str, list[float] | None]] = {}
    for row in night.lake.df("votes").where(nights).dropDuplicates(list(votes.KEY)).collect():
        assert row["voter_digest"] == manifest.voter_digest(row["task"], row["voter"])
        said.setdefault((row["item_id"], row["task"]), {})[row["voter"]] = row["log_probs"]
    assert set(labels) <= set(said)
    for (item_id, task), row in labels.items():
        fusion = night.release.fusion(task)
        silent = [math.nan] * len(fusion.labels)
        matrices = {name: np.array([row or silent]) for name, row in said[item_id, task].items()}
        (again,) = decide(fusion, matrices)
        assert again.label == row["label"]
        assert (again.score or 0) == pytest.approx(row["score"] or 0, abs=1e-4)


def test_a_night_without_gold_gets_an_estimate_with_an_interval(night: Shop) -> None:
    metrics = f"metric IN ('estimated_weighted_f1', 'input_likeness', 'rows') AND event_date <= '{night.days.end}'"
    figures = {(row["event_date"], row["task"], row["metric"]): row for row in night.rows("batch_metrics", metrics)}
    batches = {key[:2] for key, row in figures.items() if key[2] == "rows" and row["n"]}
    assert batches
    for batch in batches:
        row = figures[*batch, "estimated_weighted_f1"]
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
        assert row["n"] > 0
        assert 0 <= figures[*batch, "input_likeness"]["value"] <= 1
        assert figures[*batch, "input_likeness"]["n"] > 0
