"""Each unit's form, at the edges where rounding could go wrong."""

from __future__ import annotations

from typing import get_args

import pytest

from reports.format import format_gain, format_value
from reports.records.metrics import METRICS, Unit


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.79549, "score", "0.795"),
        (1.5, "nats/token", "1.500"),
        (0, "bytes", "0 B"),
        (1023, "bytes", "1023 B"),
        (1024, "bytes", "1.00 KiB"),
        (412 * 1024**2, "bytes", "412 MiB"),
        (1023.9 * 1024**2, "bytes", "1.00 GiB"),
        (1.5 * 1024**3, "bytes", "1.50 GiB"),
        (117_504, "parameters", "118 k"),
        (1_955_520, "parameters", "1.96 M"),
        (999_999, "parameters", "1.00 M"),
        (134_515_008, "parameters", "135 M"),
        (12, "parameters", "12"),
        (5.668, "%", "5.67"),
        (0, "%", "0"),
        (100, "%", "100"),
        (0.0042, "%", "0.0042"),
        (42.123, "%", "42.1"),
        (1901.44, "tokens/s", "1,901"),
        (12.34, "tokens/s", "12.3"),
        (3.04, "s", "3.0 s"),
        (9.99, "s", "10 s"),
        (59.7, "s", "1 min 00 s"),
        (125, "s", "2 min 05 s"),
        (3599.8, "s", "1 h 00 min"),
        (3780, "s", "1 h 03 min"),
        (1234, "J", "1.23 kJ"),
        (0.0512, "money", "0.0512"),
        (12345.6, "money", "12,345.60"),
        (25.84, "tokens", "25.8"),
        (3.5, "examples/s", "3.5"),
        (7.891, "nats", "7.89"),
        (-0.001, "nats", "0.00"),
        (-0.41, "reward", "-0.410"),
        (1234.56, "reward", "1,234.6"),
        (1.336, "sd", "+1.34"),
        (-0.5, "sd", "-0.50"),
        (-0.001, "sd", "+0.00"),
    ],
)
def test_a_value_is_written_for_people(value, unit, text):
    assert format_value(value, unit) == text


@pytest.mark.parametrize("unit", get_args(Unit))
def test_what_is_missing_is_empty_in_every_unit(unit):
    assert format_value(None, unit) == ""
    assert format_value(1.0, unit)


def test_every_metric_has_a_unit_that_can_be_written():
    assert {metric.unit for metric in METRICS.values()} <= set(get_args(Unit))
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.formula


def test_gains_have_a_sign():
    assert [format_gain(value) for value in (0.1234, -0.02, 0.0, None)] == ["+0.123", "-0.020", "+0.000", ""]
