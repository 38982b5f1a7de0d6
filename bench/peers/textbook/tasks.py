"""The tasks service behind the gateway, whose word it takes for who the user is."""

from typing import Annotated

from fastapi import FastAPI, Header
from routes import make_router


async def current_user(x_user_id: Annotated[str, Header()]) -> str:
    return x_user_id


app = FastAPI()
app.include_router(make_router(current_user))


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
