"""Overload: which requests are admitted, and until when it makes sense to score them.

May import: stdlib, `service.config`. Never: flask, scorers, HTTP statuses.
"""
