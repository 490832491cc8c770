"""`python -m service.env [FOLDER]`: make `.env` and the files of secrets, with new random ones.

Nothing is overwritten unless `--force` says so: whoever has an old key would be locked out.
"""

import argparse
import re
import secrets
import sys
from pathlib import Path
from typing import Final

_EXAMPLE: Final = Path(__file__).parents[1] / ".env.example"
# What the example leaves to be chosen, relative to the folder of `.env`.
_CHOSEN: Final = {
    "SCORING_API_KEYS": "",
    "SCORING_API_KEYS_FILE": "secrets/api_keys",
    "SCORING_METRICS_TOKEN_FILE": "secrets/metrics_token",
    "LOADGEN_API_KEY_FILE": "secrets/loadgen_api_key",
    "ALERTMANAGER_NOBODY": "true",
}
# Compose wants the file, filled in or not; what an operator has put there stays.
_CREDENTIALS: Final = "aws_credentials"
_NO_CREDENTIALS: Final = """\
# For a registry at S3, in the form of ~/.aws/credentials.
[default]
# aws_access_key_id =
# aws_secret_access_key =
"""
# Certificates and what Alertmanager reads are the operator's to put there.
_FOLDERS: Final = ("edge", "alertmanager")


def main() -> int:
    """Exit code 0, or 73 when something is there already or can't be written."""
    arguments = _arguments()
    folder: Path = arguments.folder
    files = {folder / ".env": _dotenv(), **_secrets(folder / "secrets")}
    there = [str(path) for path in files if path.exists()]
    if there and not arguments.force:
        sys.stderr.write(f"Nothing was made: {', '.join(there)} exists. --force makes all anew\n")
        return 73  # EX_CANTCREAT
    try:
        _make(folder / "secrets", files)
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 73
    sys.stdout.write(
        f"Made {', '.join(map(str, files))}.\n"
        "Nobody is told of alerts until ALERTMANAGER_WEBHOOK_URL or _EMAIL_TO is set in .env.\n"
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m service.env", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="where to [here]")
    parser.add_argument("--force", action="store_true", help="make all anew, old keys are lost")
    return parser.parse_args()


def _dotenv() -> str:
    text = _EXAMPLE.read_text("utf-8")
    for name, value in _CHOSEN.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    return text


def _secrets(folder: Path) -> dict[Path, str]:
    generator = secrets.token_urlsafe(32)
    keys = {"client": secrets.token_urlsafe(32), "loadgen": generator}
    return {
        folder / "api_keys": "".join(f"{name}:{key}\n" for name, key in keys.items()),
        folder / "loadgen_api_key": f"{generator}\n",
        folder / "metrics_token": f"{secrets.token_urlsafe(32)}\n",
        folder / "grafana_admin_password": secrets.token_urlsafe(24),
    }


def _make(folder: Path, files: dict[Path, str]) -> None:
    """Only the owner gets into the folder; its files are for the users of the containers, too.

    Those are several, and a container sees no more than the files it is given.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _FOLDERS:
        (folder / name).mkdir(mode=0o755, exist_ok=True)
    credentials = folder / _CREDENTIALS
    if not credentials.exists():
        files = {**files, credentials: _NO_CREDENTIALS}
    for path, text in files.items():
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_text(text, "utf-8")
        path.chmod(0o444 if path.parent == folder else 0o600)


if __name__ == "__main__":
    sys.exit(main())
