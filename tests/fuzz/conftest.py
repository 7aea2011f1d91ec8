"""One service for all, and the surfaces over which inputs reach it."""

import json

import pytest

from tests.fuzz import bodies, fields, files, schema
from tests.fuzz.target import Sent, Target
from tests.fuzz.verdict import check

SHARES = {
    "files": 0.35,
    "forms": 0.15,
    "JSON": 0.15,
    "parameters, masks, headers, addresses": 0.15,
    "clients that leave": 0.05,
    "OpenAPI": 0.15,
}
"""The surfaces, and how much of all inputs each gets."""


@pytest.fixture(scope="session")
def target(tmp_path_factory):
    """The service."""
    started = Target(tmp_path_factory.mktemp("models"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def surfaces(target):
    """Of each surface: what is drawn, and what sends it, judges the answer and gives it."""
    document = json.loads(target.ask(Sent("GET", "/openapi.json")).body)

    def raw(sent):
        answer = target.ask(sent)
        check(sent, answer)
        return answer

    def of_schema(case):
        answer = raw(schema.sent_of(case))
        schema.check(case, answer)
        return answer

    strategies = (
        (files.requests, raw),
        (bodies.form_requests, raw),
        (bodies.json_requests, raw),
        (fields.parameter_requests, raw),
        (fields.leaving_requests, raw),
        (schema.cases(document), of_schema),
    )
    return dict(zip(SHARES, strategies, strict=True))
