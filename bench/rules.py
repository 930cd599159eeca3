"""The rule engine side by side with what else evaluates rules: Spark's `rlike`, Snorkel's applier, and itself.

    python -m bench.rules [--texts 400000] [--without spark snorkel]

Rules are drawn at random over made-up English texts of about 100 characters: three words of which one must stand,
one that must not, and an expression in every fifth. Snorkel is in no dependency list; without it its figure is left
out, and says so. The last lines are JSON.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator

import pyarrow as pa

from kdsl.rules import parse, scan
from kdsl.rules.atom import Atom, Expression, Words
from kdsl.rules.column import text_column
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet

VOCABULARY = 20_000
WORDS_A_TEXT = 16
SNORKEL_ROWS = 1_000  # as many as its applier bears in a minute


def vocabulary() -> list[str]:
    """Words of 3 to 9 letters, the most frequent first."""
    draw = random.Random(1)
    words = {"".join(draw.choices("etaoinshrdlucmfw", k=draw.randint(3, 9))) for _ in range(2 * VOCABULARY)}
    return sorted(words, key=lambda word: random.Random(word).random())[:VOCABULARY]


def texts(n: int, seed: int = 2) -> list[str]:
    """Texts in which the word of rank r stands as often as 1 / r."""
    draw, words = random.Random(seed), vocabulary()
    weights = [1 / (rank + 20) for rank in range(len(words))]
    flat = draw.choices(words, weights, k=n * WORDS_A_TEXT)
    return [" ".join(flat[i : i + WORDS_A_TEXT]) for i in range(0, len(flat), WORDS_A_TEXT)]


def rules(n: int, seed: int = 3) -> RuleSet:
    """n rules over `last_user` on words of five letters or more, the thousand most frequent left out.

    Rules are specific: what costs is a match found, and rules on words of every text would find some in every text.
    """
    draw, words = random.Random(seed), [word for word in vocabulary()[1_000:] if len(word) >= 5]
    made: dict[str, Rule] = {}
    while len(made) < n:
        any_of = Words("last_user", "any_of", tuple(draw.sample(words, 3)))
        atoms: list[Atom] = [any_of, Words("last_user", "none_of", (draw.choice(words),))]
        if len(made) % 5 == 0:
            atoms[0] = Expression("last_user", f"{draw.choice(words)}.{{0,40}}{draw.choice(words)[:3]}")
        rule = Rule("intent", f"label{len(made) % 20}", tuple(atoms))
        made[rule.rule_id] = rule
    return RuleSet("bench", tuple(made.values()), {"last_user": "substring"})


def best(run: Callable[[], object], times: int = 3, clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of the fastest of some runs; `clock` tells wall or processor time."""
    seconds = []
    for _ in range(times):
        begun = clock()
        run()
        seconds.append(clock() - begun)
    return min(seconds)


def growth_with_rules(n: int) -> dict:
    """Time of 1,000 rules over time of 100, on the same texts."""
    column = pa.array(texts(n), pa.large_string())
    small, large = Engine(rules(100)), Engine(rules(1_000))
    few = best(lambda: small.evaluate({"last_user": column}))
    many = best(lambda: large.evaluate({"last_user": column}))
    print(f"{n:,} texts: 100 rules {few:.2f} s, 1,000 rules {many:.2f} s")
    return figure("rules: 1,000 rules / 100 rules", many / few, 2.0, below=True)


