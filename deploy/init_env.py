"""`python -m deploy.init_env [FOLDER]`: create missing secrets and settings.

Existing files stay as they are, since a new key would lock out the callers that have the old one.
A `.env` of an older version gets the settings that it lacks, with their defaults. Files that other
users could read are closed to them.
"""

import argparse
import base64
import hashlib
import json
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
# Values in place of those of the example; paths are relative to the folder of `.env`.
_VALUES: Final = {
    "SCORING_ADMINS": "admin",
    "SCORING_API_KEYS": "",
    "SCORING_API_KEYS_FILE": "secrets/api_keys",
    "SCORING_METRICS_TOKEN_FILE": "secrets/metrics_token",
    "LOADGEN_API_KEY_FILE": "secrets/loadgen_api_key",
    "ALERTMANAGER_ALLOW_NO_RECEIVER": "true",
}
# A setting in a comment counts: the operator has chosen to leave it out.
_NAMED: Final = re.compile(r"^[ \t#]*(?:export[ \t]+)?([A-Z][A-Z0-9_]*)[ \t]*=", re.MULTILINE)

_KEYS: Final = "api_keys"
_GENERATOR: Final = "loadgen_api_key"
_TOKEN: Final = "metrics_token"  # noqa: S105 - a file's name
_PASSWORD: Final = "grafana_admin_password"  # noqa: S105 - likewise
# What RabbitMQ and Redis know of their users: hashes of passwords. Each user has a file with a URL.
_BROKER: Final = "broker_users"
_RECORDS: Final = "records_users"
_VHOST: Final = "scoring"
# By users of the broker: what they may configure, write to and read from (docs/operating.md).
_PERMISSIONS: Final = {
    "web": ("", "^jobs$", ""),
    "worker": ("^jobs([.].*)?$",) * 3,
    "amqp": (
        "^scor(e|ing)([.].*)?$",
        "^(scor(e|ing)([.].*)?|amq[.]default)$",
        "^scor(e|ing)([.].*)?$",
    ),
}
_RECORDS_URL: Final = "records"
# The users of the stores of decisions, likewise, and the sink's URLs.
_CLICKHOUSE: Final = "clickhouse_users"
_MONGODB: Final = "mongodb_users"
# All but what concerns the whole server, with what the records ask of it.
_RECORDS_RULES: Final = "~jobs:* resetchannels +@all -@admin -@dangerous +info +config|get"
# The files of each secret that has more than the one of its name.
_FILES: Final = {
    _BROKER: (_BROKER, *(f"broker_{user}" for user in _PERMISSIONS)),
    _RECORDS: (_RECORDS, _RECORDS_URL),
    _CLICKHOUSE: (_CLICKHOUSE, "clickhouse"),
    _MONGODB: (_MONGODB, "mongodb_root", "mongodb"),
}
# How each is brought into force. The generator's key stands in two files: its own and the keys'.
_IN_FORCE: Final = {
    _KEYS: "docker compose restart scoring",
    _GENERATOR: "docker compose restart scoring",
    _TOKEN: "docker compose restart scoring prometheus",
    _PASSWORD: "docker compose exec grafana grafana cli admin reset-admin-password …",
    _BROKER: "docker compose restart rabbitmq web job-worker amqp-worker",
    _RECORDS: "docker compose restart redis web job-worker",
    _CLICKHOUSE: "docker compose restart clickhouse sink",
    # It reads them only for a new volume: what the old one has is sent again.
    _MONGODB: "docker compose rm --stop --force mongodb sink, docker volume rm …_mongodb, make up",
}
_COMMENT: Final = re.compile(r"^[ \t]*#.*", re.MULTILINE)
_GENERATORS_LINE: Final = re.compile(r"^[ \t]*loadgen:(\S+).*\n?", re.MULTILINE)
_CREDENTIALS: Final = "aws_credentials"
_NO_CREDENTIALS: Final = """\
# For a registry at S3, in the form of ~/.aws/credentials.
[default]
# aws_access_key_id =
# aws_secret_access_key =
"""
_WEBHOOKS: Final = "webhooks"
_NO_WEBHOOKS: Final = "# Endpoints of webhooks: KEY_NAME NAME URL SECRET…, one a line.\n"
# What Compose needs even if it holds nothing yet.
_EMPTY: Final = {_CREDENTIALS: _NO_CREDENTIALS, _WEBHOOKS: _NO_WEBHOOKS}
_EDGE: Final = "edge"
# The operator puts certificates, Alertmanager's secrets and those of a cache there.
_FOLDERS: Final = (_EDGE, "alertmanager", "cache")
_CERTIFICATES: Final = ("ca.crt", "server.crt", "server.key")
# The issuer of the certificates that `certs.sh` makes.
_TEST_AUTHORITY: Final = b"Test authority of the edge"

