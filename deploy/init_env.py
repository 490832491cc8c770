"""`python -m deploy.init_env [FOLDER]`: make what is missing of `.env` and the files of secrets.

What is there stays as it is: whoever has an old key would be locked out. A `.env` of an older
version gets the settings that it lacks, with their defaults. What others could read is closed.
"""

import argparse
import os
import re
import secrets
import ssl
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from service.config import files as atomic

_EXAMPLE: Final = Path(__file__).parents[1] / ".env.example"
# What the example leaves to be chosen, relative to the folder of `.env`.
_CHOSEN: Final = {
    "SCORING_ADMINS": "admin",
    "SCORING_API_KEYS": "",
    "SCORING_API_KEYS_FILE": "secrets/api_keys",
    "SCORING_METRICS_TOKEN_FILE": "secrets/metrics_token",
    "LOADGEN_API_KEY_FILE": "secrets/loadgen_api_key",
    "ALERTMANAGER_NOBODY": "true",
}
# Also in a comment: then somebody does not want it.
_NAMED: Final = re.compile(r"^[ \t#]*(?:export[ \t]+)?([A-Z][A-Z0-9_]*)[ \t]*=", re.MULTILINE)

_KEYS: Final = "api_keys"
_GENERATOR: Final = "loadgen_api_key"
_TOKEN: Final = "metrics_token"  # noqa: S105 - a file's name
_PASSWORD: Final = "grafana_admin_password"  # noqa: S105 - likewise
# What brings each into force; the generator's key is one of the keys, in a file of its own too.
_IN_FORCE: Final = {
    _KEYS: "docker compose restart scoring",
    _GENERATOR: "docker compose restart scoring",
    _TOKEN: "docker compose restart scoring prometheus",
    _PASSWORD: "docker compose exec grafana grafana cli admin reset-admin-password …",
}
_COMMENT: Final = re.compile(r"^[ \t]*#.*", re.MULTILINE)
_GENERATORS_LINE: Final = re.compile(r"^[ \t]*loadgen:(\S+).*\n?", re.MULTILINE)
# Compose wants the file, filled in or not; what an operator has put there stays.
_CREDENTIALS: Final = "aws_credentials"
_NO_CREDENTIALS: Final = """\
# For a registry at S3, in the form of ~/.aws/credentials.
[default]
# aws_access_key_id =
# aws_secret_access_key =
"""
_EDGE: Final = "edge"
# Certificates and what Alertmanager reads are the operator's to put there.
_FOLDERS: Final = (_EDGE, "alertmanager")
_CERTIFICATES: Final = ("ca.crt", "server.crt", "server.key")
# Who has signed what `certs.sh` makes.
_TEST_AUTHORITY: Final = b"Test authority of the edge"

# The most that others are given. Several users of containers read a secret, each the file that it
# is given, and only the owner gets into its folder.
_ONLY_OWNER: Final = 0o700
_DOTENV: Final = 0o600
_SECRET: Final = 0o644
_FOLDER: Final = 0o755
_ROOT: Final = 0
# What lets others in.
_OTHERS: Final = 0o077


class Found(NamedTuple):
    """A file or a folder that is there, the rights that it gives, and the most that it may give."""

    path: Path
    rights: int
    most: int


class Refused(Exception):
    """What is there is no file or folder of this user's own."""


def main() -> int:
    """Exit code 0, or 73 when something can't be written or is not to be trusted."""
    arguments = _arguments()
    place = Place(arguments.folder)
    try:
        for line in place.close():
            sys.stdout.write(f"{line}\n")
        made = place.renew(arguments.only) if arguments.only else place.complete(arguments.force)
        for line in made:
            sys.stdout.write(f"{line}\n")
    except Refused as reason:
        sys.stderr.write(f"{reason}\n")
        return 73  # EX_CANTCREAT
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 73
    except UnicodeError:
        sys.stderr.write(f"{arguments.folder}: .env or a file of secrets is no UTF-8 text\n")
        return 73
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.init_env", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="where to [here]")
    which = parser.add_mutually_exclusive_group()
    force = "make .env and all secrets anew; what was there is kept beside it"
    which.add_argument("--force", action="store_true", help=force)
    which.add_argument("--only", choices=_IN_FORCE, help="make this secret anew, likewise")
    return parser.parse_args()


