"""Every error this project raises on purpose.

* InpaintError                 500 internal
  x RequestError               400 bad-request             the caller can mend it
    + ImageDecodeError         400 image-decode
    + UnauthorizedError        401 unauthorized
    + BodyTooLargeError        413 body-too-large
    + ImageTooLargeError       413 image-too-large
    + UnsupportedMediaError    415 unsupported-media-type
    + NotAcceptableError       406 not-acceptable
    + MaskError                422 mask-mismatch
    + ParamsError              422 bad-params
    + InputRefusedError        422 input-refused
    + ContentRefusedError      422 content-refused
    + UnknownModelError        404 unknown-model
    + UnknownRequestError      404 unknown-request
    + UnknownFileError         404 unknown-file
    + RequestCancelledError    409 cancelled
    + RateLimitedError         429 rate-limited
  x UnavailableError           503 unavailable             try again later
    + OverloadedError          503 overloaded
    + OutOfMemoryError         503 out-of-memory
    + ReplicaLostError         503 replica-lost
    + IngressLostError         502 ingress-lost
    + FamilyMissingError       503 family-missing
    + NoGpuError               503 no-gpu
    + WarmingUpError           503 warming-up
    + ExtraMissingError        503 extra-missing
    + WeightsMissingError      503 weights-missing
    + WeightsDownloadingError  503 weights-downloading
    + WeightsCorruptError      503 weights-corrupt
    + DownloadError            503 download-failed
  x DeadlineError              504 deadline                the time budget ran out
  x ModelError                 500 model-failed            our fault; logged, never echoed

docs/problems.md describes each code for callers; a test holds the two together.
"""

from typing import ClassVar

Context = dict[str, str | int | float | bool]


class InpaintError(Exception):
    """Base class.

    Args:
        detail: what is wrong and what would be right, for the caller: no paths of this machine,
            no addresses, no text of a foreign exception.
        context: facts for the log, never sent to the caller. `retry_after_s` overrides the
            class's own figure.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    retry_after_s: float | None = None

    def __init__(self, detail: str, context: Context | None = None) -> None:
        # Both arguments go to Exception.args: Ray rebuilds errors from args on the other side,
        # and an argument left out of them makes the copy fail to build.
        super().__init__(detail, context or {})
        self.detail = detail
        self.context = context or {}
        if "retry_after_s" in self.context:
            self.retry_after_s = float(self.context["retry_after_s"])

    def __str__(self) -> str:
        return self.detail


class RequestError(InpaintError):
    """The request is at fault and the caller can mend it."""

    status, code = 400, "bad-request"


class ImageDecodeError(RequestError):
    """The bytes are no picture that this server reads, or they break off."""

    status, code = 400, "image-decode"


class UnauthorizedError(RequestError):
    """The request brings no API key, or none that is known."""

    status, code = 401, "unauthorized"


class BodyTooLargeError(RequestError):
    """The body has more bytes than the server takes."""

    status, code = 413, "body-too-large"


class ImageTooLargeError(RequestError):
    """The decoded picture would have more pixels than the server takes."""

    status, code = 413, "image-too-large"


class UnsupportedMediaError(RequestError):
    """The body is neither JSON nor multipart."""

    status, code = 415, "unsupported-media-type"


class NotAcceptableError(RequestError):
    """The Accept header names nothing that this route can answer."""

    status, code = 406, "not-acceptable"


class MaskError(RequestError):
    """The mask does not fit the picture."""

    status, code = 422, "mask-mismatch"


class ParamsError(RequestError):
    """A parameter is missing, out of range, unknown, or not read by the chosen model."""

    status, code = 422, "bad-params"


class InputRefusedError(RequestError):
    """This very input took down replicas a moment ago."""

    status, code = 422, "input-refused"


class ContentRefusedError(RequestError):
    """The checkpoint's safety checker has flagged the result."""

    status, code = 422, "content-refused"


class UnknownModelError(RequestError):
    """No model of that name is configured."""

    status, code = 404, "unknown-model"


class UnknownRequestError(RequestError):
    """No request of that id is running."""

    status, code = 404, "unknown-request"


class UnknownFileError(RequestError):
    """The server has no such file to hand out."""

    status, code = 404, "unknown-file"


class RequestCancelledError(RequestError):
    """The request was cancelled through the API."""

    status, code = 409, "cancelled"


class RateLimitedError(RequestError):
    """The API key has asked for more than it may."""

    status, code = 429, "rate-limited"
    retry_after_s: float | None = 1.0


class UnavailableError(InpaintError):
    """Not now: the same request can succeed later."""

    status, code = 503, "unavailable"
    retry_after_s: float | None = 5.0


class OverloadedError(UnavailableError):
    """A queue is full, or requests hold as much memory as they may; `detail` says which."""

    code = "overloaded"
    retry_after_s: float | None = 1.0


class OutOfMemoryError(UnavailableError):
    """The forward did not fit into the replica's memory."""

    code = "out-of-memory"


class ReplicaLostError(UnavailableError):
    """The replica that ran the request died, and so did the one that ran it again."""

    code = "replica-lost"


class IngressLostError(UnavailableError):
    """The ingress replica that had the request died before it answered."""

    status, code = 502, "ingress-lost"
    retry_after_s = 1.0


class FamilyMissingError(UnavailableError):
    """The Serve config names no family that serves this model."""

    code = "family-missing"
    retry_after_s = None


class NoGpuError(UnavailableError):
    """No node of the cluster has what the family's replicas need, and none will come."""

    code = "no-gpu"
    retry_after_s = None


class WarmingUpError(UnavailableError):
    """No replica of the family runs yet; one is being started, and maybe a node for it."""

    code = "warming-up"
    retry_after_s: float | None = 15.0


class ExtraMissingError(UnavailableError):
    """The packages that the model needs are not installed."""

    code = "extra-missing"
    retry_after_s = None


class WeightsMissingError(UnavailableError):
    """The model's weights are not in the model directory."""

    code = "weights-missing"
    retry_after_s = None


class WeightsDownloadingError(UnavailableError):
    """The model's weights are being fetched at this moment."""

    code = "weights-downloading"


class WeightsCorruptError(UnavailableError):
    """The weights are not the published ones, or do not fit the network. Never loaded."""

    code = "weights-corrupt"
    retry_after_s = None


class DownloadError(UnavailableError):
    """Weights could not be fetched. `context` has the address, for whoever runs the machine."""

    code = "download-failed"
    retry_after_s = None


class DeadlineError(InpaintError):
    """The request's time budget ran out."""

    status, code = 504, "deadline"


class ModelError(InpaintError):
    """A model failed on an input that passed validation."""

    status, code = 500, "model-failed"