# The widest permissions. Containers run as several users, and each reads the files that are mounted
# for it; only the owner can enter the folder.
_ONLY_OWNER: Final = 0o700
_DOTENV: Final = 0o600
_SECRET: Final = 0o644
_FOLDER: Final = 0o755
_ROOT: Final = 0
# The permissions of other users.
_OTHERS: Final = 0o077


class Permissions(NamedTuple):
    """The mode of a file or a folder, 0 if there is none, and the widest mode that it may have."""

    path: Path
    mode: int
    widest: int


class UnsafePath(Exception):
    """A path is not a file or folder of this user, or others can replace it."""


def main() -> int:
    """Return exit code 0, or 73 when a file can't be written or a path is unsafe."""
    arguments = _arguments()
    setup = Setup(arguments.folder)
    try:
        for line in setup.restrict_permissions():
            sys.stdout.write(f"{line}\n")
        only = arguments.only
        for line in setup.renew(only) if only else setup.complete(force=arguments.force):
            sys.stdout.write(f"{line}\n")
    except UnsafePath as reason:
        sys.stderr.write(f"{reason}\n")
        return 73  # EX_CANTCREAT
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 73
    except UnicodeError:
        sys.stderr.write(f"{arguments.folder}: .env or a file of secrets is not UTF-8 text\n")
        return 73
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.init_env", description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path(), help="folder of .env [here]"
    )
    which = parser.add_mutually_exclusive_group()
    force = "replace .env and all secrets; the old files are kept as .bak"
    which.add_argument("--force", action="store_true", help=force)
    which.add_argument("--only", choices=_IN_FORCE, help="replace this secret, likewise")
    return parser.parse_args()


