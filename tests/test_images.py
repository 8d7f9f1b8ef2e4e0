"""The decoder: every mode against values computed by hand, every lie of a picture, and what cannot be read in a sentence."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from genmodels.commands.push_dataset import read_picture
from genmodels.data import load_images
from genmodels.data.listing import Picture
from genmodels.errors import UserError
from genmodels.images import (
    UnreadableImageError,
    has_colour,
    make_square,
    parse_colour,
    read_image,
    to_8_bits,
    white_of,
)
from genmodels.pixels import to_pixel_values

SIZE = 16


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format=format, **options)
    return out.getvalue()


def decoded(data: bytes, channels: int, **options) -> list:
    """The pixel at the left of the first row, as it is for a network."""
    pixel = np.asarray(to_8_bits(read_image(data, "a"), channels, **options))[0, 0]
    return pixel.tolist()


def of_numbers(*values, dtype) -> Image.Image:
    """An image of numbers, the first in its left upper corner."""
    numbers = np.zeros((SIZE, SIZE), dtype)
    numbers[: SIZE // 2] = values[0]
    numbers.flat[-len(values) :] = values
    return Image.fromarray(numbers)


def palette(transparency, colours=((230, 30, 30), (0, 200, 0))) -> bytes:
    image = Image.new("P", (SIZE, SIZE), 0)
    image.putpalette([value for colour in colours for value in colour])
    return encoded(image, transparency=transparency)


def png16(channels: int, pixel: tuple[int, ...], key: tuple[int, ...] | None = None) -> bytes:
    """A PNG of 16 bits a channel, which Pillow cannot write in colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    kinds = {1: 0, 2: 4, 3: 2, 4: 6}
    row = b"\0" + struct.pack(f">{channels}H", *pixel) * SIZE
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 16, kinds[channels], 0, 0, 0))]
    parts += [chunk(b"tRNS", struct.pack(f">{channels}H", *key))] if key else []
    parts += [chunk(b"IDAT", zlib.compress(row * SIZE)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def plain(mode: str, pixel) -> Image.Image:
    return Image.new(mode, (SIZE, SIZE), pixel)


# Name: the file, its pixel in grey and in colour.
# Grey is 0.299 R + 0.587 G + 0.114 B. Alpha 128 leaves 128/255 of the colour: 230 -> 115.45, 30 -> 15.06, 200 -> 100.39.
CASES = {
    "1": (encoded(plain("1", 1)), 255, [255] * 3),
    "L": (encoded(plain("L", 77)), 77, [77] * 3),
    "LA": (encoded(plain("LA", (200, 128))), 100, [100] * 3),
    "LA, nothing to be seen": (encoded(plain("LA", (200, 0))), 0, [0] * 3),
    "L, one grey transparent": (encoded(plain("L", 90), transparency=90), 0, [0] * 3),
    "L, another transparent": (encoded(plain("L", 90), transparency=91), 90, [90] * 3),
    "RGB": (encoded(plain("RGB", (230, 30, 60))), 93, [230, 30, 60]),
    "RGB, one colour transparent": (encoded(plain("RGB", (9, 8, 7)), transparency=(9, 8, 7)), 0, [0, 0, 0]),
    "RGBA": (encoded(plain("RGBA", (230, 30, 60, 255))), 93, [230, 30, 60]),
    "RGBA, half": (encoded(plain("RGBA", (230, 30, 60, 128))), 47, [115, 15, 30]),
    "RGBA, hidden": (encoded(plain("RGBA", (230, 30, 60, 0))), 0, [0, 0, 0]),
    "P": (palette(None), 90, [230, 30, 30]),
    "P, index transparent": (palette(0), 0, [0, 0, 0]),
    "P, other index transparent": (palette(1), 90, [230, 30, 30]),
    "P, alpha of each": (palette(bytes([128, 255])), 45, [115, 15, 15]),
    "P, GIF": (encoded(plain("RGB", (0, 0, 255)), "GIF"), 29, [0, 0, 255]),
    "CMYK": (encoded(plain("CMYK", (0, 255, 255, 0)), "TIFF"), 76, [255, 0, 0]),
    # L 53.2, a 80.1, b 67.2 of 100, 128, 128 is red.
    "LAB": (encoded(plain("LAB", (136, 208, 195)), "TIFF"), 78, [250, 3, 11]),
    "16 bits": (encoded(of_numbers(32_768, 65_535, dtype=np.uint16)), 128, [128] * 3),
    "16 bits, dark": (encoded(of_numbers(514, 2_570, dtype=np.uint16)), 2, [2] * 3),
    "16 bits, TIFF": (encoded(of_numbers(13_107, dtype=np.uint16), "TIFF"), 51, [51] * 3),
    "16 bits, PGM": (encoded(of_numbers(200, dtype=np.int32), "PPM"), 1, [1] * 3),
    "16 bits in colour": (png16(3, (0x8000, 0x4000, 0xFFFF)), 105, [128, 64, 255]),
    "16 bits and alpha": (png16(2, (0xC800, 0x8000)), 100, [100] * 3),
    "16 bits, one grey transparent": (png16(1, (0x1234,), (0x1234,)), 0, [0] * 3),
    "16 bits, another transparent": (png16(1, (0x3300,), (0x3301,)), 51, [51] * 3),
    "16 bits in colour, one transparent": (png16(3, (0x8000, 0, 0), (0x8000, 0, 0)), 0, [0] * 3),
    "16 bits in colour, black stays": (png16(3, (0x0100, 0x0100, 0x0100), (0x8000, 0, 0)), 1, [1] * 3),
    "32 bits to 60,000": (encoded(of_numbers(30_000, 60_000, dtype=np.int32), "TIFF"), 117, [117] * 3),
    "32 bits to 255": (encoded(of_numbers(100, 255, dtype=np.int32), "TIFF"), 100, [100] * 3),
    "32 bits to 2 ** 31": (encoded(of_numbers(2**30, 2**31 - 1, dtype=np.int32), "TIFF"), 128, [128] * 3),
    "floats to 1": (encoded(of_numbers(0.2, 1.0, dtype=np.float32), "TIFF"), 51, [51] * 3),
    "floats to 0.5": (encoded(of_numbers(0.2, 0.5, dtype=np.float32), "TIFF"), 51, [51] * 3),
    "floats and overshoot": (encoded(of_numbers(1.05, -0.05, dtype=np.float32), "TIFF"), 255, [255] * 3),
    "floats to 255": (encoded(of_numbers(51.0, 255.0, dtype=np.float32), "TIFF"), 51, [51] * 3),
    "floats to 65,535": (encoded(of_numbers(13_107.0, 65_535.0, dtype=np.float32), "TIFF"), 51, [51] * 3),
}
named = pytest.mark.parametrize(("data", "grey", "colour"), CASES.values(), ids=CASES)
# What a lossy conversion to grey or of CMYK may round differently.
NEAR = {"rtol": 0, "atol": 1}


@named
def test_values_of_each_mode(data, grey, colour):
    np.testing.assert_allclose(decoded(data, 1), grey, **NEAR)
    np.testing.assert_allclose(decoded(data, 3), colour, **NEAR)
    assert decoded(data, 4)[3] in (0, 128, 255)
    assert read_image(data, "a").info.get("transparency") is None or has_colour(read_image(data, "a"), (9, 8, 7))


@named
def test_every_door_gives_these_values(data, grey, colour, tmp_path):
    """Loader, pipelines, the page's photos, and what push-dataset publishes, read again."""
    from genmodels.ui.inputs import read_image as read_photo

    (tmp_path / "a.png").write_bytes(data)
    picture = Picture("a.png", None, str(tmp_path / "a.png"))
    published = read_picture(picture, 8, "crop", keep_metadata=False)
    for channels, expected in ((1, [grey]), (3, colour)):
        seen = {}
        for size in (None, 8):
            stream = load_images(str(tmp_path), num_workers=0, num_channels=channels, sample_size=size)
            seen[f"loader {size}"] = next(stream.once())["pixel_values"]
        seen["pipeline"] = to_pixel_values(Image.open(io.BytesIO(data)), SIZE, channels)
        seen = {name: ((values[0, :, 0, 0] + 1) * 127.5).numpy() for name, values in seen.items()}
        if not data.startswith(b"P5"):
            seen["page"] = read_photo(base64.b64encode(data).decode(), 8, channels)[0, 0]
        seen["published"] = np.atleast_1d(decoded(published, channels))
        for name, values in seen.items():
            np.testing.assert_allclose(values, expected, err_msg=name, rtol=0, atol=2 if name != "pipeline" else 1.01)


@pytest.mark.parametrize(
    ("pixel", "background", "expected"),
    [
        ((230, 30, 60, 128), "white", [242, 142, 157]),
        ((230, 30, 60, 0), "white", [255, 255, 255]),
        ((230, 30, 60, 255), "white", [230, 30, 60]),
        # 64/255 of 200 and 191/255 of 255, 128, 0.
        ((200, 200, 200, 64), "#ff8000", [241, 146, 50]),
    ],
)
def test_transparent_parts_show_the_background(pixel, background, expected):
    data, background = encoded(plain("RGBA", pixel)), parse_colour(background)
    np.testing.assert_allclose(decoded(data, 3, background=background), expected, **NEAR)
    red, green, blue = expected
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    np.testing.assert_allclose(decoded(data, 1, background=background), grey, **NEAR)


def test_alpha_is_kept_without_the_colours_behind_it():
    assert decoded(encoded(plain("RGBA", (230, 30, 60, 128))), 4) == [230, 30, 60, 128]
    assert decoded(encoded(plain("RGBA", (230, 30, 60, 0))), 4) == [0, 0, 0, 0]
    assert decoded(encoded(plain("LA", (200, 128))), 4) == [200, 200, 200, 128]
    assert decoded(encoded(plain("L", 7)), 4) == [7, 7, 7, 255]


def test_modes_that_only_programs_make():
    for image, expected in (
        (plain("YCbCr", (76, 85, 255)), [254, 0, 0]),
        (plain("HSV", (0, 255, 200)), [200, 0, 0]),
        (plain("RGBX", (230, 30, 60, 7)), [230, 30, 60]),
        (plain("PA", (0, 0)), [0, 0, 0]),
    ):
        np.testing.assert_allclose(np.asarray(to_8_bits(image, 3))[0, 0], expected, **NEAR)
    for mode, expected in (("La", [200, 200, 200, 128]), ("RGBa", [230, 30, 60, 128])):
        source = plain("LA", (200, 128)) if mode == "La" else plain("RGBA", (230, 30, 60, 128))
        pixel = np.asarray(to_8_bits(source.convert(mode), 4))[0, 0]
        np.testing.assert_allclose(pixel, expected, **NEAR)


def test_colour_is_told_by_the_mode():
    assert not any(has_colour(Image.new(mode, (1, 1))) for mode in ("1", "L", "LA", "I;16", "I", "F"))
    assert all(has_colour(Image.new(mode, (1, 1))) for mode in ("RGB", "RGBA", "P", "CMYK", "YCbCr", "HSV", "LAB"))
    assert has_colour(Image.new("LA", (1, 1)), parse_colour("#ff0000"))
    assert not has_colour(Image.new("LA", (1, 1)), parse_colour("white"))


def test_a_dark_image_of_a_bright_dataset_stays_dark():
    dark = encoded(of_numbers(200, dtype=np.int32), "TIFF")
    assert decoded(dark, 1) == 200
    assert decoded(dark, 1, white=65_535) == 1


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        ((1.0, float("nan")), np.float32, "a holds numbers that are not finite"),
        ((1.0, float("inf")), np.float32, "a holds numbers that are not finite"),
        ((-1.0, 1.0), np.float32, "a holds numbers from -1 to 1: rescale them to 0 to 1, 0 to 255 or 0 to 65,535"),
        ((1e6, 0.0), np.float32, "from 0 to 1e\\+06"),
        ((-1024, 3071), np.int32, "from -1024 to 3071"),
        ((100_000, 0), np.int32, "from 0 to 100000"),
    ],
)
def test_numbers_that_mean_no_brightness_are_refused(values, dtype, message):
    with pytest.raises(UnreadableImageError, match=message):
        white_of(read_image(encoded(of_numbers(*values, dtype=dtype), "TIFF"), "a"), "a")


