"""What a person should label next: honest probabilities, doubtful and diverse picks, and the way back by `ingest`."""

import json
import tracemalloc
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import Row
from sklearn.feature_extraction.text import HashingVectorizer

from jobs import cli, draws, examples, ledger, sample, unlearned
from jobs.evaluate import evaluate
from jobs.ingest import ingest
from jobs.options import Days
from kdsl import metrics
from kdsl.dialogue import Item
from kdsl.errors import ConfigError
from kdsl.sample import LOOKED_AT, Pick, Pool, at_random, either, for_doubt, shared_out, shortlist
from tests.night import Shop


def pool(n: int = 300, seed: int = 1) -> Pool:
    dice = np.random.default_rng(seed)
    tasks = ["intent"] * (2 * n // 3) + ["scene"] * (n - 2 * n // 3)
    given = [f"label{k}" if k else "" for k in dice.choice(4, n, p=[0.1, 0.6, 0.2, 0.1])]
    return Pool([f"item-{k}" for k in range(n)], tasks, given, dice.beta(1, 4, n))


def test_every_item_is_drawn_as_often_as_its_probability_says() -> None:
    items = pool(60)
    drawn = Counter[int]()
    for seed in range(400):
        picks = at_random(items, 20, seed=seed)
        assert len({pick.row for pick in picks}) == len(picks) == 20
        assert {items.tasks[p.row]: p.inclusion for p in picks} == {"intent": 10 / 40, "scene": 10 / 20}
        drawn.update(pick.row for pick in picks)
    share = np.array([drawn[row] / 400 for row in range(60)])
    expected = np.array([0.25 if task == "intent" else 0.5 for task in items.tasks])
    assert np.abs(share - expected).max() < 0.1  # four standard errors of 400 draws


def test_labels_given_have_their_share_of_the_random_part_and_order_says_nothing() -> None:
    items = pool(300)
    picks = at_random(items, 60, seed=3)
    intent = Counter(items.given[pick.row] for pick in picks if items.tasks[pick.row] == "intent")
    for label, n in Counter(items.given[row] for row in items.rows("intent")).items():
        assert abs(intent[label] - 30 * n / 200) <= 1.0
    order = np.random.default_rng(5).permutation(300)
    mixed = Pool(
        *([column[row] for row in order] for column in (items.ids, items.tasks, items.given)), items.doubt[order]
    )
    assert {mixed.ids[p.row] for p in at_random(mixed, 60, seed=3)} == {items.ids[p.row] for p in picks}
    assert len(at_random(items, 1000, seed=3)) == 300


def test_weights_undo_an_uneven_draw() -> None:
    dice = np.random.default_rng(2)
    gold = dice.choice(["a", "b"], 4000, p=[0.9, 0.1])
    # Right in 9 of 10 where the answer is a, in half where it is b; of b ten times as many are drawn.
    said = np.where(dice.random(4000) < np.where(gold == "a", 0.9, 0.5), gold, np.where(gold == "a", "b", "a"))
    chance = np.where(said == "a", 0.05, 0.5)
    truth = metrics.weighted_f1(gold.tolist(), said.tolist())
    plain, weighed, held = [], [], 0
    for seed in range(40):
        at = np.random.default_rng(seed).random(4000) < chance
        cells = Counter(zip(gold[at].tolist(), said[at].tolist(), (1 / chance[at]).tolist(), strict=True))
        found = metrics.estimate_drawn(cells, seed=seed)
        assert found.n == at.sum()
        held += found.low <= truth <= found.high
        weighed.append(found.value - truth)
        plain.append(metrics.weighted_f1(gold[at].tolist(), said[at].tolist()) - truth)
    assert abs(np.mean(weighed)) < 0.02 < abs(np.mean(plain))
    assert held >= 36
    even = Counter(zip(gold.tolist(), said.tolist(), [2.0] * 4000, strict=True))
    assert metrics.estimate_drawn(even) == metrics.estimate(metrics.confusion(gold.tolist(), said.tolist()))


def test_doubt_goes_where_errors_are_expected_and_takes_nothing_twice() -> None:
    items = pool()
    taken = {pick.row for pick in at_random(items, 30, seed=1)}
    listed = shortlist(items, 40, taken, seed=1)
    picks = for_doubt(items, listed, {})
    assert len({pick.row for pick in picks} - taken) == len(picks) == 40
    errors = sum(items.doubt[row] for row in items.rows("intent") if row not in taken)
    total = sum(items.doubt[row] for row in range(300) if row not in taken)
    assert abs(sum(items.tasks[pick.row] == "intent" for pick in picks) - 40 * errors / total) <= 3
    assert np.mean(items.doubt[[pick.row for pick in picks]]) > 1.5 * items.doubt.mean()


def test_of_rows_that_say_the_same_one_is_enough() -> None:
    same = Pool([f"i{k}" for k in range(12)], ["intent"] * 12, ["a"] * 12, np.array([0.9] * 6 + [0.6] * 6))
    texts = dict.fromkeys(range(6), "where is my parcel") | {
        k: f"{'xyzuvw'[k - 6] * 9} other words {k}" for k in range(6, 12)
    }
    picks = for_doubt(same, shortlist(same, 4, (), seed=1), texts)
    assert sum(pick.row < 6 for pick in picks) == 1


def plainly(pool: Pool, listed: dict[tuple[str, str], tuple[int, list[int]]], texts: dict[int, str]) -> list[int]:
    """The picks of `for_doubt`, by all pairs of dense vectors."""
    grams = HashingVectorizer(analyzer="char", ngram_range=(2, 4), n_features=4096, alternate_sign=False)
    rows = [row for _, own in listed.values() for row in own]
    vectors = dict(zip(rows, grams.transform([texts.get(row, "") for row in rows]).toarray(), strict=True))
    picked: list[int] = []
    for (task, _), (k, own) in listed.items():
        left = list(own)
        for _ in range(min(k, len(left))):
            met = [vectors[row] for row in picked if pool.tasks[row] == task]
            score = [pool.doubt[row] * (1 - max((float(vectors[row] @ one) for one in met), default=0)) for row in left]
            picked.append(left.pop(int(np.argmax(np.round(score, 12)))))
    return picked


def test_the_picks_are_those_of_all_pairs_compared() -> None:
    items, dice = pool(), np.random.default_rng(8)
    words = ["parcel", "refund", "late", "broken", "size", "where", "is", "my", "lamp", "box"]
    texts = {row: " ".join(dice.choice(words, 4)) for row in range(280)}
    listed = shortlist(items, 40, (), seed=1)
    assert sum(len(own) for _, own in listed.values()) > 200
    assert [pick.row for pick in for_doubt(items, listed, texts)] == plainly(items, listed, texts)


def test_a_large_sample_holds_no_more_words_than_a_bound_allows() -> None:
    n = 20_000
    many = Pool([f"i{k}" for k in range(n)], ["intent"] * n, ["a"] * n, np.linspace(0.9, 0.1, n))
    looked_at = {size: len(shortlist(many, size, (), seed=1)["intent", "a"][1]) for size in (50, 1_000, 3_000, 10_000)}
    assert looked_at == {50: 400, 1_000: LOOKED_AT, 3_000: 6_000, 10_000: 10_000}
    listed = {("intent", "a"): (100, list(range(3_000)))}
    tracemalloc.start()
    picks = for_doubt(many, listed, {row: f"where is parcel {row}" for row in range(3_000)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len({pick.row for pick in picks}) == 100
    assert peak < 30e6  # dense vectors would take 98 MB


def test_of_items_that_leave_no_doubt_none_is_picked_for_it() -> None:
    sure = Pool(["i0", "i1"], ["intent"] * 2, ["a"] * 2, np.zeros(2))
    assert for_doubt(sure, shortlist(sure, 2, (), seed=1), {}) == []


def test_places_go_by_weight_and_never_above_what_there_is() -> None:
    assert shared_out({"a": 3.0, "b": 1.0}, {"a": 100, "b": 100}, 8) == {"a": 6, "b": 2}
    assert shared_out({"a": 3.0, "b": 1.0}, {"a": 2, "b": 100}, 8) == {"a": 2, "b": 6}
    assert shared_out({"a": 1.0}, {"a": 3}, 8) == {"a": 3}


def test_a_sample_goes_out_is_labelled_and_comes_back_with_the_right_splits(
    night: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, gold_version = tmp_path / "tonight.jsonl", night.lake.version("gold_labels")
    told = sample.draw(night.lake, night.settings, night.release, night.days, out, n=8, share=0.5, seed=1)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 8
    assert "4 drawn at random, 4 picked for doubt" in told
    with_gold = {(row["item_id"], row["task"]) for row in night.rows("gold_labels")}
    for row in rows:
        assert (row["item_id"], row["task"]) not in with_gold
        assert (row["split"], row["picked"]) in {("train", "random"), ("train", "doubt")}
        assert 0 < row["inclusion"] <= 1
        assert row["turns"] or row["pictures"]
        assert all((tmp_path / name).stat().st_size for name in row["pictures"])
    drawn = {(r["item_id"], r["task"]): (r["part"], r["inclusion"]) for r in night.rows("draws")}
    assert drawn == {(r["item_id"], r["task"]): (r["picked"], r["inclusion"]) for r in rows}
    texts = [turn["text"] for row in rows for turn in row["turns"] if len(turn["text"]) > 15]
    noted = capsys.readouterr().out + str(night.rows("runs")) + str(night.rows("draws"))
    assert texts
    assert not [text for text in texts if text in noted]

    given = {(r["item_id"], r["task"]): r["label"] for r in night.rows("labels")}
    filled = [{**row, "labels": {row["task"]: given[row["item_id"], row["task"]]}, "annotator": "anna"} for row in rows]
    usable = (*filled[1:3], *filled[4:])
    # By hand one that was drawn at random is kept from being learned; the others teach and score.
    kept = next(row for row in usable if (row["task"], row["picked"]) == ("intent", "random"))
    kept["split"] = "test"
    filled[0]["labels"] = {rows[0]["task"]: None}  # not labelled yet
    again = {**filled[1], "turns": []}  # the same line twice, its dialogue lost on the way
    other = {
        **filled[2],
        "labels": {
            rows[2]["task"]: next(x for x in rows[2]["choose_from"] if x != given[rows[2]["item_id"], rows[2]["task"]])
        },
    }
    unknown = {**filled[3], "labels": {rows[3]["task"]: "no such label"}}
    out.write_text("\n".join(map(json.dumps, [*filled[:3], again, other, unknown, *filled[4:]])), encoding="utf-8")
    before = night.lake.versions(["conversations", "images"])
    try:
        loose = night.settings.model_copy(
            update={"ingest": night.settings.ingest.model_copy(update={"max_bad_share": 0.5})}
        )
        counts = ingest(night.spark, loose, format="jsonl", path=str(out))
        assert (counts["gold"], counts["refused"], counts["bad_unknown_label"], counts["bad_duplicate_id"]) == (
            6,
            2,
            1,
            1,
        )
        # A line that nobody has filled in is a record too, or few typos would be a large share of a file begun.
        assert (counts["records"], counts["unlabelled"]) == (len(rows) + 2, 1)
        assert "; 2 of 10 records in quarantine" in (said := capsys.readouterr().out)
        assert "; 1 lines without a label" in said
        assert night.lake.versions(["conversations", "images"]) == before
        gold = {(r["item_id"], r["task"]): r for r in night.rows("gold_labels")}
        for row in usable:
            stored = gold[row["item_id"], row["task"]]
            assert (stored["label"], stored["split"], stored["annotator"]) == (
                row["labels"][row["task"]],
                row["split"],
                "anna",
            )
        gold = unlearned.held_out(night.lake, unlearned.learned(night.lake, night.release))
        scored = {(r["item_id"], r["task"]): r["weight"] for r in gold.collect()}
        for row in usable:
            key = row["item_id"], row["task"]
            assert scored.get(key) == (pytest.approx(1 / row["inclusion"]) if row["picked"] == "random" else None)
        cells = Counter(
            (row["gold"], given[row["item_id"], row["task"]], row["weight"])
            for row in gold.where("split = 'test'").collect()
            if row["task"] == "intent"
        )
        assert len({weight for _, _, weight in cells}) > 1
        found = evaluate(night.lake, night.settings, night.release, "test")["tasks"]["intent"]
        wanted = metrics.estimate_drawn(dict(sorted(cells.items(), key=str)))
        assert (found["weighted_f1"], found["n"]) == (pytest.approx(wanted.value), wanted.n)
        with ledger.recorded(night.lake, "fit", {}, (), ()) as run:
            taught = examples.collect(night.lake, night.settings, night.release.taxonomy, run)
        doubted = {(row["task"], row["item_id"]) for row in usable if row["picked"] == "doubt"}
        lessons = {(row["task"], row["item_id"]) for row in usable if row is not kept}
        assert lessons > doubted
        assert {(task, item_id) for task, ids in taught.only_teach.items() for item_id in ids} == doubted
        known = {(task, item.item_id) for task, own in taught.by_task.items() for item, _ in own}
        assert lessons <= known
        assert ("intent", kept["item_id"]) not in known
    finally:
        night.lake.delta("gold_labels").restoreToVersion(gold_version)


@pytest.mark.slow
def test_what_was_drawn_is_not_drawn_again_and_has_the_probability_of_either_draw(night: Shop, tmp_path: Path) -> None:
    nights = f"event_date BETWEEN '{night.days.start}' AND '{night.days.end}'"
    night.lake.delta("draws").delete("true")

    def draw(name: str, seed: int) -> dict[tuple[str, str], dict[str, object]]:
        out = tmp_path / name
        sample.draw(night.lake, night.settings, night.release, night.days, out, n=4, share=0.5, seed=seed)
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        return {(row["item_id"], row["task"]): row for row in rows}

    first = draw("first.jsonl", 1)
    known = {(row["item_id"], row["task"]) for row in night.rows("gold_labels")} | set(first)
    labelled = {(row["item_id"], row["task"]) for row in night.rows("labels", f"{nights} AND error_code IS NULL")}
    left = Counter(task for item_id, task in labelled - known)
    second = draw("second.jsonl", 2)
    assert len(first) == len(second) == 4
    assert not set(first) & set(second)
    drawn = {(row["item_id"], row["task"]): row for row in night.rows("draws")}
    assert {key: row["part"] for key, row in drawn.items()} == {k: r["picked"] for k, r in (first | second).items()}
    tried = Counter(task for (_, task), row in second.items() if row["picked"] == "random")
    before = {row["task"]: row["inclusion"] for row in first.values() if row["picked"] == "random"}  # of all its days
    checked = 0
    for key, row in drawn.items():
        if row["part"] == "random":
            p1, p2 = before.get(key[1], 0.0), tried[key[1]] / left[key[1]]
            assert row["inclusion"] == pytest.approx(1 - (1 - p1) * (1 - p2))
            checked += p1 > 0 and p2 > 0
    assert checked > 1
    assert all(second[key]["inclusion"] == drawn[key]["inclusion"] for key in second)


def test_an_earlier_draw_counts_on_days_that_it_covered_and_did_not_hit() -> None:
    """Rows as the table holds them: one draw of three days that hit the first alone, one of before ranges were kept."""
    days = [date(2026, 1, day) for day in (1, 2, 3, 4)]
    when = datetime(2026, 1, 9, tzinfo=UTC)
    told = {"item_id": "a", "task": "intent", "event_date": days[0], "inclusion": 0.2, "drawn_at": when}
    ranged = told | {"first_day": days[0], "last_day": days[2], "own_inclusion": 0.2}
    twin = ranged | {"item_id": "b"}  # of the same draw
    old = told | {"event_date": days[3], "inclusion": 0.4, "first_day": None, "last_day": None, "own_inclusion": None}
    earlier = [Row(**row) for row in (ranged, twin, old)]
    pick = Pick(0, "random", 0.5, "")
    picked = [(pick, Item("x", "intent"), day) for day in days] + [(pick, Item("y", "scene"), days[0])]
    found = [one.inclusion for one, _, _ in draws.over_all(picked, earlier)]
    assert found == pytest.approx([0.6, 0.6, 0.6, 0.7, 0.5])
    again = draws.draw_of(picked, earlier, Days(days[3], days[3])).again
    assert [row[3] for row in again] == pytest.approx([0.7])


def test_two_draws_of_the_same_items_weigh_as_one_draw_of_all() -> None:
    # 10 of 100, then 18 of the 90 left: each item was as likely in one of them as in one draw of 28.
    assert either(10 / 100, 18 / 90) == pytest.approx(28 / 100)
    assert either(0.0, 0.3) == 0.3


def test_wrong_options_say_what_is_allowed(night: Shop, tmp_path: Path) -> None:
    base = [
        "sample",
        "--lake",
        night.settings.lake,
        "--releases",
        night.settings.releases,
        "--out",
        str(tmp_path / "x.jsonl"),
    ]
    days = ["--from", str(night.days.start), "--to", str(night.days.end)]
    there = tmp_path / "there.jsonl"
    there.write_text("half labelled\n")
    for argv, says in (
        ([*days, "--out", str(there)], "there already, and what was drawn into it is not drawn again"),
        ([*days, "--n", "0"], "--n: 0 is not from 1"),
        ([*days, "--random-share", "2"], "--random-share: 2.0 is not from 0 to 1"),
        (["--from", "2031-01-01", "--to", "2031-01-02"], "no item labelled by rel-"),
    ):
        args, settings = cli.parse([*base, *argv])
        with pytest.raises(ConfigError, match=says):
            sample.run(night.spark, settings, args)
