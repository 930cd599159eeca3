"""`python -m kdsl.demo.miniature`: train the miniatures anew and write them under `--into`."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kdsl.demo.miniature.recipe import RECIPES, SEED
from kdsl.demo.miniature.train import Point, make


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the miniatures that are named, or both."""
    parser = argparse.ArgumentParser(prog="python -m kdsl.demo.miniature", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*RECIPES, []], metavar="NAME", help="small, large; none: both")
    parser.add_argument("--into", type=Path, default=Path("build/miniature"), help="folder of the checkpoints")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, help="fewer steps than the recipe has, to try something out")
    given = parser.parse_args(arguments)
    for name in given.names or RECIPES:
        folder = given.into / name
        make(RECIPES[name], folder, partial(_say, name), seed=given.seed, steps=given.steps)
        sys.stdout.write(f"{name}: written to {folder}\n")


def _say(name: str, point: Point) -> None:
    means = ", ".join(f"{key} {value:.3f}" for key, value in point.means.items())
    sys.stdout.write(f"{name}: step {point.step:>5}, {point.seconds:6.0f} s, {means}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
