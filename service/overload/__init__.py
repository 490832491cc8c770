"""Overload: which requests are let in, and by when they must be answered.

May import: stdlib, `service.config`. Never: flask, scorers, HTTP statuses.
"""
