"""A model on an MLflow server: the file of its CatBoost flavour."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from model import mlflow_client
from model.errors import ModelRefused
from model.mlflow_client import MlflowFailed, NotOnServer
from model.registry.errors import Refused, Unavailable

PREFIX: Final = "mlflow:"
_FLAVOUR: Final = "catboost"
# URIs that name something on a server; with a host in them they name the server, too.
_ON_SERVER: Final = frozenset(("models", "runs", "mlflow-artifacts"))


class Downloaded(NamedTuple):
    """A model's file. `source` names its URI, and its server if that has an address."""

    file: Path
    source: str


@contextmanager
def downloaded(uri: str) -> Iterator[Downloaded]:
    """The model at a URI such as `models:/regno/3`, within the block.

    What else was logged with it, such as a manifest, lies next to it. The server is the one of
    MLFLOW_TRACKING_URI. Raises Unavailable, also if the URI needs a server and none is set; Refused
    where there is no such model, and ModelRefused for a model without a CatBoost flavour.
    """
    if not uri:
        raise Refused(f"{PREFIX} names no model: write {PREFIX}models:/NAME/VERSION, for example")
    with TemporaryDirectory(prefix="mlflow-") as folder:
        try:
            mlflow = mlflow_client.client()
            _check_server(uri, is_set=mlflow.is_tracking_uri_set())
            mlflow_client.announce(mlflow.get_tracking_uri())
            with mlflow_client.failures():
                place = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
                described = mlflow.models.Model.load(str(place))
        except NotOnServer as reason:
            raise Refused(f"{uri}: {reason}") from reason
        except MlflowFailed as reason:
            raise Unavailable(f"{uri}: {reason}") from reason
        except OSError as error:
            raise Refused(f"{uri} can't be read: {error.strerror or error}") from error
        flavour = described.flavors.get(_FLAVOUR)
        if not flavour:
            others = ", ".join(sorted(described.flavors)) or "none"
            raise ModelRefused(f"{uri} has no CatBoost flavour; its flavours: {others}")
        file = (place / str(flavour.get("data", ""))).resolve()
        if not file.is_relative_to(place.resolve()):
            raise ModelRefused(f"{uri}: its MLmodel names a file that is not its own")
        yield Downloaded(file, source_of(uri, mlflow.get_tracking_uri()))


def _check_server(uri: str, *, is_set: bool) -> None:
    """Raise MlflowFailed where MLflow would make a database in this folder and look there."""
    parts = urlsplit(uri)
    if parts.scheme in _ON_SERVER and not (is_set or parts.netloc):
        raise MlflowFailed("MLFLOW_TRACKING_URI is not set: it names the server that has the model")


def source_of(uri: str, server: str) -> str:
    """What a manifest says of a model that came from a URI and a server; without credentials."""
    source = PREFIX + mlflow_client.public(uri)
    if mlflow_client.is_remote(server):
        return f"{source} on {mlflow_client.public(server)}"
    return source
