"""docs/service.md lists the metrics and the endpoints that the service has, and no others."""

import re

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from service.application.settings import Settings
from service.infrastructure.llm.emotion_reader import GroqEmotionReader
from service.infrastructure.memory.mem0_memory import make_memory
from service.infrastructure.messaging.metrics import BacklogMetrics, ConsumerMetrics
from service.infrastructure.redis.metrics import RateMetrics
from service.main import create_app


@pytest.fixture
def page(root) -> str:
    return (root / "docs" / "service.md").read_text()


def test_every_metric_of_the_service_is_listed_and_none_besides(page):
    registry = CollectorRegistry()
    settings = Settings(mem0_api_key=SecretStr("some"))
    GroqEmotionReader(settings, registry)
    make_memory(settings, registry)
    RateMetrics(registry)
    BacklogMetrics(registry)
    ConsumerMetrics(registry)

    listed = re.findall(r"^\| `([a-z0-9_]+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted({family.name for family in registry.collect()})


def test_every_endpoint_is_listed_and_none_besides(page):
    served = {
        f"{method.upper()} {path}"
        for path, operations in create_app(Settings(instrument=False)).openapi()["paths"].items()
        for method in operations
    }

    assert set(re.findall(r"^\| `([A-Z]+ /v1/\S+)` \|", page, re.MULTILINE)) == served