# Where the upper left and the upper right corner of the upright picture are stored, by EXIF's number.
CORNERS = {1: "AB", 2: "BA", 3: "DC", 4: "CD", 5: "AC", 6: "BD", 7: "DB", 8: "CA"}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_pictures_stand_upright(format, orientation):
    """EXIF 0x0112 says where row 0 and column 0 of what is stored belong (Exif 2.32, 4.6.4): undone by hand here."""
    upright = np.zeros((24, 40), np.uint8)
    upright[:12, :20] = 255
    # Stored such that turning it as EXIF says gives `upright`.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored)).convert("RGB")
    seen = np.asarray(to_8_bits(read_image(encoded(image, format, exif=exif), "a"), 1))
    assert seen.shape == (24, 40)
    assert (seen[3:9, 3:17] > 200).all()
    assert seen[15:].max() < 50
    assert seen[:, 23:].max() < 50


def test_a_damaged_note_leaves_the_picture_as_it_is():
    data = encoded(plain("RGB", (230, 30, 60)), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(200)))
    assert decoded(data, 3) == [230, 30, 60]


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_pictures_the_first_counts(format):
    frames = [plain("RGB", colour) for colour in ((200, 20, 20), (20, 200, 20), (20, 20, 200))]
    data = encoded(
        frames[0], format, save_all=True, append_images=frames[1:], **({"lossless": True} if format == "WEBP" else {})
    )
    np.testing.assert_allclose(decoded(data, 3), [200, 20, 20], **NEAR)


