"""The user of a Better Auth token."""

import os
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

ISSUER = os.environ["BETTER_AUTH_URL"]

jwks_client = jwt.PyJWKClient(f"{ISSUER}/api/auth/jwks")
bearer = HTTPBearer()


async def current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
    try:
        key = jwks_client.get_signing_key_from_jwt(credentials.credentials)
        payload = jwt.decode(
            credentials.credentials, key, algorithms=["EdDSA", "ES256"], audience=ISSUER, issuer=ISSUER
        )
    except jwt.PyJWTError as error:
        raise HTTPException(401, "Invalid token", {"WWW-Authenticate": "Bearer"}) from error
    return str(payload["sub"])