class Setup:
    """The folder with `.env` and `secrets/`. All methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dotenv = folder / ".env"
        self._secrets = folder / "secrets"

    def restrict_permissions(self) -> list[str]:
        """Create the folders and close their contents to other users. Raises UnsafePath.

        Returns a line that names the files that others could read. All paths are checked before any
        is changed: a refusal in between would lose that line.
        """
        self._check_folder()
        entries = [
            *self._check_secrets(),
            *(_check(path, stat.S_ISREG, _DOTENV) for path in self._dotenvs()),
        ]
        was_open = any(e.path == self._secrets and e.mode & _OTHERS for e in entries)
        for path, mode, widest in entries:
            if mode & ~widest:
                path.chmod(mode & widest)
        exposed = [
            str(path)
            for path, mode, _ in entries
            if mode & _OTHERS and (was_open or path.parent == self._folder)
            if path.is_file()
        ]
        if not exposed:
            return []
        return [f"Open to others until now, renew what is in them: {', '.join(exposed)}"]

    def _dotenvs(self) -> list[Path]:
        return [self._dotenv, *sorted(self._folder.glob(".env*.bak"))]

    def _check_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        status = self._folder.stat()
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise UnsafePath(
                f"{self._folder} is open to all for writing: nothing was written. chmod o-w"
            )
        if status.st_uid != os.geteuid():  # its owner could replace `secrets`
            raise UnsafePath(f"{self._folder} is another user's: nothing was written. chown it")

    def _check_secrets(self) -> Iterator[Permissions]:
        """Create the folders for secrets, and yield the permissions of all that they contain."""
        self._secrets.mkdir(mode=_ONLY_OWNER, exist_ok=True)
        yield _check(self._secrets, stat.S_ISDIR, _ONLY_OWNER)
        for name in _FOLDERS:
            (self._secrets / name).mkdir(mode=_FOLDER, exist_ok=True)
            _check(self._secrets / name, stat.S_ISDIR, _FOLDER)
        for name in (*(file for secret in _IN_FORCE for file in _files(secret)), *_EMPTY):
            _check(self._secrets / name, stat.S_ISREG, _SECRET)
        for name in _CERTIFICATES:
            _check(self._secrets / _EDGE / name, stat.S_ISREG, _SECRET, _ROOT)
        for path in sorted(self._secrets.rglob("*")):
            # Among other files, an operator may keep links and files of root.
            if path.is_dir() and not path.is_symlink():
                yield _check(path, stat.S_ISDIR, _FOLDER, _ROOT)
            elif path.is_file() and not path.is_symlink():
                yield _check(path, stat.S_ISREG, _SECRET, _ROOT)

    def complete(self, *, force: bool) -> Iterator[str]:
        """Create missing files, or replace all but certificates; yields a line on each."""
        existing = {name for name in _IN_FORCE if self._has_secret(name)}
        for name in (_KEYS, _TOKEN, _PASSWORD, _BROKER, _RECORDS, _CLICKHOUSE, _MONGODB):
            if force or name not in existing:
                yield from self._write(self._new(name))
        if _KEYS in existing and _GENERATOR not in existing and not force:
            yield from self._write(self._generators_key())
        for name, text in _EMPTY.items():
            if not (self._secrets / name).exists():
                yield from self._write({name: text})
        yield from self._settings(force=force)
        yield from self._certificates()
        if existing and not force:
            yield f"Kept: {', '.join(sorted(existing))}. ARGS='--only NAME' makes one anew"

    def renew(self, name: str) -> Iterator[str]:
        """Replace one secret; yields a line on each file that holds it."""
        yield from self._write(self._new(name))
        yield f"To bring it into force: {_IN_FORCE[name]}"

    def _has_secret(self, name: str) -> bool:
        """Whether a secret's files exist and none is empty; comments between keys do not count."""
        paths = [self._secrets / file for file in _files(name)]
        texts = [_text_of(path) if path.exists() else "" for path in paths]
        without_comments = [_COMMENT.sub("", text) if name == _KEYS else text for text in texts]
        return all(text.strip("\ufeff \t\r\n") for text in without_comments)

    def _new(self, name: str) -> dict[str, str]:
        """The files that hold a new secret, and their contents."""
        if name == _PASSWORD:
            return {name: secrets.token_urlsafe(24)}
        if name in _NEW_USERS:
            return _NEW_USERS[name]()
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
        """The generator's missing file, with the key that the keys' file has for it."""
        line = _GENERATORS_LINE.search(self._keys())
        return {_GENERATOR: f"{line[1]}\n"} if line else self._new(_GENERATOR)

    def _keys(self) -> str:
        path = self._secrets / _KEYS
        text = _text_of(path) if path.exists() else ""
        return text if text.endswith("\n") or not text else f"{text}\n"

    def _write(self, contents: dict[str, str]) -> Iterator[str]:
        for name, text in contents.items():
            yield _replace(self._secrets / name, text, _SECRET)

    def _settings(self, *, force: bool) -> Iterator[str]:
        """Write a new `.env`, or append the settings that an older one lacks."""
        if force or not self._dotenv.exists():
            yield _replace(
                self._dotenv, _with_values(_EXAMPLE.read_text("utf-8"), _VALUES), _DOTENV
            )
            yield "Alerts are not sent until it sets ALERTMANAGER_WEBHOOK_URL or _EMAIL_TO"
            return
        text = _text_of(self._dotenv)
        # An existing `.env` gets defaults only: its operator has made the choices.
        example = _with_values(_EXAMPLE.read_text("utf-8"), dict.fromkeys(_VALUES, ""))
        known = set(_NAMED.findall(text.removeprefix("\ufeff")))
        blocks = example.strip().split("\n\n")
        missing = [block for block in blocks if not known.issuperset(_NAMED.findall(block))]
        if missing:
            atomic.write(self._dotenv, "\n\n".join([text.rstrip("\n"), *missing, ""]), _DOTENV)
            names = (name for block in missing for name in _NAMED.findall(block))
            yield f"Added to {self._dotenv}, with their defaults: {', '.join(names)}"
        else:
            yield f"Kept: {self._dotenv}, which has all settings"

    def _certificates(self) -> Iterator[str]:
        """Copy the test certificates, if there are any and the operator has put no others there."""
        made, edge = self._folder / "build" / "certs", self._secrets / _EDGE
        if not (made / "server.crt").exists():
            return
        if _has_operators_certificates(edge):
            yield f"Kept: the certificates in {edge}, which are not those to try with"
            return
        for name in _CERTIFICATES:
            text = _text_of(made / name)
            if not (edge / name).exists() or _text_of(edge / name) != text:
                atomic.write(edge / name, text, _SECRET)
                yield f"Made: {edge / name}, to try with"


def _files(secret: str) -> tuple[str, ...]:
    """The names of the files that hold a secret."""
    return _FILES.get(secret, (secret,))


