"""Releases side by side: listed, shown, compared on stored votes, promoted, rolled back; labels explained in words."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from jobs import console, explain, registry
from jobs import release as job
from jobs.evaluate import evaluate
from jobs.label import label
from kdsl import release as releases
from kdsl.errors import ConfigError, ReleaseError
from kdsl.explain import explain as explained
from kdsl.fusion.fusion import equal
from kdsl.release import Release
from tests.night import Shop


def do(night: Shop, action: str, *ids: str, **options: Any) -> str:
    args = argparse.Namespace(action=action, ids=list(ids), force=False, why="", start=None, end=None)
    return said(lambda: job.run(night.spark, night.settings, argparse.Namespace(**{**vars(args), **options})))


def said(act: Any) -> str:
    with console.out.capture() as told:
        act()
    return told.get()


@pytest.fixture(scope="module")
def other(night: Shop) -> Release:
    """A release of the same voters in which the rules alone decide on intents."""
    root = Path(night.settings.releases)
    old = night.release
    made = root / "rel-000000000000"
    shutil.copytree(old.path, made)
    file = made / "fusion" / "intent.json"
    file.write_text(old.fusion("intent").model_copy(update={"uses": "rules"}).model_dump_json())
    manifest = json.loads((made / "manifest.json").read_text())
    manifest |= {"release_id": made.name}
    manifest["files"]["fusion/intent.json"] = releases.file_sha256(file)
    manifest["scores"]["intent"]["fused"] = {"value": 0.01, "low": 0.0, "high": 0.02, "n": 9}
    (made / "manifest.json").write_text(json.dumps(manifest))
    return Release.open(made)


def test_list_show_and_verify(night: Shop, other: Release) -> None:
    own = night.release.manifest.release_id
    assert f"{own} *" in do(night, "list")
    shown = do(night, "show")
    assert "linear" in shown
    assert "weight" in shown
    assert "decided by" in shown
    assert do(night, "verify").count("whole") >= 2
    with pytest.raises(ReleaseError):
        do(night, "verify", "rel-none")


def test_diff_counts_the_rows_that_would_change_without_a_model(night: Shop, other: Release) -> None:
    told = do(night, "diff", other.manifest.release_id, start=night.days.start, end=night.days.end)
    assert "intent: held-out weighted F1 of fused" in told
    assert "-> rules" in told
    assert "change:" in told
    assert "lack votes" not in told
    nights = (
        f"task = 'intent' AND error_code IS NULL AND event_date BETWEEN '{night.days.start}' AND '{night.days.end}'"
    )
    differ = 0
    for row in night.rows("labels", nights):
        [rules] = [vote for vote in row["votes"] if vote["voter"] == "rules"]
        differ += not rules["abstained"] and rules["label"] != row["label"]
    assert f", {differ} change:" in told
    assert do(night, "diff", night.release.manifest.release_id).strip() == "no difference"
    with pytest.raises(ConfigError, match="name one release"):
        do(night, "diff")


def test_a_worse_release_is_promoted_by_force_and_reason_only_and_rolled_back(night: Shop, other: Release) -> None:
    own, worse = night.release.manifest.release_id, other.manifest.release_id
    with pytest.raises(ReleaseError, match=r"worse .* --force --why"):
        do(night, "promote", worse)
    with pytest.raises(ConfigError, match="--why"):
        do(night, "promote", worse, force=True)
    assert registry.promoted(night.lake) == own
    try:
        do(night, "promote", worse, force=True, why="a canary")
        assert registry.promoted(night.lake) == worse
        assert "promoted by force: a canary" in do(night, "list").replace("\n", "")
    finally:
        do(night, "rollback")
    assert registry.history(night.lake)[:2] == [own, worse]


def test_a_shadow_leaves_labels_as_they_are(night: Shop, other: Release) -> None:
    before = night.lake.version("labels")
    run = label(night.lake, night.settings, other, night.days, into="shadow_labels")
    assert night.lake.version("labels") == before
    shadows = night.rows("shadow_labels")
    nights = f"event_date BETWEEN '{night.days.start}' AND '{night.days.end}'"
    assert len(shadows) == run.counts["labelled"] == len(night.rows("labels", nights))
    assert {row["release_id"] for row in shadows} == {other.manifest.release_id}
    assert label(night.lake, night.settings, other, night.days, into="shadow_labels").counts["pending"] == 0


def test_a_candidate_is_scored_on_its_shadows_and_labels_stay(night: Shop, other: Release) -> None:
    before = night.lake.version("labels")
    report = evaluate(night.lake, night.settings, other, "test")
    assert night.lake.version("labels") == before
    own = evaluate(night.lake, night.settings, night.release, "test")["tasks"]["intent"]
    assert report["tasks"]["intent"]["weighted_f1"] != own["weighted_f1"]
    assert report["tasks"]["intent"]["n"] == own["n"]


def test_a_label_is_explained_in_words(night: Shop) -> None:
    row = night.rows("labels", "task = 'intent' AND error_code IS NULL AND size(rules_fired) > 0")[0]
    args = argparse.Namespace(item=row["item_id"], task="intent")
    told = said(lambda: explain.run(night.spark, night.settings, args))
    assert f"{row['label']}, sure to" in told
    assert row["rules_fired"][0]["sentence"][:40] in told
    assert "the linear voter said" in told
    with pytest.raises(ConfigError, match="'nobody' has no label"):
        explain.run(night.spark, night.settings, argparse.Namespace(item="nobody", task=None))


def test_every_way_to_decide_has_words() -> None:
    fusion = equal(("a", "b"), ("rules", "linear")).model_copy(update={"threshold": 0.6})
    row = {"item_id": "i", "task": "t", "event_date": "2026-01-05", "label": "a", "score": 0.7, "abstained": False}
    row |= {"decided_by": "pool", "votes": [], "rules_fired": None, "error_code": None}
    for change, words in (
        ({}, "all voters together decided"),
        ({"decided_by": "linear"}, "the only one that spoke"),
        ({"decided_by": "r-1"}, "rule r-1, which was right more often"),
        ({"label": None, "abstained": True, "score": 0.4}, "sure only to 40%, and 60% is asked for"),
        ({"label": None, "abstained": True, "score": None, "decided_by": None}, "no voter had anything to say"),
        ({"label": None, "error_code": "image_missing"}, "because of the item itself: image_missing"),
    ):
        assert words in explained({**row, **change}, fusion)[0]
    assert (
        "did better alone" in explained(row | {"decided_by": "rules"}, fusion.model_copy(update={"uses": "rules"}))[0]
    )
