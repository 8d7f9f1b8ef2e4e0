"""Drawings are put where MNIST has its digits."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from genmodels.ui.inputs import read_bytes
from genmodels.ui.map import DRAWING, centre_drawing


def stroke(top: int, left: int, height: int, width: int) -> np.ndarray:
    drawing = np.zeros((DRAWING, DRAWING), np.uint8)
    drawing[top : top + height, left : left + width] = 255
    return drawing


@pytest.mark.parametrize("at", [(0, 0), (60, 3), (5, 80)])
@pytest.mark.parametrize("size", [28, 32, 64])
def test_a_drawing_is_centred_and_scaled_wherever_it_was(at, size):
    centred = centre_drawing(stroke(*at, 40, 20), size)
    rows, columns = np.nonzero(centred)
    assert abs(np.ptp(rows) + 1 - size * 20 / 28) <= 1
    assert abs(np.ptp(columns) + 1 - size * 10 / 28) <= 1
    assert abs(rows.mean() - (size - 1) / 2) <= 0.5
    assert abs(columns.mean() - (size - 1) / 2) <= 0.5
    assert centred.max() == 255


def test_the_centre_of_mass_counts_not_the_box():
    drawing = stroke(20, 20, 60, 12)
    drawing[72:80, 20:60] = 255
    centred = centre_drawing(drawing, 28).astype(float)
    where = np.arange(28) + 0.5
    assert abs((centred.sum(0) @ where) / centred.sum() - 14) <= 0.5
    assert abs((centred.sum(1) @ where) / centred.sum() - 14) <= 0.5


def test_a_point_and_a_full_canvas_are_fine_and_nothing_is_none():
    assert centre_drawing(stroke(3, 3, 1, 1), 28).shape == (28, 28)
    assert centre_drawing(stroke(0, 0, DRAWING, DRAWING), 28).shape == (28, 28)
    assert centre_drawing(np.zeros((DRAWING, DRAWING), np.uint8), 28) is None


def test_only_a_whole_drawing_is_read():
    drawing = stroke(3, 4, 5, 6)
    assert (read_bytes(base64.b64encode(drawing.tobytes()).decode(), DRAWING, DRAWING) == drawing).all()
    for wrong in (None, 3, "", "é", "A" * 10**6, base64.b64encode(b"1234").decode()):
        assert read_bytes(wrong, DRAWING, DRAWING) is None
