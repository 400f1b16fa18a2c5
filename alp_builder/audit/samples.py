"""Narratives with truth, held in memory, to try choices on: phrases are found once, boxes as often as wanted.

A **sample** is a batch of narratives, their phrases, and what scores the rows made of them. Simulated samples
narrate a COCO file anew under a noise profile; a gold sample is real narratives with boxes drawn by people.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from alp_builder.arrays import Floats
from alp_builder.audit.coco import CocoTruth, read_truth
from alp_builder.audit.gold import read_gold, score_nouns
from alp_builder.audit.instances import box_rows, score_instances
from alp_builder.audit.matching import match
from alp_builder.audit.names import CategoryNames
from alp_builder.config import BuildConfig, InputConfig
from alp_builder.errors import UsageError
from alp_builder.extraction import AlpExtractor
from alp_builder.narratives import NarrativeBatch, read_narratives
from alp_builder.phrases import Phrase, PhraseExtractor
from alp_builder.simulate import find_profile, simulate_narratives, truth_path

Scorer = Callable[[pa.Table], "SampleScores"]


@dataclass(frozen=True)
class SampleScores:
    """How the nouns of a sample fared; measures are NaN for nouns not found, each (M,)."""

    iou: Floats
    coverage: Floats
    area_ratio: Floats
    centre_inside: Floats

    def figures(self) -> dict[str, float]:
        """Figures of a setting.

        Returns:
            `recall`; `iou` over all nouns, 0 for those not found; over those found `iou_found`,
            `coverage` (means), `area_ratio` (median), `centre_inside`.
        """
        found = ~np.isnan(self.iou)
        any_found = bool(found.any())
        return {
            "recall": float(found.mean()),
            "iou": float(np.nan_to_num(self.iou).mean()),
            "iou_found": float(self.iou[found].mean()) if any_found else 0.0,
            "coverage": float(self.coverage[found].mean()) if any_found else 0.0,
            "area_ratio": float(np.median(self.area_ratio[found])) if any_found else 0.0,
            "centre_inside": float(self.centre_inside[found].mean()) if any_found else 0.0,
        }


@dataclass(frozen=True)
class Sample:
    """Narratives with truth.

    Attributes:
        name: Of the noise profile, or `gold`.
        simulated: Whether the narratives are.
        batch: The narratives.
        phrases: Their phrases.
        score: Scores rows of the narratives.
    """

    name: str
    simulated: bool
    batch: NarrativeBatch
    phrases: list[list[Phrase]]
    score: Scorer

    def rows(self, config: BuildConfig, extractor: PhraseExtractor) -> pa.Table:
        """The ALPs of the sample under a configuration; its phrases stay as they are."""
        return AlpExtractor(config, extractor).locate(self.batch, self.phrases).rows


def read_batch(path: Path, config: InputConfig) -> NarrativeBatch:
    """Reads a file of narratives whole; records that cannot be used are left out.

    Raises:
        UsageError: If it cannot be read or holds no narrative that can be used.
    """
    try:
        size = path.stat().st_size
        batch = read_narratives(path, 0, size, 1, config, str(path)).batch
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give narratives") from error
    if not len(batch):
        raise UsageError(f"{path}: no narrative that can be used")
    return batch


def simulated_sample(
    coco_json: Path, profile: str, extractor: PhraseExtractor, limit: int, seed: int
) -> Sample:
    """Narrates a COCO file under a noise profile.

    Args:
        coco_json: COCO instance file with masks.
        profile: Name of the profile.
        extractor: Finds the phrases.
        limit: Most images.
        seed: Of the narrator.

    Returns:
        The sample; its truth is the boxes of the instances meant.
    """
    coco = CocoTruth(coco_json)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "narratives.jsonl"
        noise = find_profile(profile)
        simulate_narratives(coco_json, noise, out, seed=seed, limit=limit, progress=False)
        batch = read_batch(out, BuildConfig().input)
        truth = read_truth(truth_path(out))
    names = CategoryNames(coco.names, coco.plurals)

    def score(table: pa.Table) -> SampleScores:
        boxes = box_rows(table)
        found = score_instances(match(table, coco, names, truth), boxes, coco, masks=False)
        return SampleScores(found.iou, found.coverage, found.area_ratio, found.centre_inside)

    return Sample(profile, True, batch, list(extractor.extract(batch.captions)), score)


def gold_sample(narratives: Path, csv: Path, extractor: PhraseExtractor) -> Sample:
    """Real narratives and boxes drawn by people, see `alp_builder.audit.gold`."""
    gold = read_gold(csv)
    batch = read_batch(narratives, BuildConfig().input)

    def score(table: pa.Table) -> SampleScores:
        found = score_nouns(gold, table)
        return SampleScores(found.iou, found.coverage, found.area_ratio, found.centre_inside)

    return Sample("gold", False, batch, list(extractor.extract(batch.captions)), score)
