"""The docs' picture of the 300-class world, with a font made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alp_builder.simulate.emoji_classes import emoji_classes
from pipelines.world300_picture import SCENES, SIDE, main
from tests.alp_builder.simulate.emoji_font import disc, write_font


def test_scenes_above_and_masks_below(tmp_path: Path) -> None:
    texts = [kind.shape for kind in emoji_classes()]
    font = write_font(tmp_path / "f.ttf", texts, [disc(i) for i in range(len(texts))])
    out = tmp_path / "world300.png"
    assert main(["--emoji-font", str(font), "--out", str(out)]) == 0
    with Image.open(out) as drawn:
        assert drawn.width > SCENES * SIDE
        below = np.asarray(drawn.convert("RGB"))[SIDE + 10 :]
    assert 0.05 < (below.sum(axis=2) > 150).mean() < 0.7, "masks on black"


def test_without_a_font(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--emoji-font", str(tmp_path / "none.ttf")]) == 2
    assert "apt install fonts-noto-color-emoji" in capsys.readouterr().err
