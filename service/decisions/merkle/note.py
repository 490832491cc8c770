"""Signed notes: C2SP signed-note with Ed25519, and cosignatures of witnesses (tlog-cosignature).

A note is a text and lines of signatures behind it. A verifier passes over lines of keys
that it does not have, and refuses a note with a wrong signature of a key that it has.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

_ED25519: Final = 1
_COSIGNATURE: Final = 4
_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_KEY_BYTES: Final = 32
_DASH: Final = "— "


class BadNote(Exception):
    """A text is no note, or a signature of a known key is wrong or missing."""


class Verifier(NamedTuple):
    """A public key with its name; `cosigns`: that of a witness, whose signatures hold a time."""

    name: str
    key: Ed25519PublicKey
    cosigns: bool = False

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of a name apart."""
        return sha256(self.name.encode() + b"\n" + self._typed).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """The verifier key: `name+id+base64`."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._typed).decode()}"

    @property
    def _typed(self) -> bytes:
        return bytes((_COSIGNATURE if self.cosigns else _ED25519,)) + self.key.public_bytes_raw()


class Signer(NamedTuple):
    """A private key with its name; `cosigns` as for `Verifier`."""

    name: str
    key: Ed25519PrivateKey
    cosigns: bool = False

    @property
    def verifier(self) -> Verifier:
        """What verifies its signatures."""
        return Verifier(self.name, self.key.public_key(), self.cosigns)

    def line(self, text: str, time: int = 0) -> str:
        """The line of a signature of a text; `time` (seconds of the epoch) is that of a witness."""
        if self.cosigns:
            stamp = time.to_bytes(_TIME_BYTES)
            signature = stamp + self.key.sign(_cosigned(text, time))
        else:
            signature = self.key.sign(text.encode())
        encoded = base64.b64encode(self.verifier.key_id + signature).decode()
        return f"{_DASH}{self.name} {encoded}\n"


def verifier_of(text: str) -> Verifier:
    """The verifier of a verifier key. Raises BadNote."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    typed = _decoded(encoded)
    kind, key = typed[:1], typed[1:]
    if not is_name(name) or len(key) != _KEY_BYTES or kind[0] not in {_ED25519, _COSIGNATURE}:
        raise BadNote("it is no verifier key of Ed25519")
    found = Verifier(name, Ed25519PublicKey.from_public_bytes(key), kind[0] == _COSIGNATURE)
    if found.key_id.hex() != key_id:
        raise BadNote("its id belongs to another key")
    return found


def sign(text: str, signers: Sequence[Signer], time: int = 0) -> str:
    """A note: the text, which ends with a line end, and a signature of each signer."""
    if not text.endswith("\n"):
        raise ValueError("the text of a note ends with a line end")
    return f"{text}\n{''.join(signer.line(text, time) for signer in signers)}"


def opened(note: str, verifiers: Sequence[Verifier]) -> tuple[str, dict[str, int]]:
    """The text of a note, and who of the verifiers signed it, with the time of witnesses (else 0).

    Raises BadNote if a signature of one of them is wrong, or there is none at all.
    """
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise BadNote("it has no signatures")
    text += "\n"
    signed: dict[str, int] = {}
    for name, key_id, signature in _signatures(lines):
        for verifier in verifiers:
            if (verifier.name, verifier.key_id) == (name, key_id):
                signed[name] = _checked(verifier, text, signature)
    if not signed:
        raise BadNote("none of the known keys signed it")
    return text, signed


def _signatures(lines: str) -> Iterator[tuple[str, bytes, bytes]]:
    for line in lines.removesuffix("\n").split("\n"):
        name, separator, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not separator or not is_name(name):
            raise BadNote("a line behind its text is no signature")
        signature = _decoded(encoded)
        yield name, signature[:_ID_BYTES], signature[_ID_BYTES:]


def _checked(verifier: Verifier, text: str, signature: bytes) -> int:
    """The time of a witness, 0 for other signers. Raises BadNote."""
    time, message = 0, text.encode()
    if verifier.cosigns:
        time = int.from_bytes(signature[:_TIME_BYTES])
        signature, message = signature[_TIME_BYTES:], _cosigned(text, time)
    try:
        verifier.key.verify(signature, message)
    except InvalidSignature:
        raise BadNote(f"the signature of {verifier.name} is wrong") from None
    return time


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _decoded(encoded: str) -> bytes:
    try:
        found = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote("it is not base64") from None
    if len(found) <= _ID_BYTES:
        raise BadNote("it is too short")
    return found


def is_name(name: str) -> bool:
    """Whether a signed note can have a signature by this name."""
    return bool(name) and "+" not in name and not any(sign.isspace() for sign in name)
