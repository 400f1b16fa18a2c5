"""A simulated world: scenes with known truth, and a narrator who describes them."""

from alp_builder.simulate.config import EmojiConfig, SceneConfig
from alp_builder.simulate.narrator import NarratorSummary, simulate_narratives
from alp_builder.simulate.noise import PROFILES, NoiseProfile, find_profile
from alp_builder.simulate.records import truth_path
from alp_builder.simulate.world import SceneSummary, simulate_scenes

__all__ = [
    "PROFILES",
    "EmojiConfig",
    "NarratorSummary",
    "NoiseProfile",
    "SceneConfig",
    "SceneSummary",
    "find_profile",
    "simulate_narratives",
    "simulate_scenes",
    "truth_path",
]
