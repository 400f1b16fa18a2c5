"""Noise of a narrator, as named profiles: how far a pointer and its words are from the thing meant.

A profile is everything that separates a simulated narrative from an exact one: speech (how fast,
how words are grouped), aim (how much of a thing the scribble covers, how often it misses) and clock
(how far words and pointer are apart). The published yardstick is the **in-box precision**: the
share of the trace points in a noun's time window, from the start of its first word to the start of
the next word, that lie inside the noun's true box. It is 83 % for Video Localized Narratives and
54.8 % (COCO) and 57.6 % (Open Images) for Localized Narratives (Voigtlaender et al., Connecting
Vision and Language with Video Localized Narratives, CVPR 2023).

`pipelines/calibrate_noise.py` measures what each profile reaches. How the numbers came about:
`coco` and `open_images` take speed from the real traces of Video Localized Narratives; lead, clock
error, lift, split, dwell and the most things visited for a plural were chosen by hand so that one
profile holds on the simulated world and on real COCO masks alike, with the published 15.8 % of
traces in several parts. `vidln` follows 15 real records of Video Localized Narratives in all that
can be seen of a trace without knowing what it means: window (median 5 s), time moving in it (0.85
s), points (30), speed, parts (several in 47 %), extent and shape of traces and boxes; what it
covers of a thing, a third of its box by a tight box of about a quarter of its area, are the medians
measured there. Last, each `miss_rate` was fitted to the published precision by bisection. So a
profile reproduces *how much* is amiss; how the error parts into clock and aim is our guess, because
no real traces with the noise of `coco` and `open_images` and known truth were at hand.

Units: seconds; lengths are fractions of the image's sides unless a field says otherwise.
"""

from __future__ import annotations

import msgspec

from alp_builder.errors import UsageError


class NoiseProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of one narrator.

    Attributes:
        name: Name of the profile.
        target_precision: Published in-box precision it is calibrated to, `None` for the exact one.
        word_base: Seconds a word takes besides its letters.
        word_per_char: Seconds per letter.
        word_spread: Standard deviation of the logarithm of a word's duration.
        pause_mean: Mean silence after a phrase that is pointed at (exponential), while the pointer
            goes on; it belongs to the phrase's window because a word lasts until the next one
            starts.
        dwell_min: Least length of such a window; a speaker waits for the pointer.
        frame_pause: Mean silence before a new sentence.
        grouped_rate: Probability that two frame words are one utterance ("In the").
        zero_length_rate: Probability that the first utterance has no length, as in real records.
        unheard_rate: Probability that no utterance carries a word of the caption.
        lead_mean: Seconds the pointer arrives before the phrase starts.
        lead_spread: Standard deviation of that lead between narratives (clock of the recording).
        clock_error: Standard deviation of it between phrases of one narrative (word alignment).
        miss_rate: Probability that a phrase is spoken while the scribble lies beside the thing.
        miss_reach: Distance of such a miss from the thing's box, mean of an exponential.
        aim_error: Displacement of a scribble's centre, standard deviation, in half sides of the
        box.
        stray_rate: Probability that a turn of the scribble goes astray.
        stray_reach: How far astray, standard deviation.
        cover_mean: Mean share of the box's sides that a scribble spans.
        cover_concentration: Concentration (alpha + beta) of the beta distribution of that share; 0
            means always the mean.
        cover_stretch: Standard deviation of the logarithm of the ratio between the shares that it
            spans of the two sides; 0 means the same share of both.
        outline_rate: Probability of circling round the thing instead of scribbling on it.
        roundness: Exponent of a circle's cosine and sine: 1 is an ellipse, less goes into the box's
            corners.
        skip_rate: Probability that a phrase is not pointed at.
        most_each: Most things of a plural that the pointer visits; the truth keeps them all.
        dwell_median: Median time on a thing; 0 means as long as its window. Then the pointer rests.
        dwell_spread: Standard deviation of that time's logarithm.
        split_rate: Probability that the scribble of one thing falls into two places, with a pause
            and a new segment between them; and that it goes on to a further place after those.
        split_most: Most places of such a scribble.
        lift_rate: Probability that the way to the next thing leaves no points (the pointer went
            round outside the image) and a new segment starts there.
        wander_rate: Probability that the pointer wanders while a frame ("we can see") is spoken.
        leave_rate: Probability that the pointer leaves the image between two phrases.
        band: Width of the recorded band round the image.
        scribble_speed: Median speed on a thing, image sides per second.
        scribble_spread: Standard deviation of the logarithm of that speed.
        travel_speed: Median speed between things.
        travel_spread: Standard deviation of the logarithm of that speed.
        tick: Seconds between two events of a moving pointer.
        drop_rate: Probability that the recorder misses an event.
    """

    name: str
    target_precision: float | None = None
    word_base: float = 0.17
    word_per_char: float = 0.052
    word_spread: float = 0.3
    pause_mean: float = 1.5
    dwell_min: float = 0.0
    frame_pause: float = 0.6
    grouped_rate: float = 0.5
    zero_length_rate: float = 0.3
    unheard_rate: float = 0.004
    lead_mean: float = 0.2
    lead_spread: float = 0.15
    clock_error: float = 0.12
    miss_rate: float = 0.0
    miss_reach: float = 0.06
    aim_error: float = 0.15
    stray_rate: float = 0.03
    stray_reach: float = 0.08
    cover_mean: float = 0.4
    cover_concentration: float = 5.0
    cover_stretch: float = 0.0
    outline_rate: float = 0.35
    roundness: float = 1.0
    skip_rate: float = 0.02
    most_each: int = 4
    dwell_median: float = 1.1
    dwell_spread: float = 0.5
    split_rate: float = 0.4
    split_most: int = 2
    lift_rate: float = 0.15
    wander_rate: float = 0.08
    leave_rate: float = 0.08
    band: float = 0.06
    scribble_speed: float = 0.36
    scribble_spread: float = 0.45
    travel_speed: float = 1.0
    travel_spread: float = 0.35
    tick: float = 1 / 60
    drop_rate: float = 0.22


PROFILES: dict[str, NoiseProfile] = {
    profile.name: profile
    for profile in (
        NoiseProfile(
            name="clean",
            word_spread=0.0,
            pause_mean=0.0,
            dwell_min=6.0,  # round a large thing at a hand's speed, not at that of travel
            zero_length_rate=0.0,
            unheard_rate=0.0,
            lead_mean=0.0,
            lead_spread=0.0,
            clock_error=0.0,
            miss_rate=0.0,
            aim_error=0.0,
            stray_rate=0.0,
            cover_mean=1.0,
            cover_concentration=0.0,
            outline_rate=1.0,
            roundness=0.6,
            skip_rate=0.0,
            most_each=100,
            dwell_median=0.0,
            split_rate=0.0,
            lift_rate=1.0,
            wander_rate=0.0,
            leave_rate=0.0,
            scribble_spread=0.0,
            drop_rate=0.0,
        ),
        NoiseProfile(
            name="vidln",
            target_precision=0.83,
            pause_mean=5.0,
            dwell_median=0.45,
            dwell_spread=0.9,
            scribble_speed=0.58,
            lift_rate=0.7,
            lead_spread=0.1,
            clock_error=0.08,
            aim_error=0.1,
            stray_rate=0.02,
            leave_rate=0.05,
            cover_mean=0.3,
            cover_stretch=2.2,
            split_rate=0.6,
            split_most=4,
            miss_rate=0.05,
        ),
        NoiseProfile(name="coco", target_precision=0.548, miss_rate=0.348),
        NoiseProfile(name="open_images", target_precision=0.576, miss_rate=0.313),
    )
}
"""The named profiles."""


def find_profile(name: str) -> NoiseProfile:
    """The profile of a name.

    Raises:
        UsageError: If there is no such profile.
    """
    if name not in PROFILES:
        raise UsageError(f"profile {name!r} is unknown; use one of {', '.join(PROFILES)}")
    return PROFILES[name]
