"""Releases side by side: listed, shown, compared on stored votes, promoted, rolled back; labels explained in words."""

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from jobs import console, explain, promotion, registry, votes
from jobs import release as job
from jobs.evaluate import evaluate
from jobs.fit import fit
from jobs.items import within
from jobs.label import label
from jobs.report_content import collect
from kdsl.errors import ConfigError, ReleaseError
from kdsl.explain import explain as explained
from kdsl.fusion.fusion import equal
from kdsl.manifest import file_sha256
from kdsl.release import Release
from tests.night import Shop


def do(night: Shop, action: str, *ids: str, **options: Any) -> str:
    args = argparse.Namespace(action=action, ids=list(ids), force=False, why="", start=None, end=None, shown=5)
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
    manifest["files"]["fusion/intent.json"] = file_sha256(file)
    manifest["scores"]["intent"]["fused"] = {"value": 0.01, "low": 0.0, "high": 0.02, "n": 9}
    (made / "manifest.json").write_text(json.dumps(manifest))
    return Release.open(made)


def test_list_show_and_verify(night: Shop, other: Release) -> None:
    own = night.release.manifest.release_id
    assert f"{own} *" in do(night, "list")
    shown = do(night, "show")
    assert "linear" in shown
    assert "decided by" in shown
    for task in ("intent", "scene"):
        curves, fusion = night.release.reliability(task), night.release.fusion(task)
        assert set(curves) == {"fused", "linear", "rules"}
        for name, curve in curves.items():
            [line] = [line for line in shown.splitlines() if line.startswith(f"  {task:<8} {name:<8}")]
            assert f"  ECE {curve.ece}" in line
            assert (" weight " in line) == (fusion.uses == "pool" and name in fusion.speakers)
            loss = night.release.manifest.left_out[task].get(name)
            assert (name == "fused") == (loss is None)
            assert loss is None or f"  the pool loses {loss.value:+.3f} [" in line
    assert do(night, "verify").count("whole") >= 2
    with pytest.raises(ReleaseError):
        do(night, "verify", "rel-none")


def test_verify_compares_the_manifest_with_the_lakes_note_and_says_where_there_is_none(
    night: Shop, other: Release, tmp_path: Path
) -> None:
    own = night.release.manifest.release_id
    assert f"{own}: whole, every file of the recorded hash; its manifest too" in do(night, "verify", own)
    assert "not noted in this lake" in do(night, "verify", other.manifest.release_id).replace("\n", " ")
    elsewhere = replace(night, settings=night.settings.model_copy(update={"releases": str(tmp_path)}))
    with pytest.raises(ReleaseError, match="there is no release in"):
        do(elsewhere, "verify")
    shutil.copytree(night.release.path, tmp_path / own)
    file = tmp_path / own / "manifest.json"
    file.write_text(file.read_text().replace('"taxonomy": "demo"', '"taxonomy": "dome"'))
    with pytest.raises(ReleaseError, match=r"manifest\.json was altered since `fit`"):
        do(elsewhere, "verify")


