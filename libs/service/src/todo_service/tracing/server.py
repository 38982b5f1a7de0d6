"""The span of each request that is served.

Task: T-046 · Spec: plan.md#tracing
"""

from opentelemetry.context import attach, detach
from opentelemetry.trace import format_trace_id, set_span_in_context
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo_service.requests import HEALTH, RouteOf, path_of
from todo_service.tracing.spans import SpanAttributes, Tracing, fail, sent_context

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_NO_ROUTE = "other"  # what a `RouteOf` says where no route was found


class Traces:
    """Pure ASGI middleware, directly within `Requests`: the span of each request, within which all else
    happens.

    A sound `traceparent` is continued, any other ignored. The trace's id stands in the scope's state as
    `trace_id`, for the access line. `route_of`: names the route, asked after the answer. `exempt`: paths
    without a span.
    """

    def __init__(
        self,
        app: ASGIApp,
        tracing: Tracing,
        *,
        route_of: RouteOf = path_of,
        exempt: frozenset[str] = HEALTH,
    ) -> None:
        self.app = app
        self._tracing = tracing
        self._route_of = route_of
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The span ends when the answer has ended, a stream's too."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self.app(scope, receive, send)
            return
        parent = sent_context(scope["headers"])
        method = scope["method"] if scope["method"] in _METHODS else "HTTP"
        span = self._tracing.serve(method, parent, _attributes(scope))
        scope.setdefault("state", {})["trace_id"] = format_trace_id(span.get_span_context().trace_id)
        status = 0
        failure: str | None = None

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        token = attach(set_span_in_context(span, parent))
        try:
            await self.app(scope, receive, send_and_note)
        except BaseException as error:
            failure = type(error).__qualname__
            raise
        finally:
            detach(token)
            if span.is_recording():
                route = self._route_of(scope)
                if route != _NO_ROUTE:
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
                if status:
                    span.set_attribute("http.response.status_code", status)
                if failure is not None or status >= 500:
                    fail(span, failure or str(status))
            span.end()


def _attributes(scope: Scope) -> SpanAttributes:
    """What is known of a request when it comes. `Host` is the client's word, so the address is the one that
    it came to. The path is as it was sent: what it decodes to need not be text that can be exported.
    """
    method = scope["method"]
    raw_path = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    attributes: SpanAttributes = {
        "http.request.method": method if method in _METHODS else "_OTHER",
        "url.scheme": scope.get("scheme", "http"),
        "url.path": raw_path.decode("latin-1"),
        "network.protocol.version": scope.get("http_version", "1.1"),
    }
    if method not in _METHODS:
        attributes["http.request.method_original"] = method
    if server := scope.get("server"):
        attributes["server.address"] = server[0]
        if server[1] is not None:
            attributes["server.port"] = server[1]
    return attributes
