"""Requests that schemathesis makes of our OpenAPI document, and whether answers keep to it."""

from datetime import timedelta

import httpx
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.target import Answer, Sent

BASE = "http://service"
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


def operations(document):
    """Every operation of an OpenAPI document."""
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config())
    return [schema[path][method] for path in schema for method in schema[path]]


def cases(document):
    """Cases of all operations: mostly such as break the document's rules, where it has any."""
    kept, broken = [], []
    for operation in operations(document):
        kept.append(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        if operation.body:
            broken.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    return st.one_of(st.one_of(broken), st.one_of(broken), st.one_of(kept))


def sent_of(case) -> Sent:
    """The case as requests would send it."""
    fields = case.as_transport_kwargs(base_url=BASE)
    fields = {name: value for name, value in fields.items() if name != "cookies" and value}
    ready = requests.Request(**fields).prepare()
    body = ready.body or b""
    headers = tuple((_latin(name).lower(), _latin(value)) for name, value in ready.headers.items())
    assert isinstance(body, str | bytes)
    chunk = body.encode() if isinstance(body, str) else body
    return Sent(ready.method or "", ready.path_url, headers, (chunk,))


def check(case, answer: Answer) -> None:
    """Raise schemathesis' failures unless the document foresees such an answer."""
    request = httpx.Request(case.method, BASE)
    response = httpx.Response(
        answer.status, headers=answer.headers, content=answer.body, request=request
    )
    response.elapsed = timedelta(seconds=answer.took_s)
    case.validate_response(response, checks=CHECKS)


def _latin(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")
