"""The layer of Serve's proxy that answers for an ingress replica that has died.

Serve's proxy sends nothing then, and its web server an empty 500, which says neither that the
request was sound nor that it may be sent again. A 502 does: the load balancers that we ship ask
once more.
"""

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inpaint.errors import IngressLostError
from serve_app.access.guard import Answer


class LostIngress:
    """Answers where nobody has.

    Args:
        app: Serve's proxy.
        answer: words the error.
    """

    def __init__(self, app: ASGIApp, answer: Answer) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        is_answered = False

        async def watched(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        await self._app(scope, receive, watched)
        if scope["type"] == "http" and not is_answered:
            lost = IngressLostError("The process that had this request died; send it again.")
            await self._answer(Request(scope), lost)(scope, receive, send)