def _new_broker_users() -> dict[str, str]:
    """The definitions that RabbitMQ loads at its start, and the URL of each user."""
    passwords = {user: secrets.token_urlsafe(24) for user in _PERMISSIONS}
    users = [
        {
            "name": user,
            "password_hash": _rabbitmq_hash(password),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": "",
        }
        for user, password in passwords.items()
    ]
    permissions = [
        {"user": user, "vhost": _VHOST, "configure": configure, "write": write, "read": read}
        for user, (configure, write, read) in _PERMISSIONS.items()
    ]
    definitions = {"vhosts": [{"name": _VHOST}], "users": users, "permissions": permissions}
    urls = {
        f"broker_{user}": f"amqp://{user}:{password}@rabbitmq:5672/{_VHOST}\n"
        for user, password in passwords.items()
    }
    return {_BROKER: f"{json.dumps(definitions, indent=1)}\n", **urls}


def _rabbitmq_hash(password: str) -> str:
    """A salt of four bytes and the SHA-256 of it and the password, in Base64."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _new_records_user() -> dict[str, str]:
    """The access list that Redis loads at its start, and the URL of its one user."""
    password = secrets.token_urlsafe(24)
    digest = hashlib.sha256(password.encode()).hexdigest()
    # Nobody can log in as the default user. But Redis replays its file with that user's
    # permissions, and would drop each transaction that they do not allow.
    users = f"user default off ~* &* +@all\nuser scoring on #{digest} {_RECORDS_RULES}\n"
    return {_RECORDS: users, _RECORDS_URL: f"redis://scoring:{password}@redis:6379/0\n"}


def _new_clickhouse_user() -> dict[str, str]:
    """The users that ClickHouse loads at its start, of which there is one, and its URL."""
    password = secrets.token_urlsafe(24)
    digest = hashlib.sha256(password.encode()).hexdigest()
    users = f"""\
<clickhouse>
    <users>
        <default remove="remove"/>
        <sink>
            <password_sha256_hex>{digest}</password_sha256_hex>
            <networks><ip>::/0</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <grants><query>GRANT ALL ON scoring.*</query></grants>
        </sink>
    </users>
</clickhouse>
"""
    url = f"http://sink:{password}@clickhouse:8123/scoring\n"
    return {_CLICKHOUSE: users, "clickhouse": url}


def _new_mongodb_users() -> dict[str, str]:
    """The password of MongoDB's root, what makes the sink's user, and the URL of that."""
    root, password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    user = {"user": "sink", "pwd": password, "roles": ["readWrite"]}
    return {
        _MONGODB: f'db.getSiblingDB("scoring").createUser({json.dumps(user)});\n',
        "mongodb_root": root,
        "mongodb": f"mongodb://sink:{password}@mongodb:27017/scoring\n",
    }


_NEW_USERS: Final[dict[str, Callable[[], dict[str, str]]]] = {
    _BROKER: _new_broker_users,
    _RECORDS: _new_records_user,
    _CLICKHOUSE: _new_clickhouse_user,
    _MONGODB: _new_mongodb_users,
}


def _has_operators_certificates(edge: Path) -> bool:
    """Whether a certificate has another issuer, or a key has no certificate."""
    there = [edge / name for name in _CERTIFICATES if (edge / name).exists()]
    certificates = [path for path in there if path.suffix == ".crt"]
    return not all(map(_is_test_certificate, certificates)) or there == [edge / "server.key"]


def _check(
    path: Path, is_kind: Callable[[int], bool], widest: int, *other_owners: int
) -> Permissions:
    """The permissions of a path. Raises UnsafePath for a link, another owner or a second name."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return Permissions(path, 0, widest)
    if not is_kind(status.st_mode):
        raise UnsafePath(
            f"{path} is a link, or no file of its kind: nothing was written. Remove it"
        )
    if status.st_uid not in (os.geteuid(), *other_owners):
        raise UnsafePath(f"{path} is another user's: nothing was written. Remove it, or chown it")
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        raise UnsafePath(f"{path} has a second name elsewhere: nothing was written. Copy it anew")
    return Permissions(path, stat.S_IMODE(status.st_mode), widest)


def _replace(path: Path, text: str, mode: int) -> str:
    """Write a file, and keep the old one as `.bak`. Returns a line on it."""
    if not path.exists():
        atomic.write(path, text, mode)
        return f"Made: {path}"
    former = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.bak")
    atomic.write(former, _text_of(path), 0o400)
    atomic.write(path, text, mode)
    return f"Made anew: {path}; the former one is {former}"


def _text_of(path: Path) -> str:
    """The text with its line ends unchanged."""
    return path.read_bytes().decode()


def _with_values(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    return text


def _is_test_certificate(certificate: Path) -> bool:
    """Whether the test authority is the issuer. A file that can't be read is the operator's."""
    try:
        return _TEST_AUTHORITY in ssl.PEM_cert_to_DER_cert(certificate.read_text("ascii"))
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