def test_what_cannot_be_read_is_named():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    with pytest.raises(
        UnreadableImageError, match=r"^a\.png cannot be read as an image \(empty file\): repair or remove it\.$"
    ):
        read_image(b"", "a.png")
    with pytest.raises(
        UnreadableImageError, match=r"^a\.png cannot be read as an image \(unknown format\): repair or remove it\.$"
    ):
        read_image(b"not an image", "a.png")
    for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        data = encoded(noise, format)
        for length in (3, 20, len(data) // 2):
            with pytest.raises(
                UnreadableImageError, match=r"^a cannot be read as an image \(.+\): repair or remove it\.$"
            ) as caught:
                read_image(data[:length], "a")
            assert "\n" not in str(caught.value)
            assert "BytesIO" not in str(caught.value)
    with pytest.raises(UnreadableImageError, match="a has more than 178,956,970 pixels: make it smaller"):
        read_image(encoded(Image.new("1", (20_000, 20_000))), "a")


def smooth(width: int, height: int) -> Image.Image:
    """Something like a photo: large shapes, edges and a little noise."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noisy = np.asarray(coarse).astype(int) + random.normal(0, 6, (height, width, 3))
    noisy[height // 3 : height // 2, width // 3 : width // 2] = 250
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("shape", [(1600, 1200), (1201, 1603), (640, 512)])
def test_photos_are_decoded_near_their_size_and_look_the_same(shape):
    data = encoded(smooth(*shape), "JPEG", quality=90)
    for size in (16, 64, 128):
        near = read_image(data, "a", near=size)
        assert 2 * size <= min(near.size) < max(8 * size, 1 + min(shape))
        whole = make_square(read_image(data, "a"), size, "crop")
        difference = np.abs(np.asarray(make_square(near, size, "crop")).astype(int) - np.asarray(whole))
        assert difference.mean() < 1.5
        # At an edge, where the picture is cut to whole blocks of eight pixels, by a sixth of a pixel.
        assert difference.max() <= 40
    # What is not four times as large is decoded whole, to the bit.
    assert read_image(data, "a", near=min(shape) // 3).size == shape


@pytest.mark.parametrize("shape", [(1, 6000), (6000, 1), (10, 2000)])
def test_a_sliver_stays_small_on_the_way(shape, monkeypatch):
    sizes, resize = [], Image.Image.resize

    def watched(self, size, *args, **options):
        sizes.append(size)
        return resize(self, size, *args, **options)

    monkeypatch.setattr(Image.Image, "resize", watched)
    for fit in ("crop", "pad", "stretch"):
        assert make_square(Image.new("RGB", shape, (9, 9, 9)), 64, fit).size == (64, 64)
    assert max(max(size) for size in sizes) == 64


def test_the_middle_of_a_long_image_is_taken():
    strip = np.repeat(np.arange(250, dtype=np.uint8), 4)[None].repeat(20, 0)
    square = np.asarray(make_square(Image.fromarray(strip), 20, "crop"))
    np.testing.assert_array_equal(square[0], strip[0, 490:510])


@pytest.mark.parametrize(
    ("mode", "background", "corner"),
    [
        ("L", (0, 0, 0), 0),
        ("L", (255, 255, 255), 255),
        ("RGB", (9, 8, 7), (9, 8, 7)),
        ("RGBA", (9, 8, 7), (0, 0, 0, 0)),
    ],
)
def test_padding_is_the_background(mode, background, corner):
    square = make_square(Image.new(mode, (60, 30)), 20, "pad", background)
    assert square.getpixel((0, 0)) == square.getpixel((19, 19)) == corner
    assert square.getpixel((10, 10)) in (0, (0, 0, 0), (0, 0, 0, 0))


def test_colours_are_parsed():
    assert [parse_colour(text) for text in ("black", "white", "#ff8000")] == [(0, 0, 0), (255, 255, 255), (255, 128, 0)]
    for wrong in ("", "blak", "#ff", "#ff800080", None):
        with pytest.raises(UserError, match="background must be black, white or a colour such as #ff8000"):
            parse_colour(wrong)
