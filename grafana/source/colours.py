"""Colours and words that stand for values: what several panels share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from grafana.source.limits import COLOURS, Limit


def thresholds(limit: Limit | None) -> Any:
    """Return green, and the colour of the alert's level from its number on; blue without one."""
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(_steps(limit))


def fixed(colour: str) -> DynamicConfigValue:
    """Return one colour for a series, whatever its value."""
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def values(words: Mapping[str, str]) -> list[ValueMapping]:
    """Return what is shown instead of some values; nothing without any."""
    if not words:
        return []
    options = {value: ValueMappingResult(text=text) for value, text in words.items()}
    return [ValueMap(options=options)]


def _steps(limit: Limit | None) -> list[Threshold]:
    if limit is None:
        return [Threshold(value=None, color="blue")]
    colour = COLOURS[limit.level]
    if not limit.below:
        return [Threshold(value=None, color="green"), Threshold(value=limit.step, color=colour)]
    steps = [Threshold(value=None, color=colour)]
    if limit.value:
        steps.append(Threshold(value=limit.value, color="yellow"))
    return [*steps, Threshold(value=limit.fine, color="green")]
