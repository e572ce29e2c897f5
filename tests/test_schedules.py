"""The linear schedules: the worked examples of the specification."""

from __future__ import annotations

import numpy as np
import pytest

from neuroal.schedules import BLOCK_LAMBDAS, ROW_LAMBDAS, block_lambdas, block_schedule, row_schedule


def test_block_ratios_rise_from_target_minus_lambda_to_target_plus_lambda() -> None:
    """The reference's own figures for four blocks at 0.6 with lambda 0.01."""
    ratios, replaced = block_schedule(0.6, 0.01, 4)
    assert ratios == [0.59, 0.5966666666666667, 0.6033333333333333, 0.61]
    assert replaced == 0


def test_block_ratios_outside_are_replaced_and_counted() -> None:
    ratios, replaced = block_schedule(0.9, 0.25, 5)
    assert ratios[-1] == 0.99
    assert ratios[:3] == pytest.approx([0.65, 0.775, 0.9])
    assert replaced == 2


def test_one_block_keeps_the_target() -> None:
    assert block_schedule(0.6, 0.1, 1) == ([1 - (1 - 0.6)], 0)


def test_lambda_zero_gives_the_target_to_the_last_bit_of_the_reference() -> None:
    assert block_schedule(0.7, 0.0, 3)[0] == [1 - (1 - 0.7)] * 3


def test_grids() -> None:
    assert len(BLOCK_LAMBDAS) == 14 and len(ROW_LAMBDAS) == 15 and ROW_LAMBDAS[0] == 0
    assert block_lambdas(0.79)[-1] == 0.25
    assert block_lambdas(0.8)[-1] == 0.20


def test_rows_whose_consumer_lost_most_are_densest() -> None:
    """driver 0, 1, 3 with lambda 0.3: offsets 0, 0.2, 0.6 around their mean 0.8/3."""
    ratios = row_schedule(np.array([0.0, 1.0, 3.0]), 0.6, 0.3)
    assert ratios == pytest.approx([0.6 + 0.8 / 3, 0.6 + 0.8 / 3 - 0.2, 0.6 + 0.8 / 3 - 0.6])
    assert ratios.mean() == pytest.approx(0.6)


def test_rows_are_clipped() -> None:
    assert row_schedule(np.array([0.0, 0.0, 0.0, 9.0]), 0.9, 0.25).max() == 0.99


@pytest.mark.parametrize("driver", [np.zeros(4), np.array([1.0, -1.0]), np.full(3, 0.5)])
def test_a_driver_that_tells_nothing_gives_the_base(driver: np.ndarray) -> None:
    """A sum of exactly zero (the reference's rule), and a constant driver, where the reference would divide by zero."""
    assert row_schedule(driver, 0.55, 0.2).tolist() == [0.55] * len(driver)