class Place:
    """A folder with `.env` and `secrets/`. All methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dotenv = folder / ".env"
        self._secrets = folder / "secrets"

    def close(self) -> list[str]:
        """Make the folders, and let only the owner into what is there. Raises Refused.

        A line on what others could get at until now. Nothing is closed before all is checked: else
        that line would be lost.
        """
        self._check_folder()
        found = [
            *self._check_secrets(),
            *(_check(path, stat.S_ISREG, _DOTENV) for path in self._dotenvs()),
        ]
        was_open = any(of.path == self._secrets and of.rights & _OTHERS for of in found)
        for of in found:
            if of.rights & ~of.most:
                of.path.chmod(of.rights & of.most)
        shown = [
            str(of.path)
            for of in found
            if of.rights & _OTHERS and (was_open or of.path.parent == self._folder)
            if of.path.is_file()
        ]
        return [f"Open to others until now, renew what is in them: {', '.join(shown)}"] * bool(
            shown
        )

    def _dotenvs(self) -> list[Path]:
        return [self._dotenv, *sorted(self._folder.glob(".env*.bak"))]

    def _check_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        status = self._folder.stat()
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise Refused(
                f"{self._folder} is open to all for writing: nothing was written. chmod o-w"
            )
        if status.st_uid != os.geteuid():  # who could put another folder in the place of `secrets`
            raise Refused(f"{self._folder} is another user's: nothing was written. chown it")

    def _check_secrets(self) -> Iterator[Found]:
        """The folder of secrets, with all that is in it, and with its own folders made."""
        self._secrets.mkdir(mode=_ONLY_OWNER, exist_ok=True)
        yield _check(self._secrets, stat.S_ISDIR, _ONLY_OWNER)
        for name in _FOLDERS:
            (self._secrets / name).mkdir(mode=_FOLDER, exist_ok=True)
            _check(self._secrets / name, stat.S_ISDIR, _FOLDER)
        for name in (*_IN_FORCE, _CREDENTIALS):
            _check(self._secrets / name, stat.S_ISREG, _SECRET)
        for name in _CERTIFICATES:
            _check(self._secrets / _EDGE / name, stat.S_ISREG, _SECRET, _ROOT)
        for path in sorted(self._secrets.rglob("*")):
            # Of what is none of ours, an operator may keep links, and files of root.
            if path.is_dir() and not path.is_symlink():
                yield _check(path, stat.S_ISDIR, _FOLDER, _ROOT)
            elif path.is_file() and not path.is_symlink():
                yield _check(path, stat.S_ISREG, _SECRET, _ROOT)

    def complete(self, anew: bool) -> Iterator[str]:  # noqa: FBT001 - the flag, as it is given
        """Make what is missing, or all but certificates anew; a line on each."""
        there = {name for name in _IN_FORCE if self._holds_something(name)}
        for name in (_KEYS, _TOKEN, _PASSWORD):
            if anew or name not in there:
                yield from self._write(self._new(name))
        if _KEYS in there and _GENERATOR not in there and not anew:
            yield from self._write(self._generators_key())
        if not (self._secrets / _CREDENTIALS).exists():
            yield from self._write({_CREDENTIALS: _NO_CREDENTIALS})
        yield from self._settings(anew=anew)
        yield from self._certificates()
        if there and not anew:
            yield f"Kept: {', '.join(sorted(there))}. ARGS='--only NAME' makes one anew"

    def renew(self, name: str) -> Iterator[str]:
        """Make one secret anew; a line on each file that it stands in."""
        yield from self._write(self._new(name))
        yield f"To bring it into force: {_IN_FORCE[name]}"

    def _holds_something(self, name: str) -> bool:
        """Whether a secret's file is there and not empty; comments beside keys do not count."""
        path = self._secrets / name
        text = _text_of(path) if path.exists() else ""
        return bool((_COMMENT.sub("", text) if name == _KEYS else text).strip("\ufeff \t\r\n"))

    def _new(self, name: str) -> dict[str, str]:
        """The files that a new secret stands in, and their contents."""
        if name == _PASSWORD:
            return {name: secrets.token_urlsafe(24)}
        secret = secrets.token_urlsafe(32)
        if name == _TOKEN:
            return {name: f"{secret}\n"}
        if name == _KEYS:
            others = (f"{caller}:{secrets.token_urlsafe(32)}\n" for caller in ("client", "admin"))
            keys = "".join(others)
        else:
            keys = _GENERATORS_LINE.sub("", self._keys())
        return {_KEYS: f"{keys}loadgen:{secret}\n", _GENERATOR: f"{secret}\n"}

    def _generators_key(self) -> dict[str, str]:
        """Its file, which is missing, by the key that it has."""
        line = _GENERATORS_LINE.search(self._keys())
        return {_GENERATOR: f"{line[1]}\n"} if line else self._new(_GENERATOR)

    def _keys(self) -> str:
        path = self._secrets / _KEYS
        text = _text_of(path) if path.exists() else ""
        return text if text.endswith("\n") or not text else f"{text}\n"

    def _write(self, contents: dict[str, str]) -> Iterator[str]:
        for name, text in contents.items():
            yield _replace(self._secrets / name, text, _SECRET)

    def _settings(self, *, anew: bool) -> Iterator[str]:
        """A new `.env`, or what one of an older version lacks, and no more, at its end."""
        if anew or not self._dotenv.exists():
            yield _replace(
                self._dotenv, _with_values(_EXAMPLE.read_text("utf-8"), _CHOSEN), _DOTENV
            )
            yield "Nobody is told of alerts until it sets ALERTMANAGER_WEBHOOK_URL or _EMAIL_TO"
            return
        text = _text_of(self._dotenv)
        # Nothing is chosen for who has chosen before: each new line is the default, or empty.
        example = _with_values(_EXAMPLE.read_text("utf-8"), dict.fromkeys(_CHOSEN, ""))
        known = set(_NAMED.findall(text.removeprefix("\ufeff")))
        blocks = example.strip().split("\n\n")
        lacking = [block for block in blocks if not known.issuperset(_NAMED.findall(block))]
        if lacking:
            atomic.write(self._dotenv, "\n\n".join([text.rstrip("\n"), *lacking, ""]), _DOTENV)
            names = (name for block in lacking for name in _NAMED.findall(block))
            yield f"Added to {self._dotenv}, with their defaults: {', '.join(names)}"
        else:
            yield f"Kept: {self._dotenv}, which has all settings"

    def _certificates(self) -> Iterator[str]:
        """Those to try the edge with, if they were made and there are no others."""
        made, edge = self._folder / "build" / "certs", self._secrets / _EDGE
        if not (made / "server.crt").exists():
            return
        if _has_certificates_of_others(edge):
            yield f"Kept: the certificates in {edge}, which are not those to try with"
            return
        for name in _CERTIFICATES:
            text = _text_of(made / name)
            if not (edge / name).exists() or _text_of(edge / name) != text:
                atomic.write(edge / name, text, _SECRET)
                yield f"Made: {edge / name}, to try with"


