"""A pool whose requests are spans, and tell the service behind which span they are of.

Task: T-046 · Spec: plan.md#tracing
"""

from typing import Any

from todo_service.tracing.spans import Tracing

from todo_gateway.upstream.http1 import Body
from todo_gateway.upstream.pool import Pool
from todo_gateway.upstream.request import Headers
from todo_gateway.upstream.response import Response


class TracedPool(Pool):
    """A `Pool`, with a span for each request within one that is served: under a `Balance`, for each try.

    `tracing`: what the spans are made with. `options`: the pool's.
    """

    def __init__(self, origin: str, *, tracing: Tracing, **options: Any) -> None:
        super().__init__(origin, **options)
        self._tracing = tracing

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Headers = (),
        body: Body | None = None,
        *,
        length: int | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        """As `Pool.request`; `traceparent` and `tracestate` are this span's, whatever `headers` say."""
        url = self.origin + target.partition(b"?")[0].decode("latin-1")
        with self._tracing.request(method.decode("latin-1"), url, *self._address) as sent:
            response = await super().request(
                method, target, sent.carry(headers), body, length=length, timeout_s=timeout_s
            )
            sent.answered(response.status)
            return response
