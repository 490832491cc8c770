"""Bearer tokens."""

import hmac


def bears(authorization: str, token: str) -> bool:
    """Whether a header holds the token, if there is one; the scheme may be in either case."""
    if not token:
        return True
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        given.strip(" ").encode(), token.encode()
    )