def _has_certificates_of_others(edge: Path) -> bool:
    """Whether a certificate there is not of the test authority, or a key has no certificate."""
    there = [edge / name for name in _CERTIFICATES if (edge / name).exists()]
    certificates = [path for path in there if path.suffix == ".crt"]
    return not all(map(_is_for_tests, certificates)) or there == [edge / "server.key"]


def _check(path: Path, is_kind: Callable[[int], bool], most: int, *others: int) -> Found:
    """What rights a path gives, none if it is not there.

    Raises Refused when it is not this user's, nor of one of the others, or has another name.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return Found(path, 0, most)
    if not is_kind(status.st_mode):
        raise Refused(f"{path} is a link, or no file of its kind: nothing was written. Remove it")
    if status.st_uid not in (os.geteuid(), *others):
        raise Refused(f"{path} is another user's: nothing was written. Remove it, or chown it")
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        raise Refused(f"{path} has a second name elsewhere: nothing was written. Copy it anew")
    return Found(path, stat.S_IMODE(status.st_mode), most)


def _replace(path: Path, text: str, mode: int) -> str:
    """Write a file, and keep the one that was there beside it; a line on it."""
    if not path.exists():
        atomic.write(path, text, mode)
        return f"Made: {path}"
    former = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.bak")
    atomic.write(former, _text_of(path), 0o400)
    atomic.write(path, text, mode)
    return f"Made anew: {path}; the former one is {former}"


def _text_of(path: Path) -> str:
    """The text as it is, with its own line ends."""
    return path.read_bytes().decode()


def _with_values(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    return text


def _is_for_tests(certificate: Path) -> bool:
    """Whether the test authority has signed a certificate. What can't be read is the operator's."""
    try:
        return _TEST_AUTHORITY in ssl.PEM_cert_to_DER_cert(certificate.read_text("ascii"))
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
