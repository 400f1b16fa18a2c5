"""Checkpoints that run code, configs that try to, images that are bombs, ids that lead elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alp_builder.errors import AlpError, BadDataError, UsageError
from tests.alp_builder.faults.test_names import PATHS, huge_png
from trainer.data.arraystore import ArrayStore, publish
from trainer.data.cocofile import MAX_SIDE, check_masks, read_coco
from trainer.data.images import ImageFinder
from trainer.data.items import read_image
from trainer.data.masks import MaskDataset
from trainer.data.rle import broken_codes, is_whole
from trainer.engine.checkpoint import load_checkpoint, load_weights, save_checkpoint
from trainer.engine.config import load_config
from trainer.evaluation.open_images_masks import TruthBuilder, category_ids, read_mask
from trainer.modeling.text_encoders.table import TableEncoder

CONFIG = Path(__file__).parents[3] / "trainer" / "configs" / "fcosmo_tiny_world.py"


class Payload:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """What a payload would make."""
    return tmp_path / "executed"


class TestPickles:
    @pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl"])
    @pytest.mark.parametrize("form", ["archive", "bare"])
    def test_code_does_not_run(self, suffix: str, form: str, tmp_path: Path, trap: Path) -> None:
        path = tmp_path / f"x{suffix}"
        state = {"format": 1, "model": {"a": torch.ones(2)}, "info": Payload(trap)}
        if form == "archive":
            torch.save(state, path)
        else:
            path.write_bytes(pickle.dumps(state))
        for read in (load_checkpoint, load_weights):
            with pytest.raises(AlpError):
                read(path)
        assert not trap.exists()
        pickle.loads(pickle.dumps(Payload(trap)))  # the trap works
        assert trap.exists()

    def test_arrays_hold_no_objects(self, tmp_path: Path, trap: Path) -> None:
        publish(tmp_path / "store", {"a": np.ones(3)}, {})
        bad = np.array([Payload(trap)], object)
        np.save(tmp_path / "store" / "a.npy", bad, allow_pickle=True)
        with pytest.raises(BadDataError, match="not a readable cache"):
            ArrayStore(tmp_path / "store")["a"].sum()
        with pytest.raises(BadDataError, match="cannot be read as an array"):
            TableEncoder(tmp_path / "store" / "a.npy", ["dog"])
        assert not trap.exists()


class TestCheckpoints:
    """Found by mutation: torch leaves the sums of an archive out, and believes its sizes."""

    @pytest.fixture
    def saved(self, tmp_path: Path) -> Path:
        path = tmp_path / "step_0000001.pt"
        state = {"step": 1, "model": {"a": torch.arange(5000.0)}, "info": {"text": "x"}}
        save_checkpoint(path, state)
        return path

    def test_a_flipped_bit_of_a_weight(self, saved: Path) -> None:
        data = bytearray(saved.read_bytes())
        data[len(data) // 2] ^= 1
        saved.write_bytes(data)
        weights = torch.load(saved, map_location="cpu", weights_only=True)["model"]["a"]
        assert not torch.equal(weights, torch.arange(5000.0))  # torch alone says nothing
        with pytest.raises(BadDataError, match="its check sum differs"):
            load_checkpoint(saved)

    def test_packed_parts_are_a_bomb(self, tmp_path: Path) -> None:
        path = tmp_path / "step_0000002.pt"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x/data.pkl", b"\0" * 2**24)
        with pytest.raises(BadDataError, match="its parts are packed"):
            load_checkpoint(path)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"format": "1"}, "its format is no number"), ({"format": 99}, "checkpoint format 99"),
            ({"model": [1]}, "its model is no weights"), ({"model": {1: 2}}, "its model is no weights"),
            ({"step": "1"}, "its step is no number"), ({"info": 3}, "its info is no dictionary"),
        ],
    )  # fmt: skip
    def test_parts_of_wrong_types(self, change: dict[str, Any], words: str, tmp_path: Path) -> None:
        torch.save({"format": 1, "model": {}, "step": 1, "info": {}} | change, tmp_path / "x.pt")
        with pytest.raises(BadDataError, match=words):
            load_checkpoint(tmp_path / "x.pt")


class TestConfigs:
    def test_a_yaml_is_no_config(self, tmp_path: Path, trap: Path) -> None:
        path = tmp_path / "config.yaml"
        path.write_text(f"model: !!python/object/apply:os.mkdir ['{trap}']\n")
        with pytest.raises(UsageError, match="expected a Python file"):
            load_config(path)
        assert not trap.exists()

    @pytest.mark.parametrize(
        "tag", ["!!python/object/apply:os.mkdir", "!!python/name:os.system", "!!binary"]
    )
    def test_tags_of_an_override_do_nothing(self, tag: str, trap: Path) -> None:
        with contextlib.suppress(UsageError):
            cfg = load_config(CONFIG, [f"optimizer.lr={tag} ['{trap}']"])
            assert not callable(cfg.optimizer.lr)
        assert not trap.exists()


class TestImages:
    @pytest.mark.parametrize("side", [40_000, 2**31 - 1])
    def test_billions_of_pixels_are_not_decoded(self, side: int, tmp_path: Path) -> None:
        path = tmp_path / "x.png"
        path.write_bytes(huge_png(side))
        with pytest.raises(BadDataError, match=r"more than|not a readable image"):
            read_image(str(path))
        with pytest.raises(BadDataError, match="not a readable mask"):
            read_mask(path, (4, 4))

    @pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
    def test_a_photo_cut_short_is_refused(
        self, share: float, shared_data: Path, tmp_path: Path
    ) -> None:
        """OpenCV fills what is missing with grey and says nothing a program could hear."""
        for photo in sorted((shared_data / "coco_tiny" / "train2017").glob("*.jpg"))[:10]:
            data = photo.read_bytes()
            assert read_image(str(photo)).any()
            path = tmp_path / "x.jpg"
            path.write_bytes(data[: int(share * len(data))])
            with pytest.raises(BadDataError, match="cut short"):
                read_image(str(path))

    def test_bytes_behind_the_end_do_no_harm(self, shared_data: Path, tmp_path: Path) -> None:
        photo = next((shared_data / "coco_tiny" / "train2017").glob("*.jpg"))
        (tmp_path / "x.jpg").write_bytes(photo.read_bytes() + b"\0" * 99)
        assert np.array_equal(read_image(str(tmp_path / "x.jpg")), read_image(str(photo)))

    @pytest.mark.parametrize("name", PATHS)
    def test_no_id_leads_out_of_a_root(self, name: str, tmp_path: Path) -> None:
        root = tmp_path / "root"
        root.mkdir()
        (tmp_path / "x.jpg").write_bytes(b"x")
        (root / "folder").symlink_to(tmp_path)
        (root / "link.jpg").symlink_to(tmp_path / "x.jpg")
        names = ("coco", "open_images", "flickr30k", "ade20k", "simulated_world", "mine")
        finder = ImageFinder(dict.fromkeys(names, root))
        for dataset in names:
            assert finder.find(dataset, name) is None
            assert finder.find(dataset, "link") is None
            assert finder.find(dataset, "folder/x") is None


def _coco(**changes: Any) -> dict[str, Any]:
    image = {"id": 1, "file_name": "x.jpg", "height": 40, "width": 50}
    thing = {
        "id": 7,
        "image_id": 1,
        "category_id": 1,
        "segmentation": [[1, 1, 9, 1, 9, 9]],
        "bbox": [1, 1, 8, 8],
    }
    for name, value in changes.items():
        (image if name in image else thing)[name] = value
    return {"images": [image], "annotations": [thing], "categories": [{"id": 1, "name": "dog"}]}


class TestTables:
    def test_an_image_of_the_truth_that_is_a_bomb(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(huge_png(30_000))
        labels = tmp_path / "labels.csv"
        labels.write_text(f"ImageID,LabelName,Confidence\na,{next(iter(category_ids()))},1\n")
        builder = TruthBuilder(tmp_path, None)
        builder.add_labels(labels)
        with pytest.raises(BadDataError, match="image a.jpg: not readable"):
            builder.record()

    def test_a_row_of_names_that_is_too_short(self, tmp_path: Path) -> None:
        np.save(tmp_path / "v.npy", np.ones((2, 3), np.float32))
        (tmp_path / "names.csv").write_text("id,name\n1,dog\n2\n")
        encoder = TableEncoder(tmp_path / "v.npy", tmp_path / "names.csv")
        with pytest.raises(UsageError, match="'cat' is not in the table"):
            encoder.encode(["cat"])


class TestMasks:
    """Found by mutation: pycocotools draws a polygon of any size, until memory or the process ends."""

    @pytest.mark.parametrize(
        "segmentation",
        [
            [[1, 1, 1e9, 1, 9, 9]], [[1, 1, 9, 1, 9, -1e18]], [[1, 1, 9, 1, 1e300, 9]], [[1, 1, 9, 1]],
            [[1, 1, 9, 1, 9]],
            {"size": [40, 50], "counts": [1]}, {"size": [40, 50], "counts": [-5, 2005]},
            {"size": [40, 50], "counts": "1"},
            {"size": [40, 50], "counts": ""}, {"size": [4, 5], "counts": [20]}, {"size": [40, 50], "counts": "~~"},
        ],
    )  # fmt: skip
    def test_what_cannot_be_drawn_is_named(self, segmentation: Any, tmp_path: Path) -> None:
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(_coco(segmentation=segmentation)))
        with pytest.raises(BadDataError, match="annotation 7: "):
            check_masks(read_coco(path), path)
        (tmp_path / "x.jpg").write_bytes(b"x")
        with pytest.raises(BadDataError, match="no instance with a mask"):
            MaskDataset(path, tmp_path, ["dog"], cache=tmp_path / "cache")

    @pytest.mark.parametrize(
        "sides", [(MAX_SIDE + 1, 4), (2**40, 1), (-1, 4), (MAX_SIDE, MAX_SIDE)]
    )
    def test_an_image_of_absurd_size_is_refused(
        self, sides: tuple[int, int], tmp_path: Path
    ) -> None:
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(_coco(height=sides[0], width=sides[1])))
        with pytest.raises(BadDataError, match="instances.json"):
            read_coco(path)

    def test_many_codes_are_checked_as_one_by_one(self) -> None:
        from pycocotools import mask as mask_utils

        rng = np.random.default_rng(0)
        codes, pixels = [], []
        for number in range(600):
            height, width = rng.integers(1, 40, 2)
            drawn = np.asfortranarray((rng.random((height, width)) < rng.random()).astype(np.uint8))
            code = bytearray(mask_utils.encode(drawn)["counts"])
            if number % 2:
                place = int(rng.integers(len(code)))
                cut, put = (
                    int(rng.integers(2)),
                    rng.integers(0, 256, int(rng.integers(3)), np.uint8),
                )
                code[place : place + cut] = bytes(put)
            codes.append(bytes(code))
            pixels.append(int(height * width))
        expected = [n for n, code in enumerate(codes) if not is_whole(code, pixels[n], 1)]
        assert broken_codes(codes, pixels).tolist() == expected
        assert 100 < len(expected) < 300
        assert broken_codes([], []).tolist() == []
        assert broken_codes([b"", b"\x50"], [1, 1]).tolist() == [0, 1]
