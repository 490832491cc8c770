"""Whose reading to take: the choice that costs least, by what each mistake costs.

With p the probability that the network is right, the expected costs are

    the network's reading   (1 - p) * network_wrong
    the camera's reading    p * camera_wrong
    a manual look           manual

so the network's is cheaper than a look from p = 1 - manual / network_wrong on, the camera's
up to p = manual / camera_wrong. Where the second is not below the first, a look is never the
cheapest, and one threshold parts the two: network_wrong / (network_wrong + camera_wrong).
This is Chow's rule (On optimum recognition error and reject tradeoff, IEEE Transactions on
Information Theory 16, 1970) with the cost matrix of Elkan (The foundations of cost-sensitive
learning, IJCAI 2001).
"""

from typing import Final, Literal, Self, TypeAlias, get_args

from msgspec import Struct

from model.regno.model_file.manifest import Manifest

Decision: TypeAlias = Literal["camera", "network", "manual"]
DECISIONS: Final[tuple[Decision, ...]] = get_args(Decision)


class Costs(Struct, frozen=True):
    """What it costs to take a reading that is wrong, and to look; in any one unit.

    The two mistakes cost more than nothing.
    """

    network_wrong: float
    camera_wrong: float
    manual: float


DEFAULT_COSTS: Final = Costs(network_wrong=1.0, camera_wrong=1.0, manual=0.3)


class Thresholds:
    """The camera's reading is taken up to `camera`, the network's from `network` on.

    `source` is `manifest` if a version has them of its own, `costs` if costs make them.
    """

    names = DECISIONS

    def __init__(self, costs: Costs) -> None:
        self.source = "costs"
        self.camera = costs.manual / costs.camera_wrong
        self.network = 1 - costs.manual / costs.network_wrong
        if self.camera >= self.network:
            both = costs.network_wrong / (costs.network_wrong + costs.camera_wrong)
            self.camera = self.network = both

    @classmethod
    def at(cls, camera: float, network: float) -> Self:
        """Thresholds that costs do not determine; `camera` is not above `network`."""
        thresholds = cls.__new__(cls)
        thresholds.camera, thresholds.network, thresholds.source = camera, network, "manifest"
        return thresholds

    @property
    def limits(self) -> dict[str, float]:
        """Both thresholds by the decision that they begin."""
        return {"camera": self.camera, "network": self.network}

    def decide(self, positive: float) -> Decision:
        """The cheapest choice for a probability that the network is right."""
        if positive >= self.network:
            return "network"
        return "camera" if positive <= self.camera else "manual"

    def margin(self, positive: float) -> float:
        """How far a probability is from the nearest threshold."""
        return min(abs(positive - self.camera), abs(positive - self.network))


class ThresholdChoice:
    """Which thresholds decide: those of a model's manifest, or the cheapest by costs."""

    def __init__(self, costs: Costs, *, by_costs: bool = False) -> None:
        """`by_costs`: the costs determine the thresholds, whatever a manifest has."""
        self._cheapest = Thresholds(costs)
        self._by_costs = by_costs

    def of(self, described: Manifest | None) -> Thresholds:
        """The thresholds for the scores of a model, by its manifest."""
        if described is None or described.thresholds is None or self._by_costs:
            return self._cheapest
        return Thresholds.at(described.thresholds.camera, described.thresholds.network)
