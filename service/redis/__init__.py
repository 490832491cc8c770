"""Connections to Redis, as jobs, the cache and the history of pictures use them.

May import: redis. Never: the rest of `service`, `model`. No scoring process imports this package.
"""
