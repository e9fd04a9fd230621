"""Lets in who may look (admission.py) and tells the others what to do; reads no evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from dashboards.admission import Verdict, Visitor, decide
from dashboards.draw.text import plain
from dashboards.language import Say
from dashboards.settings import Settings
from dashboards.words import signin as words

DEFAULT: Final = "default"
_SHARED: Final = frozenset({"redirect_uri", "cookie_secret"})
_OWN: Final = frozenset({"client_id", "client_secret", "server_metadata_url"})


def admitted(settings: Settings, say: Say) -> bool:
    """Return whether whoever looks may see anything; draws what to do where not."""
    providers = _providers()
    claims = dict(st.user) if providers and st.user.get("is_logged_in") is True else None
    address = st.get_option("server.address")
    verdict = decide(Visitor(address, settings.allowed, providers, claims))
    match verdict:
        case Verdict.WELCOME:
            if claims is not None:
                _signed_in(claims, say)
        case Verdict.SIGN_IN:
            _sign_in(providers, say)
        case Verdict.NOT_LISTED | Verdict.UNVERIFIED:
            st.error(say(words.REFUSED[verdict]))
            _signed_in(claims or {}, say)
        case _:
            st.error(say(words.REFUSED[verdict]))
            st.markdown(say(words.SET_UP))
    return verdict is Verdict.WELCOME


def _sign_in(providers: list[str], say: Say) -> None:
    st.title("why504")
    st.markdown(say(words.ASKED))
    for name in providers:
        # The names are of the configuration, and letters only (see below).
        label = say(words.SIGN_IN if name == DEFAULT else words.SIGN_IN_WITH, name=name)
        st.button(label, key=f"sign_in_{name}", type="primary", on_click=st.login, args=(name,))
    st.caption(say(words.LINKS))


def _signed_in(claims: Mapping[str, object], say: Say) -> None:
    """Say as whom, above everything else, and offer to end it."""
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        st.text(plain(str(claims.get("email", "")), 80), width="content")
        st.button(say(words.SIGN_OUT), key="sign_out", type="tertiary", on_click=st.logout)


def _providers() -> list[str]:
    """Return the names of the OpenID Connect providers that are configured completely."""
    try:
        told = st.secrets["auth"]
    except (StreamlitSecretNotFoundError, KeyError):
        return []
    if not isinstance(told, Mapping) or not set(told) >= _SHARED:
        return []
    named = [
        name
        for name, own in told.items()
        if isinstance(own, Mapping) and set(own) >= _OWN and name.isalnum()
    ]
    return [DEFAULT, *named] if set(told) >= _OWN else named
