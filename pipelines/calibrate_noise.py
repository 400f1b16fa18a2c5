"""Measure, and fit, how exact the narrator's profiles are: `python -m pipelines.calibrate_noise`.

For each profile and each COCO file narratives are simulated and the in-box precision of their nouns
is measured (`alp_builder.simulate.measure`). With `--fit` the miss rate is found by bisection for
which the mean precision over the files is the published one: precision falls with the miss rate,
and the same seed makes the measured function nearly smooth. The figures printed are the profiles'
own; what is fitted is printed to be copied into `alp_builder/simulate/noise.py` by hand, so that a
profile changes in a commit.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import msgspec

from alp_builder.errors import AlpError, UsageError
from alp_builder.simulate import PROFILES, NoiseProfile, simulate_narratives
from alp_builder.simulate.coco import read_coco
from alp_builder.simulate.measure import NounStats, gold_pairs, noun_stats, simulated_pairs

TOLERANCE = 0.02
"""A profile is calibrated when it is this close to the published precision."""

STEPS = 7
"""Bisections of the miss rate."""


def measure(coco_json: Path, profile: NoiseProfile, narratives: int, seed: int) -> NounStats:
    """Simulate and measure.

    Args:
        coco_json: COCO instance file.
        profile: Noise.
        narratives: About how many narratives to make.
        seed: Seed of the narrator.
    """
    images = max(1, len(read_coco(coco_json).images))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "narratives.jsonl"
        simulate_narratives(
            coco_json,
            profile,
            out,
            seed=seed,
            per_image=max(1, narratives // images),
            limit=min(images, narratives),
            progress=False,
        )
        return noun_stats(simulated_pairs(out, coco_json))


def fit(files: list[Path], profile: NoiseProfile, narratives: int, seed: int) -> NoiseProfile:
    """The profile with the miss rate that reaches its target, as a mean over the files."""
    if profile.target_precision is None:
        return profile
    low, high = 0.0, 0.9
    for _ in range(STEPS):
        middle = (low + high) / 2
        tried = msgspec.structs.replace(profile, miss_rate=middle)
        reached = [measure(file, tried, narratives, seed).precision for file in files]
        if sum(reached) / len(reached) > profile.target_precision:
            low = middle
        else:
            high = middle
    return msgspec.structs.replace(profile, miss_rate=round((low + high) / 2, 3))


def row(name: str, source: str, stats: NounStats, target: float | None) -> str:
    """A line of the table."""
    figures = stats.table()
    precision = figures["in_box_precision"]
    aim = "" if target is None else f"{100 * target:.1f}"
    off = "" if target is None else f"{100 * (precision - target):+.1f}"
    rest = (
        f"{100 * figures['multi_part_rate']:.1f}",
        f"{figures['median_area_ratio']:.2f}",
        f"{figures['mean_coverage']:.2f}",
        f"{figures['median_points']:.0f}",
        f"{figures['median_window_s']:.1f}",
        f"{figures['median_dwell_s']:.2f}",
        f"{figures['nouns']:.0f}",
    )
    cells = (name, source, f"{100 * precision:.1f}", aim, off, *rest)
    return "| " + " | ".join(cells) + " |"


HEADER = """| profile | data | in box % | published | off | several parts % | area ratio (median) \
| coverage (mean) | points (median) | window s | dwell s | nouns |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def main(argv: list[str] | None = None) -> int:
    """Print the table; exit code 1 where a profile is not within the tolerance."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else ""
    )
    parser.add_argument("coco", type=Path, nargs="+", help="COCO instance files")
    parser.add_argument("--profile", action="append", help="profiles (default: all)")
    parser.add_argument("--narratives", type=int, default=800, help="narratives of each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fit", action="store_true", help="fit the miss rate first")
    parser.add_argument("--gold", type=Path, nargs=2, metavar=("NARRATIVES", "CSV"),
                        help="real narratives and boxes drawn by eye, for comparison")  # fmt: skip
    args = parser.parse_args(argv)
    good = True
    try:
        say(HEADER)
        if args.gold:
            with args.gold[1].open(newline="") as table:
                pairs = list(gold_pairs(args.gold[0], csv.DictReader(table)))
            say(row("(real)", args.gold[1].stem, noun_stats(pairs), None))
        for name in args.profile or PROFILES:
            profile = PROFILES[name]
            if args.fit:
                profile = fit(args.coco, profile, args.narratives, args.seed)
            for file in args.coco:
                stats = measure(file, profile, args.narratives, args.seed)
                source = f"{file.parent.name}/{file.stem}, simulated narratives"
                say(row(name, source, stats, profile.target_precision))
                target = profile.target_precision
                good &= target is None or abs(stats.precision - target) <= TOLERANCE
            if args.fit:
                say(f"fitted {name}: miss_rate={profile.miss_rate}")
    except OSError as error:
        sys.stderr.write(f"error: {error.filename}: cannot be read ({error.strerror})\n")
        return UsageError.exit_code
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0 if good else 1


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