def growth_with_text(n: int) -> dict:
    """Time of ten times the texts over the time of one tenth."""
    engine = Engine(rules(100))
    column = pa.array(texts(n), pa.large_string())
    part = column.slice(0, n // 10)
    one, ten = best(lambda: engine.evaluate({"last_user": part})), best(lambda: engine.evaluate({"last_user": column}))
    print(f"{n // 10:,} texts {one:.2f} s, {n:,} texts {ten:.2f} s")
    return figure("rules: 10 times the text / once", ten / one, 10.5, below=True)


def expressions(n: int) -> None:
    """Hyperscan against RE2's set, 100 and 1,000 expressions: which of them the engine is built on."""
    import re2

    column, words = text_column(texts(n)), vocabulary()[100:]
    for count in (100, 1_000):
        draw = random.Random(4)
        patterns = [f"{draw.choice(words)}.{{0,10}}{draw.choice(words)[:4]}" for _ in range(count)]
        begun = time.perf_counter()
        finder = scan.ExpressionFinder(patterns)
        built = time.perf_counter() - begun
        plain = re2.Set.SearchSet()
        for pattern in patterns:
            plain.Add(pattern)
        plain.Compile()
        rows = [column.text(row) for row in range(len(column))]
        ours = best(lambda: finder.find(column), 2)  # noqa: B023
        theirs = best(lambda: [plain.Match(row) for row in rows], 1)  # noqa: B023
        print(
            f"{count:,} expressions, {n:,} texts: hyperscan {ours:.2f} s (built {built:.1f} s), RE2 set {theirs:.2f} s"
        )


def against_spark(n: int) -> dict:
    """The engine in `mapInArrow` against one `rlike` column a condition, one session, two cores."""
    from pyspark.sql import functions as f

    from bench import lakes
    from jobs import session

    with lakes.workplace("rules") as root:
        chosen = lakes.settings(root, encoder=False)
        spark = session.build(chosen, "bench-rules")
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "10000")
        path = str(root / "texts")
        spark.createDataFrame(pa.table({"last_user": texts(n)})).repartition(4).write.parquet(path)
        frame = spark.read.parquet(path).cache()
        frame.count()
        sent = rules(100).to_json()
        native = [_native(rule, f) for rule in parse.from_json(sent).rules]

        def with_engine(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            engine = Engine(parse.from_json(sent))
            for batch in batches:
                fired = engine.evaluate({"last_user": batch.column(0)})
                yield pa.RecordBatch.from_arrays([fired.to_arrow()], ["fired"])

        def engine_run() -> None:
            frame.mapInArrow(with_engine, "fired array<string>").write.format("noop").mode("overwrite").save()

        def native_run() -> None:
            columns = [column.alias(f"r{i}") for i, column in enumerate(native)]
            frame.select(*columns).write.format("noop").mode("overwrite").save()

        frame.limit(1_000).mapInArrow(with_engine, "fired array<string>").collect()  # the workers are up
        ours = best(engine_run, 2, time.perf_counter)
        theirs = best(native_run, 1, time.perf_counter)
        spark.stop()
    print(f"{n:,} texts x 100 rules in Spark: engine {ours:.1f} s, rlike {theirs:.1f} s")
    return figure("rules: Spark rlike / engine", theirs / ours, 20.0, below=False)


def _native(rule: Rule, f: object):
    held = None
    for atom in rule.atoms:
        pattern = atom.pattern if isinstance(atom, Expression) else "|".join(atom.words)
        column = f.col(atom.field).rlike(pattern)
        column = ~column if atom.negative else column
        held = column if held is None else held & column
    return held


def against_snorkel(n: int) -> dict | None:
    """Rows a second of the engine over those of Snorkel's pandas applier, one core each, the same rules."""
    try:
        import pandas as pd
        from snorkel.labeling import LabelingFunction, PandasLFApplier
    except ImportError:
        print("snorkel is not installed: its figure is left out", file=sys.stderr)
        return None
    import re2

    chosen = rules(100)

    def function(number: int, rule: Rule) -> "LabelingFunction":
        tests = []
        for atom in rule.atoms:
            if isinstance(atom, Expression):
                tests.append((re2.compile(atom.pattern).search, False))
            else:
                tests.append((lambda text, words=atom.words: any(word in text for word in words), atom.negative))

        def fires(row: object) -> int:
            return 1 if all(bool(test(row.last_user)) != negative for test, negative in tests) else -1

        return LabelingFunction(f"r{number}", fires)

    some = texts(min(n, SNORKEL_ROWS))
    applier = PandasLFApplier([function(i, rule) for i, rule in enumerate(chosen.rules)])
    theirs = best(lambda: applier.apply(pd.DataFrame({"last_user": some}), progress_bar=False), 1) / len(some)
    column = pa.array(texts(n), pa.large_string())
    engine = Engine(chosen)
    ours = best(lambda: engine.evaluate({"last_user": column}), 2) / n
    print(f"100 rules: engine {1e6 * ours:.2f} us a row, Snorkel {1e6 * theirs:.0f} us a row ({len(some):,} rows)")
    return figure("rules: Snorkel / engine, a row", theirs / ours, 50.0, below=False)


def figure(bench: str, value: float, aim: float, *, below: bool) -> dict:
    """One line of the result."""
    return {"bench": bench, "value": round(value, 3), "aim": aim, "met": value <= aim if below else value >= aim}


def main() -> None:
    """Print each comparison, then the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=400_000)
    parser.add_argument("--without", nargs="*", default=[], choices=("spark", "snorkel", "expressions"))
    args = parser.parse_args()
    figures = [growth_with_rules(args.texts), growth_with_text(args.texts)]
    if "expressions" not in args.without:
        expressions(args.texts // 20)
    if "snorkel" not in args.without:
        figures.append(against_snorkel(args.texts))
    if "spark" not in args.without:
        figures.append(against_spark(args.texts))
    for one in figures:
        if one:
            print(json.dumps(one))


if __name__ == "__main__":
    main()
