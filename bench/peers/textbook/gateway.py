"""The gateway: verifies the token and forwards."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask
from tokens import current_user

client = httpx.AsyncClient(base_url=os.environ["TASKS_URL"])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await client.aclose()


app = FastAPI(lifespan=lifespan)
app.add_middleware(
    CORSMiddleware,
    allow_origins=os.environ["CORS_ORIGINS"].split(","),
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def forward(
    path: str, request: Request, user_id: Annotated[str, Depends(current_user)]
) -> StreamingResponse:
    headers = {"X-User-Id": user_id}
    if "content-type" in request.headers:
        headers["Content-Type"] = request.headers["content-type"]
    upstream_request = client.build_request(
        request.method,
        f"/api/{path}",
        params=request.query_params,
        headers=headers,
        content=await request.body(),
    )
    response = await client.send(upstream_request, stream=True)
    return StreamingResponse(
        response.aiter_raw(),
        status_code=response.status_code,
        headers={
            name: response.headers[name]
            for name in ("content-type", "content-length")
            if name in response.headers
        },
        background=BackgroundTask(response.aclose),
    )
