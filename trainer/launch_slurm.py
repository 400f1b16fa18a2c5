r"""Train on a SLURM cluster: `python -m trainer.launch_slurm --config-file CONFIG [options] [key=value ...]`.

    python -m trainer.launch_slurm --nodes 2 --gpus-per-node 8 --hours 24 --partition gpu \
        --config-file trainer/configs/fcosmo_r50_coco_openimages.py data.root=/shared/datasets

Submits one job and returns; needs the extra `slurm` (submitit). Ninety seconds before its time is up
(`--signal-seconds`), and when SLURM takes the nodes back, the job saves its state, is queued again and goes
on from there, until the training is done. With `--cluster local` the same job runs on this machine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from alp_builder.errors import AlpError, UsageError
from trainer.engine.config import load_config
from trainer.engine.slurm import TrainJob
from trainer.engine.starting import last_of

PASSED_ON = ("account", "constraint", "exclude", "partition", "qos")
"""Options that SLURM gets as they are."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    args = _parser().parse_args(arguments)
    try:
        job = submit(args)
    except AlpError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the command's own message
        return error.exit_code
    log = job.paths.stdout
    print(f"job {job.job_id} is submitted; its log: {log}")  # noqa: T201 - the command's own output
    if args.cluster == "slurm":
        print(f"stop it for good: scancel {job.job_id}")  # noqa: T201 - the command's own output
    elif not args.detach:
        return _wait(job)
    return 0


def submit(args: argparse.Namespace) -> Any:
    """Submit a training.

    Args:
        args: The command's arguments.

    Returns:
        submitit's job.

    Raises:
        UsageError: If the config does not load, the folder has a run and `--resume` is not given, or
            submitit or SLURM is missing.
    """
    cfg = load_config(args.config_file, args.overrides)
    last = last_of(Path(cfg.train.output_dir))
    if last is not None and not args.resume:
        raise UsageError(
            f"{cfg.train.output_dir} has an earlier run: add --resume to go on from "
            f"{last.name}, or choose another train.output_dir"
        )
    if args.cluster == "slurm" and shutil.which("sbatch") is None:
        raise UsageError(
            "sbatch is not on this machine: call this where jobs are submitted, or try it out with --cluster local"
        )
    executor = _executor(args)
    return executor.submit(TrainJob(("--config-file", args.config_file, *args.overrides)))


def _executor(args: argparse.Namespace) -> Any:
    """An executor of submitit with the job's needs."""
    try:
        import submitit
    except ImportError as error:
        raise UsageError(
            "training on SLURM needs the extra `slurm`: pip install 'alp-toolkit[slurm]'"
        ) from error
    limit = (
        {} if args.cluster == "debug" else {f"{args.cluster}_max_num_timeout": args.max_requeues}
    )
    executor = submitit.AutoExecutor(args.folder, cluster=args.cluster, **limit)
    executor.update_parameters(
        name=args.name,
        nodes=args.nodes,
        gpus_per_node=args.gpus_per_node,
        tasks_per_node=args.tasks_per_node or max(1, args.gpus_per_node),
        cpus_per_task=args.cpus_per_task,
        timeout_min=round(60 * args.hours),
        stderr_to_stdout=True,
    )
    if args.mem_gb:
        executor.update_parameters(mem_gb=args.mem_gb)
    if args.cluster == "slurm":
        given = {f"slurm_{key}": getattr(args, key) for key in PASSED_ON if getattr(args, key)}
        executor.update_parameters(
            slurm_signal_delay_s=args.signal_seconds,
            # One process that fails ends all of them, and the cluster may queue the job again.
            slurm_srun_args=["--kill-on-bad-exit=1"],
            slurm_additional_parameters={"requeue": True},
            slurm_setup=args.setup,
            **given,
        )
    return executor


def _wait(job: Any) -> int:
    """Wait for a local job; its log tells what it did."""
    try:
        job.results()
    except Exception as error:  # noqa: BLE001 - submitit raises one that quotes the whole log
        kept = job.paths.stdout
        print(  # noqa: T201 - the command's own message
            f"error: the job ended early ({type(error).__name__}); its log says why: {kept}",
            file=sys.stderr,
        )
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.launch_slurm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config-file", required=True, help="a Python config, see trainer/configs")
    add("--resume", action="store_true", help="go on from the checkpoints of an earlier run")
    add("--nodes", type=int, default=1, help="machines")
    add("--gpus-per-node", type=int, default=1, help="GPUs of each machine; one process each")
    add("--tasks-per-node", type=int, help="processes of each machine, if not one a GPU")
    add(
        "--cpus-per-task",
        type=int,
        default=8,
        help="cores of each process, loader workers included",
    )
    add("--mem-gb", type=float, help="memory of each machine")
    add("--hours", type=float, default=24.0, help="time limit of one turn; the job is queued again")
    add(
        "--signal-seconds",
        type=int,
        default=90,
        help="how long before the limit the state is saved",
    )
    add("--max-requeues", type=int, default=100, help="how often a job whose time was up goes on")
    add("--name", default="alp-train", help="of the job")
    add("--folder", default="runs/slurm", help="for logs and submitit's files; all machines see it")
    add(
        "--setup",
        action="append",
        default=[],
        help="shell command before the job, such as 'module load cuda'",
    )
    for key in PASSED_ON:
        add(f"--{key}", help=f"SLURM's --{key}")
    add("--cluster", default="slurm", choices=["slurm", "local", "debug"], help="where to run")
    add("--detach", action="store_true", help="with --cluster local: do not wait for the end")
    add("overrides", nargs="*", help="changes of the config, such as optimizer.lr=0.01")
    return parser


if __name__ == "__main__":
    sys.exit(main())
