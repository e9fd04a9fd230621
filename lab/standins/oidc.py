"""A stand-in for an OpenID Connect provider: `python -m lab.standins.oidc --port 8085`.

Speaks as much of OpenID Connect Core 1.0 as a sign-in by code needs: discovery, authorisation that
asks nobody and redirects at once, PKCE by S256, a token with an id_token signed by RS256, keys,
sign-out. `/_control` says who signs in and what is wrong with the token; codes are good once.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from typing import Any, Final
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import ConfigDict
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lab.standins.control import Behaviour, control, serve, waited

CLIENT: Final = "why504"
CLIENT_SECRET: Final = "not-secret-it-is-a-stand-in"  # noqa: S105
LIFE_S: Final = 300


class ProviderBehaviour(Behaviour):
    """Who signs in, and how the provider tells it."""

    model_config = ConfigDict(extra="forbid")

    email: str = "dev@example.com"
    email_verified: bool | None = True
    """None: the token does not say."""
    forged: bool = False
    """The token is signed by a key that nobody published."""


def build_app() -> Starlette:
    """Return the stand-in as an ASGI application."""
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", discovery),
            Route("/authorize", authorize),
            Route("/token", token, methods=["POST"]),
            Route("/keys", keys),
            Route("/logout", logout),
            Route("/_control", control, methods=["GET", "PUT"]),
        ]
    )
    app.state.behaviour = ProviderBehaviour()
    app.state.key = RSAKey.generate_key(2048, {"kid": "published", "use": "sig"})
    app.state.stranger = RSAKey.generate_key(2048, {"kid": "published", "use": "sig"})
    app.state.codes = {}
    return app


async def discovery(request: Request) -> Response:
    """Tell where everything is."""
    here = _issuer(request)
    return JSONResponse(
        {
            "issuer": here,
            "authorization_endpoint": f"{here}/authorize",
            "token_endpoint": f"{here}/token",
            "jwks_uri": f"{here}/keys",
            "end_session_endpoint": f"{here}/logout",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }
    )


async def authorize(request: Request) -> Response:
    """Send the browser back with a code, as if somebody had signed in."""
    await waited(request.app.state.behaviour)
    asked = request.query_params
    if asked.get("client_id") != CLIENT or "openid" not in asked.get("scope", "").split():
        return JSONResponse({"error": "invalid_request"}, status_code=400)
    code = secrets.token_urlsafe(16)
    request.app.state.codes[code] = dict(asked)
    back = urlencode({"code": code, "state": asked.get("state", "")})
    return RedirectResponse(f"{asked['redirect_uri']}?{back}", status_code=302)


async def token(request: Request) -> Response:
    """Give a token for a code, once, to whom the code was meant for."""
    told = await request.form()
    asked = request.app.state.codes.pop(str(told.get("code")), None)
    if not _is_client(request, dict(told)):
        return JSONResponse({"error": "invalid_client"}, status_code=401)
    if asked is None or told.get("redirect_uri") != asked["redirect_uri"]:
        return JSONResponse({"error": "invalid_grant"}, status_code=400)
    if asked.get("code_challenge") != _challenge(str(told.get("code_verifier", ""))):
        return JSONResponse({"error": "invalid_grant"}, status_code=400)
    return JSONResponse(
        {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": LIFE_S,
            "id_token": _id_token(request, asked.get("nonce")),
        }
    )


async def keys(request: Request) -> Response:
    """Publish the key that tokens are signed with."""
    return JSONResponse({"keys": [request.app.state.key.as_dict(private=False)]})


async def logout(request: Request) -> Response:
    """Send the browser back: nobody has to be forgotten here."""
    return RedirectResponse(request.query_params["post_logout_redirect_uri"], status_code=302)


def _id_token(request: Request, nonce: str | None) -> str:
    state, now_s = request.app.state, int(time.time())
    behaviour: ProviderBehaviour = state.behaviour
    claims: dict[str, Any] = {
        "iss": _issuer(request),
        "sub": hashlib.sha256(behaviour.email.encode()).hexdigest()[:16],
        "aud": CLIENT,
        "iat": now_s,
        "exp": now_s + LIFE_S,
        "nonce": nonce,
        "email": behaviour.email,
    }
    if behaviour.email_verified is not None:
        claims["email_verified"] = behaviour.email_verified
    key = state.stranger if behaviour.forged else state.key
    return jwt.encode({"alg": "RS256", "kid": "published"}, claims, key)


def _is_client(request: Request, told: dict[str, Any]) -> bool:
    given = f"{told.get('client_id')}:{told.get('client_secret')}"
    scheme, _, basic = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        given = base64.b64decode(basic).decode()
    return given == f"{CLIENT}:{CLIENT_SECRET}"


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _issuer(request: Request) -> str:
    return str(request.base_url).rstrip("/")


if __name__ == "__main__":
    serve(build_app(), __doc__)
