"""Who narrates which image.

Every image is to be narrated by R different annotators (the redundancy). An assignment that was made stays,
so that nobody's list changes under their hands; images that lack annotators go to whoever has the fewest, in
order of the images and, among equals, of the annotators' numbers. Whoever joins later takes over images that
others have not begun, until all have the same number, give or take one. The same folder, annotators and
history give the same shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

Shares = dict[str, list[int]]
"""Numbers of the annotators of each image, by the image's key."""


def share_out(
    images: Sequence[str],
    annotators: Sequence[int],
    redundancy: int,
    held: Mapping[str, Sequence[int]],
    begun: Collection[tuple[str, int]],
) -> Shares:
    """Shares images out.

    Args:
        images: Their keys, in order.
        annotators: Numbers of those who narrate.
        redundancy: Annotators an image gets; all of them where there are fewer.
        held: Shares made before; annotators and images that are gone are passed over.
        begun: Pairs of image and annotator that have a narrative: those are never taken away.

    Returns:
        The shares of all images.
    """
    wanted, known, done = min(redundancy, len(annotators)), set(annotators), set(begun)
    shares: Shares = {}
    for image in images:
        before = [who for who in held.get(image, ()) if who in known]
        before += [who for who in annotators if (image, who) in done and who not in before]
        before.sort(key=lambda who: (image, who) not in done)
        kept = sum((image, who) in done for who in before)
        shares[image] = before[: max(wanted, kept)]
    load = Counter(dict.fromkeys(annotators, 0))
    load.update(who for group in shares.values() for who in group)
    for image in images:
        while len(shares[image]) < wanted:
            free = [who for who in annotators if who not in shares[image]]
            chosen = min(free, key=lambda who: (load[who], who))
            shares[image].append(chosen)
            load[chosen] += 1
    _level(images, annotators, shares, load, done)
    return {image: sorted(group) for image, group in shares.items()}


def _level(
    images: Sequence[str],
    annotators: Sequence[int],
    shares: Shares,
    load: Counter[int],
    done: set[tuple[str, int]],
) -> None:
    """Moves assignments not begun from who has most to who has least, one by one, the last images first."""
    place = dict.fromkeys(annotators, len(images))  # each one's images from here on were looked at
    while any(place.values()):
        giver = max((who for who in annotators if place[who]), key=lambda who: (load[who], -who))
        if load[giver] - min(load.values()) <= 1:
            return
        place[giver] -= 1
        image = images[place[giver]]
        group = shares[image]
        if giver not in group or (image, giver) in done:
            continue
        free = [who for who in annotators if who not in group]
        taker = min(free, key=lambda who: (load[who], who), default=giver)
        if load[giver] - load[taker] > 1:
            group[group.index(giver)] = taker
            load[giver] -= 1
            load[taker] += 1
