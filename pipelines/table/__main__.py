"""`python -m pipelines.table`: run the table, or what is left of it, and write it.

python -m pipelines.table --preset cpu --out results/table
python -m pipelines.table --quick --out results/table-quick
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from alp_builder.errors import AlpError, UsageError
from pipelines.table.data import prepare
from pipelines.table.plan import PRESETS, QUICK, Plan, Preset, chosen_rows, world_settings
from pipelines.table.report import markdown, write_report
from pipelines.table.run import results_so_far, run_jobs
from pipelines.table.summary import RowSummary, judge, summarise


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    args = _parser().parse_args(arguments)
    return guarded(lambda: _make_table(args))


def _make_table(args: argparse.Namespace) -> None:
    plan = plan_of(args)
    rows = carry_out(plan, report_only=args.report)
    files = write_report(plan, rows, args.out)
    sys.stdout.write("\n".join(markdown(plan, rows, judge(rows), files[2].name)) + "\n")
    sys.stdout.write(f"\nwritten: {', '.join(map(str, files))}\n")


def guarded(work: Callable[[], None]) -> int:
    """Do the work of a command that may be stopped, with one line for what goes wrong; returns its exit code."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        work()
    except AlpError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command goes on where it was\n")
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def carry_out(plan: Plan, *, report_only: bool = False) -> list[RowSummary]:
    """Make the data of a plan and run what is left of it; its rows over their seeds.

    Args:
        plan: What to run.
        report_only: Run nothing, take what is done. It may be asked for while a run is at work.

    Raises:
        UsageError: If nothing is done that could be reported, or as `run_jobs`.
        BadDataError: As `run_jobs`.
    """
    if report_only:
        results = results_so_far(plan.jobs(), Path(plan.runs))
        if not (rows := summarise(plan.rows, plan.preset.seeds, results)):
            raise UsageError(f"{plan.runs}: no run of these settings is done; run without --report")
        return rows
    prepare(Path(plan.data), world_settings(plan.preset), [row.alps for row in plan.rows])
    results = run_jobs(plan.jobs(), Path(plan.runs), plan.preset.slots)
    return summarise(plan.rows, plan.preset.seeds, results)


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan that arguments ask for."""
    preset = PRESETS[args.preset]
    if args.quick:
        preset = msgspec.structs.replace(
            preset,
            seeds=QUICK.seeds,
            steps=QUICK.steps,
            pretrain_steps=QUICK.pretrain_steps,
        )
    return Plan(
        rows=chosen_rows(args.rows or ()),
        preset=changed(preset, args),
        data=str(args.data),
        runs=str(args.runs or (Path("runs/table-quick") if args.quick else Path("runs/table"))),
        split=args.split or "test",
    )


def changed(preset: Preset, args: argparse.Namespace) -> Preset:
    """A preset with the changes of the command line."""
    given = {
        "seeds": None if args.seeds is None else tuple(range(args.seeds)),
        "steps": args.steps,
        "pretrain_steps": args.pretrain_steps,
        "slots": args.slots,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    for name, value in changes.items():
        if isinstance(value, int) and value < (0 if name == "slots" else 1):
            raise UsageError(f"--{name.replace('_', '-')} {value}: expected a positive number")
    return msgspec.structs.replace(preset, **changes)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Arguments the table and the ablations share."""
    add = parser.add_argument
    add("--preset", choices=sorted(PRESETS), default="cpu", help="what machine to plan for")
    add("--seeds", type=int, help="seeds of each row")
    add("--steps", type=int, help="optimiser steps of each row")
    add("--pretrain-steps", type=int, help="steps of the backbone that rows share")
    add("--slots", type=int, help="trainings at a time (default: cores on a CPU)")
    add("--data", type=Path, default=Path("data/table"), help="folder of world and ALPs")
    add("--runs", type=Path, help="folder of the runs (default one below runs/)")
    add("--report", action="store_true", help="run nothing: write what is done so far")
    add("--split", choices=("val", "test"), help="split that is evaluated")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser)
    parser.add_argument("--out", type=Path, default=Path("results/table"), help="without ending")
    parser.add_argument("--quick", action="store_true", help="one seed, few steps")
    parser.add_argument("--rows", nargs="+", help="only these, such as fcosmo_alps")
    return parser


def _stop(*_: object) -> None:
    """Make a polite kill look like Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
