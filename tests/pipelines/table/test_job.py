"""What a run spends is measured from its first seconds on."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from pipelines.table.job import Meter, Spent


@pytest.mark.parametrize("parts", [(), ("cuda",)])
def test_a_heartbeat_while_torch_is_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: tuple[str, ...]
) -> None:
    """Python shows a module, and lets its parts appear, before its import ends."""
    torch = types.ModuleType("torch")
    for name in parts:
        setattr(torch, name, types.ModuleType(f"torch.{name}"))
    monkeypatch.setitem(sys.modules, "torch", torch)
    spent = Meter(tmp_path / "spent.json").spent()
    assert isinstance(spent, Spent)
    assert spent.peak_gpu_mb == 0
    assert spent.peak_memory_mb > 1