def without_scene(release: Release, name: str) -> Release:
    """The same release as if no picture had had gold."""
    made = release.path.parent / name
    shutil.copytree(release.path, made)
    for path in sorted(made.rglob("scene*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    manifest = json.loads((made / "manifest.json").read_text())
    for key in ("voters", "scores", "uses", "gains"):
        del manifest[key]["scene"]
    del manifest["left_out"]  # as a release of an earlier version has none
    files = {key: digest for key, digest in manifest["files"].items() if (made / key).is_file()}
    learned = json.loads((made / "learned.json").read_text())
    (made / "learned.json").write_text(json.dumps({"intent": learned["intent"]}))
    files["learned.json"] = file_sha256(made / "learned.json")
    (made / "manifest.json").write_text(json.dumps(manifest | {"release_id": name, "files": files}))
    return Release.open(made)


def test_a_release_without_a_task_of_the_one_at_work_is_promoted_by_force_only(night: Shop) -> None:
    one = without_scene(night.release, "rel-111111111111")
    own = night.release.manifest.release_id
    with pytest.raises(ReleaseError, match=f"not promoted: has no task scene, which {own} labels; .* --force --why"):
        do(night, "promote", one.manifest.release_id)
    assert "scene: is gone" in do(night, "diff", one.manifest.release_id)
    assert "linear" in (shown := do(night, "show", one.manifest.release_id))
    assert "the pool loses" not in shown
    parts = collect(night.lake, one, night.days).tasks
    assert [(part.name, part.left_out, set(part.gains)) for part in parts] == [("intent", {}, {"linear", "rules"})]
    try:
        do(night, "promote", one.manifest.release_id, force=True, why="no pictures any more")
        assert registry.promoted(night.lake) == one.manifest.release_id
    finally:
        do(night, "rollback")


def test_of_releases_without_a_task_in_common_no_row_is_compared(night: Shop) -> None:
    """It ended in an IndexError."""
    one, other = (
        release.model_copy(update={"manifest": release.manifest.model_copy(update={"voters": {task: ("linear",)}})})
        for release, task in ((night.release, "intent"), (night.release, "scene"))
    )
    assert votes.compare(night.lake, one, other, within(night.days)).count() == 0


def test_fit_says_which_task_has_no_gold_and_learns_anew_what_was_broken(night: Shop) -> None:
    """Nothing is promoted that lacks the task. What broke goes aside, and no later night stumbles over it."""
    voters = night.settings.fit.model_copy(update={"voters": ("linear",)})
    fast = night.settings.model_copy(update={"fit": voters})
    own, gold = night.release.manifest.release_id, night.lake.version("gold_labels")
    night.lake.delta("gold_labels").delete("task = 'scene' AND split = 'train'")
    learned: list[Release] = []
    try:
        told = said(lambda: learned.append(fit(night.lake, fast)))
        assert "task scene has no gold of split train" in told
        assert "not promoted: has no task scene" in told.replace("\n", " ")
        assert registry.promoted(night.lake) == own
        [(path, release_id)] = [(one.path, one.manifest.release_id) for one in learned]
        do(night, "promote", release_id, force=True, why="no pictures any more")
        with (path / "manifest.json").open("a") as manifest:
            manifest.write("\n")
        with pytest.raises(
            ReleaseError, match=rf"altered since `fit`; restore it, or move {path} away and `fit` again"
        ):
            fit(night.lake, fast)
        (path / "learned.json").unlink()
        told = said(lambda: fit(night.lake, fast)).replace("\n", " ")
    finally:
        night.lake.delta("gold_labels").restoreToVersion(gold)
    assert f"learned.json is missing from {path}" in told
    assert f"keeps the folder as {release_id}.broken-1 and learns {release_id} anew" in told
    assert f"{release_id} is the promoted release already" in told
    assert (path.with_name(f"{release_id}.broken-1") / "manifest.json").is_file()
    assert registry.promoted(night.lake) == release_id
    verified = do(night, "verify").replace("\n", " ")
    assert f"{release_id}: whole, every file of the recorded hash; its manifest too" in verified
    assert "broken" not in verified
    do(night, "rollback")
    assert registry.promoted(night.lake) == own


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
    with pytest.raises(ConfigError, match="--from and --to belong together"):
        do(night, "diff", other.manifest.release_id, start=night.days.start)


def test_rows_are_not_compared_across_a_change_of_the_taxonomy_and_all_else_is(night: Shop) -> None:
    made = night.release.path.with_name("rel-222222222222")
    shutil.copytree(night.release.path, made)
    try:
        manifest = json.loads((made / "manifest.json").read_text()) | {"release_id": made.name}
        (made / "manifest.json").write_text(json.dumps(manifest | {"taxonomy_digest": "0" * 64}))
        with pytest.raises(ConfigError, match=r"releases of one taxonomy; .* \(0{12}\)\. Leave out --from and --to"):
            do(night, "diff", made.name, start=night.days.start, end=night.days.end)
        assert do(night, "diff", made.name).strip() == "no difference"
    finally:
        shutil.rmtree(made)


def test_releases_are_compared_and_scored_where_none_is_at_work_yet(night: Shop, other: Release, monkeypatch) -> None:
    one, two = night.release.manifest.release_id, other.manifest.release_id
    alike = do(night, "diff", one, two)
    monkeypatch.setattr(registry, "history", lambda _: [])
    assert do(night, "diff", one, two) == alike
    with pytest.raises(ReleaseError, match="learn one first"):
        do(night, "diff", two)


def test_what_takes_no_release_says_so_and_changes_nothing(night: Shop, other: Release) -> None:
    before, given = registry.history(night.lake), other.manifest.release_id
    with pytest.raises(ConfigError, match=f"rollback: {given} is too much.*`release promote {given}`"):
        do(night, "rollback", given)
    with pytest.raises(ConfigError, match=f"list: {given} is too much"):
        do(night, "list", given)
    assert registry.history(night.lake) == before


def test_diff_lists_as_many_ids_of_a_pair_as_are_asked_for(night: Shop, other: Release) -> None:
    days = {"start": night.days.start, "end": night.days.end}
    moved: dict[tuple[str, str], list[str]] = {}
    for row in night.rows("labels", "task = 'intent' AND error_code IS NULL"):
        [rules] = [vote for vote in row["votes"] if vote["voter"] == "rules"]
        if days["start"] <= row["event_date"] <= days["end"] and not rules["abstained"]:
            moved.setdefault((row["label"] or "abstained", rules["label"]), []).append(row["item_id"])
    (one, new), ids = max((pair for pair in moved.items() if pair[0][0] != pair[0][1]), key=lambda pair: len(pair[1]))
    assert f"{one} -> {new} (...)" in do(night, "diff", other.manifest.release_id, **days, shown=0)
    whole = "".join(do(night, "diff", other.manifest.release_id, **days, shown=999).split())
    assert f"{one}->{new}({','.join(sorted(ids))})" in whole


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
        # A nightly fit with nothing new to learn finds the one that was at work before.
        promote, reason = promotion.of_fit(night.lake, night.settings, night.release.manifest)
        assert not promote
        assert f"{worse} took its place; `./spark-submit.sh release promote {own}` has it label again" in reason
    finally:
        do(night, "rollback")
    assert registry.history(night.lake)[:2] == [own, worse]
    promote, reason = promotion.of_fit(night.lake, night.settings, other.manifest)  # a nightly fit finds it again
    assert not promote
    assert f"release promote {worse}` has it label again" in reason
    assert promotion.of_fit(night.lake, night.settings, night.release.manifest)[0]


def test_where_the_release_at_work_cannot_be_read_the_table_is_compared_with(night: Shop, tmp_path: Path) -> None:
    lost = night.settings.model_copy(update={"releases": str(tmp_path)})
    own = night.release.manifest
    alike = own.model_copy(update={"release_id": "rel-0123456789aa"})
    better, reason = promotion.verdict(night.lake, lost, alike)
    assert better
    assert f"not worse than {own.release_id} was, which cannot be read" in reason
    low = {"value": 0.01, "low": 0.0, "high": 0.02}
    scores = {task: by | {"fused": by["fused"].model_copy(update=low)} for task, by in own.scores.items()}
    better, reason = promotion.verdict(night.lake, lost, alike.model_copy(update={"scores": scores}))
    assert not better
    assert reason.startswith(f"not promoted: worse than {own.release_id} (")
    one = dict(list(own.scores.items())[:1])
    better, reason = promotion.verdict(night.lake, lost, alike.model_copy(update={"scores": one}))
    assert not better
    assert "no task" in reason


def test_a_release_that_was_right_on_all_examples_is_no_bar_to_what_may_be_as_good(night: Shop) -> None:
    own = night.release.manifest

    def scored(value: float, low: float, high: float) -> Any:
        given = {"value": value, "low": low, "high": high}
        scores = {task: by | {"fused": by["fused"].model_copy(update=given)} for task, by in own.scores.items()}
        return own.model_copy(update={"scores": scores})

    perfect = scored(1.0, 1.0, 1.0)
    assert promotion._against(perfect, scored(0.947, 0.867, 1.0))[0]
    assert not promotion._against(perfect, scored(0.8, 0.7, 0.9))[0]
    assert not promotion._against(scored(0.9, 0.85, 0.95), scored(0.8, 0.7, 0.9))[0]


def test_after_a_change_of_the_taxonomy_only_tasks_with_other_labels_are_not_compared(
    night: Shop, tmp_path: Path
) -> None:
    own, demo = night.release.manifest, night.release.taxonomy
    scene = demo.task("scene")
    less = scene.model_copy(update={"labels": scene.labels[1:]})
    changed = demo.model_copy(update={"tasks": tuple(less if task == scene else task for task in demo.tasks)})
    (tmp_path / "changed.yaml").write_text(changed.to_yaml())
    settings = night.settings.model_copy(update={"taxonomy": str(tmp_path / "changed.yaml")})

    def judged(*bad: str, tasks: tuple[str, ...] = ("intent", "scene")) -> tuple[bool, str]:
        low = {"value": 0.01, "low": 0.0, "high": 0.02}
        scores = {
            task: by | {"fused": by["fused"].model_copy(update=low if task in bad else {})}
            for task, by in own.scores.items()
            if task in tasks
        }
        new = {"release_id": "rel-0123456789bb", "taxonomy_digest": changed.digest, "scores": scores}
        return promotion.verdict(night.lake, settings, own.model_copy(update=new))

    better, reason = judged("scene")
    assert better
    assert f"(scene: other labels than {own.release_id} has, not compared)" in reason
    better, reason = judged("intent")
    assert not better
    assert "beyond its interval (intent 0.010 < " in reason
    better, reason = judged(tasks=("intent",))
    assert not better
    assert "has no task scene" in reason


def test_a_shadow_leaves_labels_as_they_are(night: Shop, other: Release) -> None:
    before = night.lake.version("labels")
    run = label(night.lake, night.settings, other, night.days, into="shadow_labels")
    assert night.lake.version("labels") == before
    shadows = night.rows("shadow_labels")
    nights = f"event_date BETWEEN '{night.days.start}' AND '{night.days.end}'"
    assert len(shadows) == run.counts["labelled"] == len(night.rows("labels", nights))
    assert {row["release_id"] for row in shadows} == {other.manifest.release_id}
    lost = night.lake.df("shadow_labels").where(f"item_id = '{shadows[0]['item_id']}'")
    night.lake.append("shadow_labels", lost.withColumn("item_id", F.lit("no longer there")))
    again = label(night.lake, night.settings, other, night.days, into="shadow_labels")
    assert (again.counts["pending"], again.counts["orphans"]) == (0, 1)
    assert len(night.rows("shadow_labels")) == len(shadows)


def test_a_candidate_is_scored_on_its_shadows_and_labels_stay(night: Shop, other: Release) -> None:
    before = night.lake.version("labels")
    report = evaluate(night.lake, night.settings, other, "test")
    assert night.lake.version("labels") == before
    own = evaluate(night.lake, night.settings, night.release, "test")["tasks"]["intent"]
    assert report["tasks"]["intent"]["weighted_f1"] != own["weighted_f1"]
    assert report["tasks"]["intent"]["n"] == own["n"]


def test_a_label_is_explained_in_words(night: Shop, tmp_path: Path) -> None:
    row = night.rows("labels", "task = 'intent' AND error_code IS NULL AND size(rules_fired) > 0")[0]
    args = argparse.Namespace(item=row["item_id"], task="intent", shadow=None)
    told = said(lambda: explain.run(night.spark, night.settings, args))
    assert f"{row['label']}, sure to" in told
    assert row["rules_fired"][0]["sentence"][:40] in told
    assert "the linear voter said" in told
    with pytest.raises(ConfigError, match="'nobody' has no label"):
        explain.run(night.spark, night.settings, argparse.Namespace(item="nobody", task=None, shadow=None))
    elsewhere = night.settings.model_copy(update={"releases": str(tmp_path)})
    [noted] = night.rows("releases", f"release_id = '{row['release_id']}'")
    with pytest.raises(ReleaseError, match=f"labelled by release {noted['release_id']}, .* lies at {noted['path']}"):
        explain.run(night.spark, elsewhere, args)


def test_what_a_shadow_said_is_explained_beside_the_label(night: Shop, other: Release) -> None:
    own = other.manifest.release_id
    row = next(row for row in night.rows("shadow_labels", "task = 'intent'") if row["decided_by"] == "rules")
    told = said(lambda: explain.run(night.spark, night.settings, item(row["item_id"], own)))
    assert f"{row['label']}, sure to" in told
    assert "the rules, which did better alone" in told
    assert f"release {own}" in told
    assert "(decided alone)" in told
    assert "weight" not in told.replace("weighted", "")
    with pytest.raises(ConfigError, match=r"has no label by 'rel-none' in shadow_labels"):
        explain.run(night.spark, night.settings, item(row["item_id"], "rel-none"))


def item(item_id: str, shadow: str) -> argparse.Namespace:
    return argparse.Namespace(item=item_id, task=None, shadow=shadow)


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
    votes = [
        {"voter": name, "label": "a", "score": 0.7, "abstained": name == silent, "error_code": None}
        for name, silent in (("rules", ""), ("linear", "linear"))
    ]
    together = explained({**row, "votes": votes}, fusion)
    assert ["(weight 0.50)" in line for line in together[1:]] == [True, True]
    one = explained({**row, "votes": votes, "decided_by": "rules"}, fusion)
    assert [line.rpartition("(")[2] for line in one[1:]] == ["decided alone)", "has no say)"]
    assert (
        "did better alone" in explained(row | {"decided_by": "rules"}, fusion.model_copy(update={"uses": "rules"}))[0]
    )
