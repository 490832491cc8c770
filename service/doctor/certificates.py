"""The edge's certificates, as its clients will find them.

nginx may run elsewhere: of files that are not here nothing is told.
"""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from service.doctor.finding import Finding, fail, ok, unknown, warn

_SOON: Final = timedelta(days=7)
_MEND: Final = "put a new one in its place, and send nginx a HUP"


def servers(path: Path, key: Path, now: datetime | None = None) -> Iterator[Finding]:
    """Whether the server's certificate belongs to its key, is good for a server, and lasts."""
    name = "edge certificate"
    try:
        end = _shown_to_a_client(path, key)
    except FileNotFoundError:
        return
    except PermissionError:
        yield unknown(name, f"this user may not read {path} and {key}")
    except ssl.SSLCertVerificationError as error:
        yield fail(name, f"{path}: clients refuse it: {error.verify_message}", _MEND)
    except ssl.SSLError as error:
        reason = (error.reason or "one of them can't be read").lower().replace("_", " ")
        yield fail(name, f"{path} with {key}: {reason}", "give nginx a certificate and its own key")
    else:
        yield _lasting(name, path, end, now)


def authority(path: Path, now: datetime | None = None) -> Iterator[Finding]:
    """Whether there are authorities for clients' certificates in a file, and all of them last."""
    context, name = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "edge client authority"
    try:
        context.load_verify_locations(path)
    except FileNotFoundError:
        return
    except PermissionError:
        yield unknown(name, f"this user may not read {path}")
        return
    except ssl.SSLError:
        yield fail(name, f"{path} holds no certificate that can be read", _MEND)
        return
    ends = [_moment(str(one["notAfter"])) for one in context.get_ca_certs()]
    if ends:
        yield _lasting(name, path, min(ends), now)
    else:
        yield fail(name, f"{path} holds no certificate of an authority", _MEND)


def _lasting(name: str, path: Path, end: datetime, now: datetime | None) -> Finding:
    now = now or datetime.now(UTC)
    if end < now:
        return fail(name, f"{path} has expired on {end:%Y-%m-%d}", _MEND)
    if end < now + _SOON:
        return warn(name, f"{path} expires on {end:%Y-%m-%d %H:%M} UTC", _MEND)
    return ok(name, f"good until {end:%Y-%m-%d}")


def _shown_to_a_client(path: Path, key: Path) -> datetime:
    """The end of a certificate that a client takes, who trusts nothing but it.

    Raises ssl.SSLError, and OSError when a file can't be read.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A key under a password is of no use to nginx either: it is not to be asked for here.
    server.load_cert_chain(path, key, password=lambda: b"")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(path)
    return _moment(str((_met(client, server).getpeercert() or {})["notAfter"]))


def _met(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    """The client's side of a handshake in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there)
    answering = server.wrap_bio(there, back, server_side=True)
    for side in (asking, answering):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    asking.do_handshake()
    return asking


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
