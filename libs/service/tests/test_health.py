"""Alive is not ready."""

import httpx
from starlette.applications import Starlette
from todo_service import health


async def test_readiness_names_what_is_missing_while_the_process_stays_alive() -> None:
    missing = ["database"]

    async def ask() -> list[str]:
        return missing

    app = Starlette(routes=health.routes(ask))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as http:
        unready = await http.get("/readyz")
        assert (unready.status_code, unready.headers["retry-after"]) == (503, "2")
        assert unready.json() == {"status": "unavailable", "missing": ["database"]}
        assert (await http.get("/healthz")).status_code == 200
        missing.clear()
        ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok"})
    assert ready.headers["cache-control"] == "no-store"
