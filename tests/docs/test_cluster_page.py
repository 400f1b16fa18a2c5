"""The commands of the page on clusters are taken by the programs they call."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.trainer.conftest import MISSING

PAGE = Path(__file__).parents[2] / "docs" / "training-on-clusters.md"

pytestmark = pytest.mark.skipif(bool(MISSING), reason="the trainer is not installed")


def commands() -> list[list[str]]:
    """Every command of the `sh` fences, as words."""
    found = []
    for fence in re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        found += [shlex.split(line) for line in fence.replace("\\\n", " ").splitlines()]
    return found


def test_every_command_parses() -> None:
    from torch.distributed.run import get_args_parser

    from trainer import launch_slurm, train
    from trainer.engine.config import load_config

    parsers = {"trainer.train": train._parser(), "trainer.launch_slurm": launch_slurm._parser()}
    seen = []
    for words in commands():
        place = words.index("-m")
        module, arguments = words[place + 1], words[place + 2 :]
        given = parsers[module].parse_args(arguments)
        load_config(given.config_file, given.overrides)
        if words[0].endswith("torchrun"):
            assert get_args_parser().parse_args(words[1:]).training_script == module
        seen.append(module)
    assert seen.count("trainer.train") == 4
    assert seen.count("trainer.launch_slurm") == 2
