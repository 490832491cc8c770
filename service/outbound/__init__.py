"""Requests that the service itself sends to addresses which others have named.

addresses: which ones may be reached; request: one request to one of them.
May import: stdlib. Never: the rest of `service`.
"""
