"""The sheet of images."""

from PIL import Image

from genmodels.grid import make_grid


def test_a_grid_holds_every_image_in_reading_order():
    grid = make_grid([Image.new("L", (4, 4), level) for level in (10, 20, 30, 40, 50)])
    assert grid.size == (20, 14)
    assert [grid.getpixel(at) for at in ((2, 2), (8, 2), (14, 2), (2, 8), (8, 8))] == [10, 20, 30, 40, 50]
