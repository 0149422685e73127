"""Which half of a data set a name says: training, validation or test."""

import re
from typing import Final, Literal, cast

__all__ = ["Half", "find_half"]

Half = Literal["train", "validation", "test"]

FILLERS: Final = "(?:set|data|dataset|images?|imgs?|split|seg|folder)*"
"""In the name of a half these mean nothing: ``training_set``, ``seg_train``, ``TestImages``."""

FILLER: Final = re.compile(FILLERS)

HALF: Final = re.compile(
    f"{FILLERS}(?:(?P<train>train|training|trn)|(?P<validation>val|valid|validation|dev)|"
    f"(?P<test>test|testing|tst|eval|evaluation|holdout)){FILLERS}"
)


def find_half(name: str) -> tuple[Half | None, tuple[str, ...]]:
    """Return which half a name says, and the rest of its words: ``sign_mnist_train`` gives train and sign, mnist."""
    words = [(word, HALF.fullmatch(word)) for word in re.split(r"[^a-z0-9]+", name.lower())]
    found = {cast("Half", match.lastgroup) for _, match in words if match}
    rest = tuple(word for word, match in words if not match and not FILLER.fullmatch(word))
    return (found.pop() if len(found) == 1 else None), rest
