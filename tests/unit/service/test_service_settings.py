from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.application.settings import Settings, Timeouts
from service.infrastructure.db.engine import libpq_url, server_limits


@given(st.floats(min_value=0.001, max_value=10))
def test_every_rung_of_the_ladder_is_longer_than_what_it_guards(factor):
    limits = Timeouts().scaled(factor)

    assert limits.gateway_s > limits.application_s
    # A score: two checkouts' worth of opening a connection, two SELECTs, then the LLM.
    score_s = 2 * limits.checkout_s + 2 * limits.statement_s + limits.llm_s
    assert limits.application_s > score_s
    assert limits.statement_s > limits.lock_s
    assert limits.application_s > limits.llm_s > limits.statement_s > limits.checkout_s
    assert limits.checkout_s > limits.broker_s > limits.redis_s


def test_what_has_no_limit_has_none_at_any_pace():
    assert Timeouts(llm_s=None).scaled(0.1).llm_s is None


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SERVICE_DATABASE_URL", "postgresql://h/d")
    monkeypatch.setenv("SERVICE_TIME_SCALE", "0.1")
    monkeypatch.setenv("SERVICE_TIMEOUTS__LLM_S", "30")
    monkeypatch.setenv("GROQ_API_KEY", "gsk_secret")

    settings = Settings()

    assert settings.database_url == "postgresql://h/d"
    assert settings.limits.llm_s == pytest.approx(3.0)
    assert settings.limits.application_s == pytest.approx(5.5)
    assert settings.groq_api_key.get_secret_value() == "gsk_secret"
    assert "gsk_secret" not in repr(settings)


def test_a_limit_can_be_taken_away_from_outside(monkeypatch):
    monkeypatch.setenv("SERVICE_TIMEOUTS", '{"llm_s": null}')

    assert Settings().limits.llm_s is None


def test_no_limit_is_never_made_by_rounding():
    limits = server_limits(Timeouts(statement_s=0.0001, lock_s=None))

    assert limits == (
        "-c statement_timeout=1 -c lock_timeout=0 -c idle_in_transaction_session_timeout=10000"
    )


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgresql+asyncpg"])
def test_libpq_gets_a_url_without_sqlalchemys_driver(scheme):
    assert libpq_url(f"{scheme}://u:p%40ss@h:5/d?sslmode=require") == (
        "postgresql://u:p%40ss@h:5/d?sslmode=require"
    )


def test_a_key_that_is_empty_is_none(monkeypatch):
    monkeypatch.setenv("SERVICE_MEM0_API_KEY", "")
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "")
    monkeypatch.setenv("SERVICE_GROQ_BASE_URL", "")

    settings = Settings()

    assert settings.mem0_api_key is None
    assert settings.langfuse_secret_key is None
    assert settings.groq_base_url == "https://api.groq.com"
