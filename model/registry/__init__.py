"""The models' registry: versions of model files, and which of them is live.

May import: model's errors, stdlib, msgspec; boto3 in the home at S3. Never a scorer but by
name, where a model is loaded: `examination` does so in a process of its own, and `promotion`
compares two that were examined. Never the environment.
registry (what can be done) → aliases (the rules) and a home (file_home or s3_home: bytes).
A version never changes. All aliases are one file, changed as a whole.
"""

from model.registry.aliases import Aliases, Change
from model.registry.errors import Conflict, Damaged, Refused, RegistryError, Unavailable
from model.registry.examination import examine
from model.registry.homes import Entry, Files, is_name
from model.registry.registry import Fault, Moved, Registry, open_registry

__all__ = [
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
    "examine",
    "is_name",
    "open_registry",
]
