"""`python -m kdsl.demo.miniature`: train the miniatures anew, side by side, and write them under `--into`."""

import argparse
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

from kdsl.demo.miniature.recipe import RECIPES, SEED, WEIGHTS
from kdsl.demo.miniature.train import make_told


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the miniatures that are named, or both; one that was killed goes on where it was."""
    parser = argparse.ArgumentParser(prog="python -m kdsl.demo.miniature", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*RECIPES, []], metavar="NAME", help="small, large; none: both")
    parser.add_argument("--into", type=Path, default=WEIGHTS, help="folder of the checkpoints")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, help="fewer steps than the recipe has, to try something out")
    given = parser.parse_args(arguments)
    names = given.names or list(RECIPES)
    spawn = multiprocessing.get_context("spawn")  # a fork would share torch's threads
    running = [spawn.Process(target=make_told, args=(name, given.into, given.seed, given.steps)) for name in names]
    for one in running:
        one.start()
    for one in running:
        one.join()
    if any(one.exitcode for one in running):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
