"""What IOPaint's clients send, and what its errors look like."""

import base64

from tests.conftest import png


def encoded(data):
    """Bytes as base64."""
    return base64.b64encode(data).decode()


def inpaint_body(photo, hole, **fields):
    """A body of POST /api/v1/inpaint."""
    return {"image": encoded(png(photo)), "mask": encoded(png(hole)), **fields}


def raised(answer, status, name):
    """Assert that `answer` has IOPaint's error shape, and give its detail."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert content == {
        "error": name,
        "detail": content["detail"],
        "body": "",
        "errors": content["detail"],
    }
    return content["detail"]


def findings(answer):
    """Assert that `answer` is FastAPI's 422, and give (type, place) of each finding."""
    assert answer.status_code == 422, answer.text[:300]
    assert answer.json().keys() == {"detail"}
    return [(found["type"], tuple(found["loc"])) for found in answer.json()["detail"]]
