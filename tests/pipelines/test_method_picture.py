from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pipelines.method_picture import main
from tests.alp_builder.simulated import simulated_records, write_narratives

pytest.importorskip("matplotlib")


@pytest.fixture
def narratives(tmp_path: Path) -> Path:
    return write_narratives(tmp_path / "n.jsonl", simulated_records(2))


def image_of(narratives: Path, folder: Path) -> None:
    import json

    folder.mkdir(parents=True)
    for line in narratives.read_text().splitlines():
        name = f"{json.loads(line)['image_id']}.jpg"
        Image.new("RGB", (64, 48), "white").save(folder / name)


def test_a_narrative_is_drawn(narratives: Path, tmp_path: Path) -> None:
    image_of(narratives, tmp_path / "images")
    out = tmp_path / "out/method.png"
    assert main([str(narratives), str(tmp_path / "images"), "--index", "1", "--out", str(out)]) == 0
    with Image.open(out) as picture:
        assert picture.size == (1100, 860)
        assert len(picture.convert("RGB").getcolors(2**20)) > 50


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--index", "9"], "fewer than 10 narratives"), ([], "no image")],
)
def test_errors_are_one_line(
    narratives: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    (tmp_path / "images").mkdir()
    out = tmp_path / "x.png"
    assert main([str(narratives), str(tmp_path / "images"), "--out", str(out), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_real_traces_are_drawn(shared_data: Path, tmp_path: Path) -> None:
    vidln = shared_data / "vidln"
    words = [str(vidln / "ovis_in_ln_format.jsonl"), str(vidln / "frames")]
    assert main([*words, "--out", str(tmp_path / "real.png")]) == 0
    assert (tmp_path / "real.png").stat().st_size > 100_000
