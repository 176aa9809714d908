"""SavedModel for TensorFlow Serving: encoded pictures in, boxes in their own pixels out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.conversion.conversion import Conversion
from yolo.conversion.graph import network_function
from yolo.conversion.saved_model_file import SERVING, SavedModel, write_saved_model
from yolo.exporting.picture_graph import decode_picture, place_picture
from yolo.files.atomic import write_text

if TYPE_CHECKING:
    from yolo.model.detector import Detector

PICTURES = "image_bytes"
"""Name of the input: by the ending, REST clients know to send ``{"b64": ...}``."""
CONFIG = """model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
}}
"""
"""models.config, for servers of several models."""
README = """# @NAME@ for TensorFlow Serving

    docker run -p 8501:8501 -v "$PWD:/models" tensorflow/serving --model_config_file=/models/models.config

    python - <<END
    import base64, json, urllib.request
    body = {"instances": [{"b64": base64.b64encode(open("photo.jpg", "rb").read()).decode()}]}
    address = "http://localhost:8501/v1/models/@NAME@:predict"
    print(urllib.request.urlopen(address, json.dumps(body).encode()).read().decode())
    END

The input `image_bytes` are the contents of JPEG, PNG, GIF or BMP files. The rotation in a JPEG's EXIF data is not
applied: turn such pictures first.
"""


def write_tf_serving(detector: Detector, folder: Path, name: str) -> None:
    """Write ``NAME/1/saved_model.pb`` and ``models.config`` into a folder.

    Raises:
        ConfigError: Keras computes with another backend than TensorFlow.
    """
    conversion = Conversion(contents="detections", fixed_canvas=True)
    module = served_module(detector, conversion)
    version = folder / name / "1"
    version.parent.mkdir()
    signatures = {SERVING: module.detect}
    write_saved_model(SavedModel(module, signatures), conversion.describe(detector), version)
    write_text(folder / "models.config", CONFIG.format(name=name))


def served_module(detector: Detector, conversion: Conversion) -> Any:
    """Make the `tf.Module` whose ``detect`` is served.

    It takes ``image_bytes`` (B,), each the contents of a JPEG, PNG, GIF or BMP file, and gives, best first and padded
    to D, ``detection_boxes`` (B, D, 4) xyxy in the picture's pixels, ``detection_scores`` (B, D), ``detection_classes``
    (B, D) int32 from 0, ``detection_names`` (B, D) and ``num_detections`` (B,) int32.
    """
    import tensorflow as tf

    function = network_function(detector, conversion)
    canvas, mode, classes = detector.canvas, detector.letterbox, list(detector.classes)

    def place(encoded: Any) -> Any:
        return tuple(place_picture(decode_picture(encoded), canvas, mode))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=PICTURES)])
    def detect(image_bytes: Any) -> dict[str, Any]:
        numbers = tf.TensorSpec((4,), tf.float32)
        specs = (tf.TensorSpec((*canvas, 3), tf.float32), numbers, numbers, numbers)
        images, scale, offset, sides = tf.map_fn(place, image_bytes, fn_output_signature=specs)
        kept = function(images)
        valid = kept["valid"]
        boxes = tf.clip_by_value((kept["boxes"] - offset[:, None]) / scale[:, None], 0.0, sides[:, None])
        names = tf.gather(tf.constant(classes), kept["labels"])
        return {
            "detection_boxes": tf.where(valid[..., None], boxes, 0.0),
            "detection_scores": kept["scores"],
            "detection_classes": tf.cast(kept["labels"], tf.int32),
            "detection_names": tf.where(valid, names, ""),
            "num_detections": tf.reduce_sum(tf.cast(valid, tf.int32), axis=-1),
        }

    module = tf.Module()
    module.function, module.network, module.detect = function, function.network, detect
    return module
