"""Encoded pictures onto a canvas in TensorFlow's operations, as `yolo.images` does it with OpenCV."""

from __future__ import annotations

from typing import Any, NamedTuple

from yolo.config import LetterboxMode
from yolo.images.letterbox import CANVAS_GREY
from yolo.structs import Size


class Placed(NamedTuple):
    """Picture on a canvas, and how its pixels map there: canvas = pixel * scale + offset."""

    canvas: Any
    """(rows, columns, 3) float32."""
    scale: Any
    """(4,) float32, canvas pixels per picture pixel for x, y, x, y."""
    offset: Any
    """(4,) float32, canvas pixels for x, y, x, y."""
    sides: Any
    """(4,) float32, width, height, width, height of the picture."""


def decode_picture(encoded: Any) -> Any:
    """Decode the bytes of a JPEG, PNG, GIF or BMP file to (H, W, 3) uint8 RGB; a JPEG's EXIF rotation is not applied.

    The slow integer transform is that of OpenCV and Pillow; TensorFlow's default is faster and differs by some greys.
    """
    import tensorflow as tf

    picture = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(picture, (None, None, 3))


def place_picture(picture: Any, canvas_size: Size, mode: LetterboxMode) -> Placed:
    """Put a picture (H, W, 3) uint8 on a canvas as `yolo.images.letterbox.Letterbox` does, to within one grey level."""
    import tensorflow as tf

    sides = tf.shape(picture)[:2]
    if mode == "stretch":
        inner, offset = tf.constant(canvas_size), tf.constant([0, 0])
        canvas = _corner_to_corner(tf.cast(picture, tf.float32), canvas_size)
    else:
        scale = tf.reduce_min(tf.constant(canvas_size, tf.float64) / tf.cast(sides, tf.float64))
        inner = tf.maximum(1, tf.cast(tf.round(tf.cast(sides, tf.float64) * scale), tf.int32))
        offset = (tf.constant(canvas_size) - inner) // 2
        canvas = _on_grey(_resized(picture, inner), offset, canvas_size)
    twice = [1, 0, 1, 0]  # (height, width) to x, y, x, y
    scale = tf.cast(tf.cast(inner, tf.float64) / tf.cast(sides, tf.float64), tf.float32)
    return Placed(
        tf.ensure_shape(canvas, (*canvas_size, 3)),
        tf.gather(scale, twice),
        tf.gather(tf.cast(offset, tf.float32), twice),
        tf.gather(tf.cast(sides, tf.float32), twice),
    )


def _resized(picture: Any, inner: Any) -> Any:
    """Picture at the inner size, in whole greys: averaged when it shrinks to less than half, else bilinear."""
    import tensorflow as tf

    ratio = tf.reduce_min(tf.cast(inner, tf.float64) / tf.cast(tf.shape(picture)[:2], tf.float64))
    exact = tf.cond(
        ratio < 0.5,
        lambda: tf.image.resize(picture, inner, method="area"),
        lambda: tf.image.resize(picture, inner, method="bilinear"),
    )
    return tf.round(tf.ensure_shape(exact, (None, None, 3)))


def _on_grey(inner: Any, offset: Any, canvas_size: Size) -> Any:
    """Picture on its canvas with grey bars."""
    import tensorflow as tf

    size = tf.shape(inner)[:2]
    after = tf.constant(canvas_size) - size - offset
    bars = tf.concat([tf.stack([offset, after], axis=1), [[0, 0]]], axis=0)
    return tf.pad(inner, bars, constant_values=float(CANVAS_GREY))


def _corner_to_corner(picture: Any, size: Size) -> Any:
    """Bilinear resize that keeps the corner pixels, Darknet's."""
    import tensorflow as tf

    return tf.compat.v1.image.resize_bilinear(picture[None], size, align_corners=True)[0]
