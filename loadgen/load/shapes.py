"""The shapes of load tests, read from `shapes.toml` with types and exact errors."""

from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from loadgen.common.errors import BadFile
from loadgen.load.limits import PICTURE_TESTS, LimitsName, read_toml
from loadgen.load.verdict import GeneratorLimits
from loadgen.load.workload import Mix

PATH: Final = Path(__file__).with_name("shapes.toml")

Rate = Annotated[float, Meta(gt=0, le=100_000)]
Seconds = Annotated[int, Meta(ge=1, le=604_800)]
Connections = Annotated[int, Meta(ge=1, le=10_000)]
# Also the name of the files that a run writes.
Name = Annotated[str, Meta(pattern=r"^[\w.-]+$")]
_MOST_STEPS: Final = 1000
_OF_PICTURES: Final = " and ".join(f"`{name}`" for name in sorted(PICTURE_TESTS))


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: an unknown key is an error."""


class Stage(_Table, frozen=True, rename={"start": "from", "given_name": "name"}):
    """Whole seconds at one rate, or with a rate that goes from `start` to it."""

    seconds: Seconds
    rate: Rate
    start: Annotated[float, Meta(ge=0)] | None = None
    judged: bool = False
    given_name: str = ""

    @property
    def began_at(self) -> float:
        """The rate at its start."""
        return self.rate if self.start is None else self.start

    @property
    def name(self) -> str:
        """Its name in tables."""
        return self.given_name or f"{self.rate:g} requests a second"


class Steps(_Table, frozen=True, rename={"start": "from"}):
    """Stages of increasing rates, all of them judged."""

    start: Rate
    to: Rate
    by: Rate
    seconds: Seconds

    def __post_init__(self) -> None:
        """Reject steps that go down or are too many."""
        if self.to < self.start:
            raise ValueError("steps go up: `to` is less than `from`")
        if self._count() > _MOST_STEPS:
            raise ValueError(f"there are more than {_MOST_STEPS:,} steps")

    def stages(self) -> tuple[Stage, ...]:
        """The stages of these steps."""
        rates = (self.start + number * self.by for number in range(self._count()))
        return tuple(Stage(self.seconds, rate, judged=True) for rate in rates)

    def _count(self) -> int:
        # For the rounding error of a division such as 0.3 / 0.1.
        return int((self.to - self.start) / self.by + 1e-9) + 1


class Generator(GeneratorLimits, frozen=True, forbid_unknown_fields=True):
    """The limits of the generator, its timeout for a reply, and for a job after its last one."""

    timeout_seconds: Annotated[float, Meta(gt=0, le=3600)]
    job_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 60.0


class _Shape(_Table, frozen=True):
    about: str
    limits: LimitsName
    connections: Connections
    stages: tuple[Stage, ...] = ()
    steps: Steps | None = None
    mix: Mix | None = None

    def __post_init__(self) -> None:
        if bool(self.stages) == bool(self.steps):
            raise ValueError("a shape has either stages or steps")
        if self.stages and not any(stage.judged for stage in self.stages):
            raise ValueError("no stage is judged, so there would be no verdict")


class _File(_Table, frozen=True):
    generator: Generator
    mix: Mix
    shape: dict[Name, _Shape]

    def __post_init__(self) -> None:
        """Reject a shape whose limits are not those of its requests."""
        for name, shape in self.shape.items():
            if (shape.mix or self.mix).has_jobs != (shape.limits == "job_test"):
                raise ValueError(f"{name}: `job_test` is the limits of jobs, and of jobs alone")
            if (shape.mix or self.mix).has_pictures != (shape.limits in PICTURE_TESTS):
                raise ValueError(f"{name}: {_OF_PICTURES} are the limits of pictures alone")


class Shape(Struct, frozen=True):
    """A sequence of stages with its workload and its limits."""

    name: str
    about: str
    limits: LimitsName
    connections: int
    stages: tuple[Stage, ...]
    seeks_knee: bool
    mix: Mix
    generator: Generator

    @property
    def seconds(self) -> int:
        """Its duration."""
        return sum(stage.seconds for stage in self.stages)


def read(path: Path = PATH) -> dict[str, Shape]:
    """The shapes by name. Raises BadFile."""
    content = read_toml(path, _File)
    return {name: _shape(name, shape, content) for name, shape in content.shape.items()}


def named(name: str, path: Path = PATH) -> Shape:
    """The shape of a name. Raises BadFile, which lists the names."""
    shapes = read(path)
    if name not in shapes:
        raise BadFile(f"{path}: there is no shape {name!r}, but {', '.join(shapes)}")
    return shapes[name]


def _shape(name: str, shape: _Shape, file: _File) -> Shape:
    return Shape(
        name,
        shape.about,
        shape.limits,
        shape.connections,
        shape.steps.stages() if shape.steps else shape.stages,
        shape.steps is not None,
        shape.mix or file.mix,
        file.generator,
    )
