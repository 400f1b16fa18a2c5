"""The closed word lists behind the phrase rules, each with what it is for.

Narrators frame what they describe ("in this image", "on the left side", "in the background we can see"):
such words name the picture or a place in it, not a thing. The lists were collected from the wording of human
narratives; a noun that also names a thing ("frame", "back", "scene") is taken as frame only in the shapes
that `alp_builder.phrases` tests.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PICTURE_NOUNS = _words(
    "image picture photo photograph photography pic snapshot snap screenshot scene view frame scenery"
    " photocopy illustration"
)
"""Heads that mean the picture itself: "this image", "a view", "the black and white photograph"."""

PICTURE_MODIFIERS = _words(
    "black white and colour color colored coloured colorful given present above below following edited"
    " animated blurred blur blurry old vintage outdoor indoor inside outside aerial top close closeup"
    " whole entire main first second other same beautiful clear night day"
)
"""Words that may stand before a picture noun without making it a thing that is shown."""

PLACE_NOUNS = _words(
    "background foreground side left right top bottom center centre middle midst front back backside"
    " corner end rear backdrop surrounding surroundings hand-side leftside rightside sides corners"
)
"""Heads that mean a place in the picture: "the left side", "the top", "the background"."""

PLACE_MODIFIERS = _words(
    "left right top bottom upper lower middle center centre central front back far extreme other both hand"
    " most either opposite same one two three four immediate near rear side and corner very -"
    " blurred blur blurry"
    " dark top-left"
    " top-right bottom-left bottom-right"
)
"""Words that may stand before a place noun: "the bottom right corner", "the left hand side"."""

ABSTRACT_NOUNS = _words(
    "color colour distance number lot kind type sort way time position direction order something day"
    " night daytime dark indoor outdoor indoors outdoors anything everything nothing everyone someone"
    " somebody thing collage part portion matter"
)
"""Heads that name no thing one could point at, when nothing follows that they are a part or kind of."""

STUFF_NOUNS = _words(
    "sky cloud fog mist smoke grass grassland lawn field meadow ground soil dirt mud sand beach desert"
    " gravel road street path pathway track pavement sidewalk footpath floor carpet wall ceiling water sea"
    " ocean river stream lake pond ice snow mountain hill forest land landscape"
)
"""Heads that name amorphous regions of a scene, not things with a shape of their own: they reach far
beyond the part that is pointed at. From everyday English and the stuff of COCO-Stuff (Caesar et al., CVPR
2018), less what can be counted and has an outline (trees, buildings, curtains)."""

GROUP_NOUNS = _words(
    "group bunch pair couple herd flock crowd set row number lot pile stack series variety collection"
    " team crew range array batch bundle cluster heap plenty dozen swarm"
)
"""Heads before "of" that stand for several of what follows: "a group of cows" means cows."""

PART_NOUNS = _words("piece slice part portion bit type kind sort view picture image photo painting")
"""Heads before "of" that are dropped for what follows: "a slice of pizza" means the pizza."""

CONTAINER_NOUNS = _words(
    "cup glass bottle bowl plate mug jar box bag basket can tin packet tray pot bucket vase pack carton"
    " jug pitcher tub dish sack crate tank barrel"
)
"""Heads before "of" that are pointed at themselves: "a cup of coffee" means the cup."""

COLORS = _words(
    "red green blue yellow orange purple violet pink brown black white grey gray cream maroon golden gold"
    " silver beige navy turquoise indigo magenta peach teal olive lavender ash dark light multi different"
)
"""Words after which "color" adds nothing: "red color bus"."""

COLOR_WORDS = _words("color colour colored coloured colors colours")
"""The word that adds nothing there."""

QUANTIFIERS = _words(
    "few many several some other another more most various different multiple numerous such own same any"
    " first second third fourth fifth next last only even also just certain all both each every no couple lots"
)
"""Words before a noun that count or point; they say nothing of how the thing looks."""

PLURAL_QUANTIFIERS = _words(
    "few many several various multiple numerous both two three four five six seven eight nine ten eleven"
    " twelve dozen couple different these those"
)
"""Words that make a phrase plural even where the noun is not: "two woman", "few person"."""

PLURAL_ONLY = _words(
    "jeans trousers pants shorts spectacles spects specs glasses eyeglasses sunglasses goggles shades"
    " scissors pliers binoculars headphones earphones tights leggings pyjamas pajamas overalls clothes"
    " stairs tongs tweezers"
)
"""Plural in form, one thing in the picture."""

SAME_IN_PLURAL = _words(
    "fish sheep deer bison moose salmon trout shrimp squid swine aircraft spacecraft"
)
"""Nouns whose plural is the noun: several of them, unless a word for one of them stands before."""

ONE_OF_THEM = _words(
    "a an one the this that each every another his her its my your our their single"
)
"""Words for one of them."""

COLLECTIVE_SINGULAR = _words(
    "people persons men women children audience crew crowd team family police"
)
"""Heads that mean several, whatever their form."""
