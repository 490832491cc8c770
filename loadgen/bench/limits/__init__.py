"""What bounds the service: the least that scoring a request can cost, by different servers.

They use the project's own scorer (`model.regno`), so that what is left of a difference is the
server. None of them is one for use: they check little, and limit nothing.
"""
