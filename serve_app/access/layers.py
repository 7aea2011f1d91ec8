"""Puts what `access:` of a Serve config says around an application."""

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from inpaint.settings import AccessArgs
from serve_app.access.guard import Answer, Guard
from serve_app.access.keys import Keyring
from serve_app.access.limits import KeyLimits

SENT = ("Accept", "Authorization", "Content-Type", "X-API-Key", "X-Request-Id", "X-Timeout-Seconds")
"""Headers that a page of another origin may send."""
TOLD = ("Retry-After", "Server-Timing", "WWW-Authenticate", "X-Model", "X-Request-Id", "X-Seed")
"""Headers of an answer that it may read."""


def add_access(
    app: FastAPI, access: AccessArgs, replicas: Callable[[], int], answer: Answer
) -> None:
    """Add the layers. CORS lies outside: a refusal is for the page to read as well.

    Args:
        app: gets the layers.
        access: who may ask, and from where.
        replicas: how many ingress replicas share a key's limits.
        answer: words refusals.

    Raises:
        KeysError: the file of keys is missing or broken.
    """
    if access.auth == "required":
        keyring = Keyring(access.api_keys or Path())
        limits = KeyLimits(replicas)
        app.add_middleware(Guard, keyring=keyring, limits=limits, answer=answer)
    if access.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=SENT,
            expose_headers=TOLD,
        )
