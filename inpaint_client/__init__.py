"""A client of inpaint-serve's native API, for code that waits and for code that awaits.

    from inpaint_client import Client

    with Client("http://127.0.0.1:8080") as client:
        client.inpaint("photo.jpg", "mask.png", model="lama").save("clean.jpg")

It needs httpx and nothing else: no Ray, no numpy, no server on this machine. See docs/client.md.
"""

from inpaint_client.async_client import AsyncClient
from inpaint_client.client import Client
from inpaint_client.errors import (
    ApiError,
    BadParamsError,
    BodyTooLargeError,
    CancelledError,
    ContentRefusedError,
    DeadlineError,
    ImageDecodeError,
    ImageTooLargeError,
    InpaintClientError,
    MaskMismatchError,
    NoAnswerError,
    Problem,
    RateLimitedError,
    RequestError,
    ServerError,
    UnauthorizedError,
    UnavailableError,
    UnknownModelError,
    UnknownRequestError,
)
from inpaint_client.events import Event, Finished, Restarted, Started, Step
from inpaint_client.params import InpaintParams, OcrParams, RemoveTextParams
from inpaint_client.pictures import Picture
from inpaint_client.results import (
    Adapter,
    DiffusionFacts,
    FoundText,
    Licence,
    ModelCard,
    ModelList,
    Painted,
    Region,
    SizeRule,
    TextRemoval,
    Tiling,
)
from inpaint_client.retries import NO_RETRIES, RetryPolicy

__all__ = [
    "NO_RETRIES",
    "Adapter",
    "ApiError",
    "AsyncClient",
    "BadParamsError",
    "BodyTooLargeError",
    "CancelledError",
    "Client",
    "ContentRefusedError",
    "DeadlineError",
    "DiffusionFacts",
    "Event",
    "Finished",
    "FoundText",
    "ImageDecodeError",
    "ImageTooLargeError",
    "InpaintClientError",
    "InpaintParams",
    "Licence",
    "MaskMismatchError",
    "ModelCard",
    "ModelList",
    "NoAnswerError",
    "OcrParams",
    "Painted",
    "Picture",
    "Problem",
    "RateLimitedError",
    "Region",
    "RemoveTextParams",
    "RequestError",
    "Restarted",
    "RetryPolicy",
    "ServerError",
    "SizeRule",
    "Started",
    "Step",
    "TextRemoval",
    "Tiling",
    "UnauthorizedError",
    "UnavailableError",
    "UnknownModelError",
    "UnknownRequestError",
]
