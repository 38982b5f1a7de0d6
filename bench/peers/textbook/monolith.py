"""The same routes in one application that verifies the token itself."""

import os

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from routes import make_router
from tokens import current_user

app = FastAPI()
app.add_middleware(
    CORSMiddleware,
    allow_origins=os.environ["CORS_ORIGINS"].split(","),
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
)
app.include_router(make_router(current_user))


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
