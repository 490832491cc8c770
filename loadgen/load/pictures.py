"""The workload of pictures: digits and photos with the answers that any version must give."""

from collections.abc import Sequence
from itertools import cycle
from random import Random
from typing import Final

from loadgen.common.pictures import Picture
from loadgen.load.workload import Kind, Mix, RequestSpec

_COUNT: Final = 1000


def build_requests(mix: Mix, pictures: Sequence[Picture], key: str) -> list[RequestSpec]:
    """Requests in the proportions of the mix, in an order that is the same each time."""
    random = Random(5)  # noqa: S311 - an order, not a secret
    weights = {kind: weight for kind, weight in mix.weights().items() if weight}
    kinds = random.choices(list(weights), list(weights.values()), k=_COUNT)
    sources = {kind: cycle(_specs(kind, pictures, key)) for kind in weights}
    return [next(sources[kind]) for kind in kinds]


def _specs(kind: Kind, pictures: Sequence[Picture], key: str) -> list[RequestSpec]:
    return [
        RequestSpec(
            one.kind, one.image, one.headers(key), one.path, status=one.status, answer=one.answer
        )
        for one in pictures
        if one.kind == kind
    ]
