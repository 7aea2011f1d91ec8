"""IOPaint 1.6's API under /api/v1, so that its clients and its page work unchanged.

docs/iopaint-api.md lists the routes, what is honoured, and what differs and why.
"""
