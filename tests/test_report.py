"""The page of a release: whole, self-contained, safe whatever the names in it are, and readable on a phone."""

import base64
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from jobs import ledger, registry, report, report_content
from jobs import seesaw as seesaw_job
from kdsl import metrics, seesaw, seesaw_plot
from kdsl.manifest import Asking, Score, Sent
from kdsl.metrics import Estimate
from kdsl.models.adapter import Adapted, Progress
from kdsl.models.reliability import Answered, reliability
from kdsl.report.content import Content, Night, RuleNote, TaskPart
from kdsl.report.markup import VOID, tag
from kdsl.report.page import SECTIONS, page
from kdsl.seesaw import Conflict, Look, SeeSaw
from tests.night import Shop

HOSTILE = '<img src=x onerror="alert(1)">&amp;\'"\u202e</style><script>alert(1)</script>https://evil.example/'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SOME = Estimate(0.8, 0.7, 0.9, 50)


class Seen(HTMLParser):
    """Elements and texts; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags = Counter[str]()
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[name] += 1
        self.attributes += attrs
        self.ids += [value or "" for key, value in attrs if key == "id"]
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        self.text += data


def is_whole(text: str) -> Seen:
    """Every section is there, and nothing is loaded, run or made up of what is not a number."""
    seen = Seen(text)
    assert [name for name in seen.ids if name in SECTIONS] == list(SECTIONS)
    assert not {"script", "img", "iframe", "link", "object", "form", "base", "a"} & set(seen.tags)
    for key, value in seen.attributes:
        assert not key.startswith("on"), key
        assert key not in ("href", "src", "xlink:href", "action"), key
        if key != "aria-label":
            assert "url(" not in (value or "")
            assert "//" not in (value or "")
        if key in ("x", "y", "cx", "cy", "r", "x1", "x2", "y1", "y2", "width", "height", "points"):
            assert re.fullmatch(r"[-0-9. ,e]+", value or ""), (key, value)
    style = re.search(r"<style>(.*?)</style>", text, re.S)
    assert style
    assert not re.search(r"url\(|@import|//", style[1])
    assert " nan" not in seen.text.lower()
    return seen


def asking() -> Asking:
    some = Score.of({"score": SOME, "gain": SOME})
    return Asking(share=0.2, curve=tuple(Sent(share=at, asked=0.9 * at, **some) for at in (0.0, 0.2, 0.5, 1.0)))


def task(name: str, labels: tuple[str, ...], *, nights: int, rules: bool = True, seed: int = 1) -> TaskPart:
    dice = np.random.default_rng(seed)
    gold = dice.choice(labels, 200).tolist()
    said = [label if dice.random() < 0.8 else str(dice.choice(labels)) for label in gold]
    answered: list[str | None] = [None if dice.random() < 0.05 else label for label in said]
    score = dice.random(200)
    curve = reliability(Answered(score, dice.random(200) < score), seed=1)
    first = date(2026, 1, 1)
    return TaskPart(
        name=name,
        labels=labels,
        voters=("linear", "rules"),
        uses="linear",
        scores={"linear": SOME, "rules": Estimate(0.4, 0.3, 0.5, 50), "pool": SOME, "fused": SOME},
        gains={"linear": Estimate(-1e-17, -1e-17, 1e-17, 50), "rules": Estimate(0.4, 0.3, 0.5, 50)},
        left_out={"linear": Estimate(0.02, -0.01, 0.05, 50), "rules": Estimate(0.01, -0.02, 0.03, 50)} if rules else {},
        weights={"linear": 0.7, "rules": 0.3},
        confusion=metrics.confusion(gold, answered),
        of_nights=bool(nights),
        example_counts=Counter(gold),
        night_counts=Counter(said) if nights else {},
        reliability={"fused": curve, "linear": curve, "rules": reliability(Answered(score[:0], score[:0] > 0), seed=1)},
        asking=asking() if rules else None,
        rules=tuple(
            RuleNote(f"r{n:012}", labels[n % len(labels)], f"If “{labels[0]}” is in it.", "learned", n, n + 1, 0.5, n)
            for n in range(12)
        )
        if rules
        else None,
        nights=tuple(
            Night(
                first + timedelta(days=n),
                rows=40,
                measured=SOME if n % 3 else None,
                estimated=SOME,
                likeness=10.0 ** (-n),
                input_likeness=0.3 if n < 3 else 0.0,
                shifts=("new_words_user",) if n > 2 else (),
                reliable=n < 3,
            )
            for n in range(nights)
        ),
    )


def test_a_voter_without_a_say_is_told_with_its_own_rows_and_what_its_model_is_called() -> None:
    small = {"small": Estimate(0.3, 0.1, 0.5, 7)}
    part = replace(
        task("intent", ("a", "b"), nights=1),
        voters=("linear", "rules", "small"),
        idle=("small",),
        called={"small": "miniature"},
    )
    text = is_whole(page(content(replace(part, scores={**part.scores, **small}, gains={**part.gains, **small})))).text
    assert "small (miniature) alone, on 7" in text
    assert "pool of those with a say" in text
    assert "No say: small" in text


def test_who_decides_is_told_and_no_more_claimed_of_the_pool_than_was_measured() -> None:
    part = replace(task("intent", ("a", "b"), nights=1), uses="pool")
    ahead = {name: Estimate(0.0, -0.01, 0.05, 90) for name in part.voters}
    behind = {name: Estimate(-0.01, -0.07, 0.05, 90) for name in part.voters}
    assert "the pool decides; no voter alone did better" in is_whole(page(content(replace(part, gains=ahead)))).text
    told = is_whole(page(content(replace(part, gains=behind)))).text
    assert "the pool decides" in told
    assert "no voter alone did better" not in told
    parted = replace(part, uses="pool where large is asked, linear elsewhere")
    assert "decided by pool where large is asked, linear elsewhere" in is_whole(page(content(parted))).text


def test_what_is_lost_without_a_part_is_told_where_the_release_knows_it() -> None:
    part = task("intent", ("a", "b"), nights=1)
    text = is_whole(page(content(part))).text
    assert "lost without linear+0.020 [-0.010, +0.050]" in text
    assert "pool less linear" in text
    old = is_whole(page(content(replace(part, left_out={})))).text
    assert "lost without" not in old
    assert "pool less linear" in old


def content(*tasks: TaskPart, name: str = "demo", seesaw: SeeSaw | None = None) -> Content:
    return Content("rel-0123456789ab", name, datetime(2026, 1, 1, tzinfo=UTC), "", tasks, seesaw)


def swinging(tasks: tuple[str, ...], gain: float, seeds: int = 3) -> SeeSaw:
    """A see-saw of so much gain by an adapter of its own on the first task, and none on the others."""
    dice = np.random.default_rng(2)
    looks, conflicts = [], []
    for seed in range(seeds):
        for task in tasks:
            for step in (20, 40, 60):
                shared = 0.3 + step / 300 + dice.normal(0, 0.01)
                more = gain if task == tasks[0] else 0.0
                looks += [Look(seed, "joint", task, step, shared), Look(seed, task, task, step, shared + more)]
        for at in range(6):
            for of in ("gradient", "update"):
                cosine = float(dice.normal(0.1, 0.05))
                conflicts.append(Conflict(seed, of, (tasks[0], tasks[-1]), f"language {at:02d}", 60, cosine))
    looks_at_60 = tuple(look for look in looks if look.step == 60)
    beside = tuple(replace(look, score=look.score + 0.05) for look in looks_at_60)
    return SeeSaw(tasks, tuple(range(seeds)), tuple(looks), tuple(conflicts), "large", beside, looks_at_60)


LONG = tuple(f"a_label_with_a_rather_long_name_{n}" for n in range(31))
PAGES = {
    "usual": content(
        task("intent", ("a", "b", "c"), nights=14),
        task("scene", LONG, nights=14),
        seesaw=swinging(("intent", "scene"), 0.2),
    ),
    "hostile": content(
        task("intent", (HOSTILE, "b" * 300, "退货申请" * 20), nights=14),
        name=HOSTILE,
        seesaw=swinging((HOSTILE, "b" * 300), 0.2),
    ),
    "one night, no rules": content(task("intent", ("a", "b"), nights=1, rules=False)),
    "no night": content(task("intent", ("a", "b"), nights=0)),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_whatever_it_tells(name: str) -> None:
    seen = is_whole(page(PAGES[name]))
    for part in PAGES[name].tasks:
        assert all(label.replace("\u202e", "\ufffd") in seen.text for label in part.labels)


def test_the_page_tells_what_the_large_model_costs_and_gives() -> None:
    seen = is_whole(page(content(task("intent", ("a", "b"), nights=1))))
    assert "At most 20% are in use" in seen.text
    assert "18% asked, 20% allowed" in seen.text
    assert "Dashed: the straight line between the ends, expected of items sent at random." in seen.text
    assert "s an item" not in seen.text
    timed = replace(task("intent", ("a", "b"), nights=1), dear_seconds=0.2512)
    assert "It took a worker 0.25 s an item on the nights." in is_whole(page(content(timed))).text
    assert "No large model takes part" in is_whole(page(PAGES["one night, no rules"])).text


def test_the_page_tells_how_models_learned() -> None:
    looks = (Progress(20, 2.5, 0.25), Progress(40, 1.25, 0.5), Progress(60, float("nan"), None))
    part = replace(task("intent", ("a", "b"), nights=1), learned={"large": looks, "small": (Progress(60, 0.5, None),)})
    seen = is_whole(page(content(replace(part, called={"large": "Qwen2-VL-7B"}))))
    assert "intent, large (Qwen2-VL-7B): loss 2.500 at first, 1.250 at the end" in seen.text
    assert "step 40: held-out weighted F1 0.500" in seen.text
    assert "intent, small: loss 0.500 at first" in seen.text
    assert seen.text.count("Nothing was held out to stop by.") == 1
    assert "No model was post-trained" in is_whole(page(PAGES["no night"])).text


def test_what_a_release_keeps_of_post_training_is_found(night: Shop, tmp_path: Path) -> None:
    voters = {"intent": ("linear", "large"), "scene": ("linear",)}
    manifest = night.release.manifest.model_copy(update={"voters": voters})
    release = night.release.model_copy(update={"path": tmp_path, "manifest": manifest})
    looks = (Progress(5, 0.5, None),)
    facts = Adapted(base="b", tasks={}, rank=1, alpha=1, vision=False, steps=5, score=0.0, curve=looks)
    folder = release.folder("intent", "large")
    folder.mkdir(parents=True)
    (folder / "adapter.json").write_text(facts.model_dump_json())
    assert report_content._learned(release, "intent") == {"large": looks}
    assert report_content._learned(release, "scene") == {}


def test_the_time_of_the_large_model_is_that_of_all_runs_of_the_release(night: Shop) -> None:
    assert report_content.dear_seconds(night.lake, night.release) is None
    for items, ms in ((3, 400), (1, 600)):
        with ledger.recorded(night.lake, "label", {}, (), ()) as run:
            run.release_id = night.release.manifest.release_id
            run.count("large_items", items)
            run.count("large_ms", ms)
    assert report_content.dear_seconds(night.lake, night.release) == pytest.approx(0.25)


def test_the_page_tells_what_sharing_an_adapter_costs() -> None:
    seen = is_whole(page(PAGES["usual"]))
    assert "Sharing one adapter costs intent." in seen.text
    assert "+0.200" in seen.text
    assert "Adapters of the model large, 60 steps a task in each run, 3 seeds." in seen.text
    none = content(task("intent", ("a", "b"), nights=1), seesaw=swinging(("intent", "scene"), 0.0))
    assert "No see-saw shows: over 3 seeds no task is surely better" in is_whole(page(none)).text
    assert "`seesaw --release` does" in is_whole(page(PAGES["no night"])).text


def test_items_drawn_with_unequal_probability_count_by_their_weight() -> None:
    drawn = {("a", "a", 1.0): 8, ("a", "b", 9.0): 2, ("b", "b", 9.0): 5, (None, "a", 1.0): 0}
    drawn = {cell: n for cell, n in drawn.items() if n}
    part = replace(task("intent", ("a", "b"), nights=1), confusion=metrics.from_cells(drawn), drawn=drawn)
    plain = replace(part, drawn={})
    assert part.confusion.n == plain.confusion.n == 15
    found, unweighed = (metrics.estimates_by_label(one.cells) for one in (part, plain))
    assert found["a"].value == pytest.approx(2 * 8 / (8 + 18 + 8))
    assert unweighed["a"].value == pytest.approx(2 * 8 / (8 + 2 + 8))
    assert (found["a"].n, found["b"].n) == (10, 5)
    text = is_whole(page(content(part))).text
    assert str(metrics.estimate_drawn(drawn).value)[:5] in text
    assert "count by 1 / their probability" in text
    assert "count by 1 / their probability" not in is_whole(page(content(plain))).text


def test_texts_are_escaped_in_elements_and_attributes() -> None:
    made = tag("p", HOSTILE, 1.5, None, ["<b>", tag("b", "&")], title=HOSTILE)
    seen = Seen(made)
    assert seen.tags == {"p": 1, "b": 1}
    assert ("title", HOSTILE) in seen.attributes
    assert seen.text == HOSTILE.replace("\u202e", "\ufffd") + "1.5<b>&"


def test_a_release_written_before_reliability_and_gold_is_told_so() -> None:
    bare = TaskPart(
        "intent", ("a", "b"), ("linear",), "linear", {"linear": SOME, "fused": SOME}, {}, {"linear": 1.0},
        metrics.confusion([], []), of_nights=False,
    )  # fmt: skip
    seen = is_whole(page(content(bare)))
    for words in ("run fit again to see it", "No gold to score by label", "No item was labelled", "No rules vote"):
        assert words in seen.text


def test_the_report_of_a_labelled_lake_shows_its_figures(night: Shop, tmp_path: Path) -> None:
    file = report.write(night.lake, night.release, tmp_path / "below" / "report.html")
    text = file.read_text(encoding="utf-8")
    seen = is_whole(text)
    manifest = night.release.manifest
    assert manifest.release_id in seen.text
    for name in manifest.voters:
        assert f"{manifest.score(name).value:.3f}" in seen.text
        for voter, loss in manifest.left_out[name].items():
            assert f"lost without {voter}{loss.value + 0.0:+.3f} [" in seen.text
        assert f"{night.release.reliability(name)['fused'].value:.3f}" in seen.text
    n = len(night.rows("labels", f"release_id = '{manifest.release_id}'"))
    assert f"{n:,}items labelled" in seen.text
    assert "items of the nights with gold" in seen.text
    assert any(rule["rule_id"] in seen.text for row in night.rows("labels") for rule in row["rules_fired"] or ())
    dialogues = {turn["text"] for row in night.rows("conversations") for turn in row["turns"] if len(turn["text"]) > 20}
    assert not [words for words in dialogues if words in seen.text]


def test_a_child_of_the_release_at_work_holds_its_seesaw_and_takes_its_place(night: Shop, tmp_path: Path) -> None:
    found = swinging(("intent", "scene"), 0.2)
    files = {seesaw.FILE: found.to_json(), seesaw_plot.FILE: seesaw_plot.draw(found)}
    child = seesaw_job.keep(night.lake, night.settings, night.release, found, files)
    try:
        assert child.seesaw() == found
        assert child.manifest.parent == night.release.manifest.release_id
        assert child.manifest.files.items() > night.release.manifest.files.items()
        assert registry.history(night.lake)[:2] == [child.manifest.release_id, child.manifest.parent]
        assert seesaw_job.keep(night.lake, night.settings, night.release, found, files) == child
        text = report.write(night.lake, child, tmp_path / "report.html").read_text(encoding="utf-8")
        assert "Sharing one adapter costs intent." in is_whole(text).text
        assert night.release.seesaw() is None
    finally:
        night.lake.delta("releases").delete(f"release_id = '{child.manifest.release_id}'")
        shutil.rmtree(child.path)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
@pytest.mark.parametrize("name", ["usual", "hostile"])
def test_a_browser_shows_it_on_a_phone_without_overflow(name: str, tmp_path: Path) -> None:
    # The page itself runs no script: the probe frames it at the width of a phone and measures from outside.
    told = base64.b64encode(page(PAGES[name]).encode()).decode()
    probe = tmp_path / "probe.html"
    probe.write_text(
        f"""<!doctype html><meta charset=utf-8><iframe id=f style="width:375px;height:800px;border:0"></iframe><script>
        const bytes = Uint8Array.from(atob("{told}"), c => c.charCodeAt(0)), f = document.getElementById("f");
        f.onload = () => {{ const d = f.contentDocument, e = d.documentElement, out = {{ wide: e.scrollWidth }};
          out.cut = [...d.querySelectorAll("body *")].filter(n => !n.closest(".scroll, .track, .scale, svg, details")
            && (n.getBoundingClientRect().right > 375.5 || n.getBoundingClientRect().left < -0.5)).length;
          out.flat = [...d.querySelectorAll("section")].filter(n => n.getBoundingClientRect().height < 60).length;
          out.plots = [...d.querySelectorAll("figure svg")].filter(n => n.getBoundingClientRect().width < 250).length;
          const words = [...d.querySelectorAll("svg text")].filter(n => n.getBoundingClientRect().width);
          out.words = words.length > 50;
          out.clipped = words.filter(n => {{ const t = n.getBoundingClientRect(),
            s = n.ownerSVGElement.getBoundingClientRect(); return t.left < s.left - 1 || t.right > s.right + 1
              || t.top < s.top - 1 || t.bottom > s.bottom + 1; }}).length;
          document.title = JSON.stringify(out); }};
        f.srcdoc = new TextDecoder().decode(bytes);</script>"""
    )
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom", probe.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stdout[:500]
    assert json.loads(title[1]) == {"wide": 375, "cut": 0, "flat": 0, "plots": 0, "words": True, "clipped": 0}
