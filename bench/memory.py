"""What one Python worker takes: resident size of a process with the voters of a release in it, after a batch of items.

Each row is a process of its own, as Spark starts one a task slot. The voters learn from a few examples of the made-up
shop, which changes nothing of their size but for the words they know; `small` is a miniature.
"""

import argparse
import json
import multiprocessing
import tempfile
from contextlib import nullcontext
from pathlib import Path

from bench.miniature import Examples, _few, _read
from kdsl import config, release, taxonomy, training
from kdsl.config import FitSettings, ReaderSettings
from kdsl.demo import shop
from kdsl.manifest import Manifest, Score, library_versions, now
from kdsl.ocr import Reader, reader_version
from kdsl.predict import predictor
from kdsl.release import Release

RELEASES = (("rules",), ("rules", "linear"), ("rules", "linear", "meaning"), ("rules", "linear", "meaning", "small"))
BATCH = 256


def main() -> None:
    """Print a line a release, one of the reader, and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=8, help="a label, to learn from")
    args = parser.parse_args()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        files = shop.write(Path(folder), seed=7)
        few = {task: _few(found, args.examples) for task, found in _read(files.history).items()}
        asked = [item for found in _read(files.nights).values() for item, _ in found][:BATCH]
        works = {"nothing but Python and Arrow": (_nothing, ())}
        for voters in RELEASES:
            made = _release(voters, few, Path(folder))
            works[", ".join(voters)] = (_label, (str(made.path), made.manifest.release_id, asked))
        works["the reader of pictures"] = (_see, ([p.content for item in asked for p in item.pictures][:8],))
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            for name, (work, given) in works.items():
                most = pool.apply(work, given)
                print(f"{name}: {most:.0f} MB at most", flush=True)
                figures.append({"bench": f"worker memory, MB: {name}", "value": round(most)})
    print(json.dumps(figures))


def _release(voters: tuple[str, ...], examples: dict[str, Examples], root: Path) -> Release:
    small = config.load(["conf/miniature.yaml"], environment={}).fit.small.model_copy(update={"post_train": False})
    fit = FitSettings(voters=voters, folds=2, rules_budget=20, small=small)
    wanted, reader = taxonomy.load("conf/taxonomies/demo.yaml"), ReaderSettings()
    trained = training.train(wanted, examples, fit, lambda _: nullcontext())
    manifest = Manifest(
        release_id=f"rel-{len(voters):012}",
        created_at=now(),
        libraries=library_versions(),
        taxonomy=wanted.name,
        taxonomy_digest=wanted.digest,
        reader=reader,
        reader_version=reader_version(reader),
        table_versions={},
        settings=fit.model_dump(mode="json"),
        voters={task: tuple(learned.voters) for task, learned in trained.items()},
        scores={task: Score.of(learned.verdict.scores) for task, learned in trained.items()},
    )
    return release.write(
        root / "releases",
        manifest,
        wanted,
        {task: learned.voters for task, learned in trained.items()},
        learned={task: sorted(learned.ids) for task, learned in trained.items()},
        fused={task: (learned.fusion, learned.held) for task, learned in trained.items()},
    )


def _nothing() -> float:
    return _most()


def _label(path: str, release_id: str, items: list[object]) -> float:
    predictor(path, release_id, 20_000).predict(items)  # type: ignore[arg-type]
    return _most()


def _see(pictures: list[bytes]) -> float:
    reader = Reader(ReaderSettings())
    for content in pictures:
        reader.read(content)
    return _most()


def _most() -> float:
    """The largest resident size that this process reached, MB; `getrusage` would count that of its parent."""
    told = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(told.split("VmHWM:")[1].split()[0]) / 1e3


if __name__ == "__main__":
    main()
