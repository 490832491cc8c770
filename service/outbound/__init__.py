"""Requests that the service itself sends to addresses which others have named.

addresses: which ones may be reached; connection: to one of them; request: one request over it;
fetch: one file by a URL.
May import: stdlib. Never: the rest of `service`.
"""
