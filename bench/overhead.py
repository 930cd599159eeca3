"""What Spark costs: the label job against the same rows through the same voter in a bare loop of as many processes.

Session start is left out, and so is loading the model in the loop, which the job pays inside its time. With a
multimodal model among the voters: `--conf conf/miniature.yaml --voters large`, or settings that name any other.
"""

import json
import multiprocessing
import os
import time
from typing import Any

import pyarrow as pa

from bench import lakes
from jobs.fit import fit
from jobs.items import targets, with_pictures, within
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days
from kdsl import config
from kdsl.arrow import items_of
from kdsl.predict import predictor
from udfs.predict import label_batch

PROCESSES = 2
SECONDS = 240.0


def _loop(work: tuple[str, str, int, list[bytes]], ready: Any, go: Any, done: Any) -> None:
    path, release_id, most, buffers = work
    batches = [batch for buffer in buffers for batch in pa.ipc.open_stream(buffer)]
    release = predictor(path, release_id, most)
    release.predict(items_of(batches[0].slice(0, 2)))
    ready.put(True)
    go.wait()
    rows = 0
    for batch in batches:
        rows += label_batch(batch, release.predict(items_of(batch))).num_rows
    done.put(rows)


def bare_loop(path: str, release_id: str, most: int, batches: list[pa.RecordBatch]) -> float:
    """Seconds in which the processes label all batches."""
    context = multiprocessing.get_context("spawn")
    ready, done, go = context.Queue(), context.Queue(), context.Event()
    processes = []
    for worker in range(PROCESSES):
        # Of every batch its share, so that none has more to do than another.
        buffers = [_bytes(part) for batch in batches if (part := _share(batch, worker)).num_rows]
        work = (path, release_id, most, buffers)
        processes.append(context.Process(target=_loop, args=(work, ready, go, done)))
        processes[-1].start()
    for _ in processes:
        ready.get()
    begun = time.monotonic()
    go.set()
    rows = sum(done.get() for _ in processes)
    seconds = time.monotonic() - begun
    for process in processes:
        process.join()
    assert rows == sum(batch.num_rows for batch in batches)
    return seconds


def _share(batch: pa.RecordBatch, worker: int) -> pa.RecordBatch:
    first, last = (batch.num_rows * part // PROCESSES for part in (worker, worker + 1))
    return batch.slice(first, last - first)


def _bytes(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def main() -> None:
    """Print the ratio."""
    parser = lakes.parser(__doc__)
    parser.add_argument("--conf", action="append", default=[], help="settings whose part `fit` is taken")
    parser.add_argument("--voters", nargs="+", help="who is asked (default: as configured)")
    parser.add_argument("--probe", type=int, default=2_000, help="rows by which the loop's rate is found first")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # in the loop too, as Spark has it in workers
    told = config.load(args.conf, environment={}, overrides={"fit.voters": args.voters}).fit if args.conf else None
    with lakes.workplace("overhead") as root:
        chosen = lakes.settings(root, encoder=True, fit=told)
        spark = lakes.start("overhead", chosen)
        lake = Lake(spark, chosen.lake)
        lakes.history(spark, chosen, root)
        release = fit(lake, chosen)
        words = (str(release.path), release.manifest.release_id, chosen.ingest.max_turn_chars)

        def batches_of(days: Days) -> list[pa.RecordBatch]:
            wanted = targets(lake, {"intent": "conversation"}, within(days))
            rows = with_pictures(lake, wanted, None, release.manifest.reader_version)
            return rows.toArrow().to_batches(max_chunksize=PROCESSES * chosen.label.batch_rows)

        probe = Days(*lakes.fill(lake, args.probe, seed=1))
        rate = args.probe / bare_loop(*words, batches_of(probe))
        label(lake, chosen, release, probe)  # workers and classes are warm, as on a night's later dates
        rows = int(rate * SECONDS * args.scale)
        days = Days(*lakes.fill(lake, rows, seed=2, first=lakes.START.replace(month=2)))
        loop = bare_loop(*words, batches_of(days))
        begun = time.monotonic()
        run = label(lake, chosen, release, days)
        job = time.monotonic() - begun
        print(f"{rows:,} text rows, {', '.join(chosen.fit.voters)}: bare loop {loop:.1f} s, label job {job:.1f} s")
        print(f"stages {run.seconds}, counts {run.counts}")
        spark.stop()
    print(json.dumps(lakes.figure("overhead: label job / bare loop", job / loop, 1.05 if told else 1.15)))


if __name__ == "__main__":
    main()
