"""The models' registry: versions of model files, and which of them is live.

May import: model's catalog and errors, stdlib, msgspec; boto3 in the store at S3. Never a scorer
but by the catalog, where a model is loaded: `validation` does so in a process of its own, and
`promotion` compares two that were validated. Never the environment.
registry (what can be done) → aliases (the rules) and a store (file_store or s3_store: bytes).
A version never changes. All aliases are one file, changed as a whole.
"""

from model.registry.aliases import Aliases, Change
from model.registry.description import measures
from model.registry.errors import Conflict, Damaged, Refused, RegistryError, Unavailable
from model.registry.registry import Fault, Moved, Registry, open_registry
from model.registry.store import MANIFEST, Entry, Files, VersionManifest
from model.registry.validation import (
    Validated,
    ValidationProcess,
    check_model,
    model_digest,
    validate,
)

__all__ = [
    "MANIFEST",
    "Aliases",
    "Change",
    "Conflict",
    "Damaged",
    "Entry",
    "Fault",
    "Files",
    "Moved",
    "Refused",
    "Registry",
    "RegistryError",
    "Unavailable",
    "Validated",
    "ValidationProcess",
    "VersionManifest",
    "check_model",
    "measures",
    "model_digest",
    "open_registry",
    "validate",
]
