"""Parts of the scripts that run an exported file without this package; `sample_script` puts them together."""

RUN = {
    "onnx": """
import onnxruntime

session = onnxruntime.InferenceSession(str(MODEL))


def run(images):
    return session.run(OUTPUTS, {"images": images})
""",
    "openvino": """
import openvino

model = openvino.compile_model(MODEL, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})  # leave the hint out: may be faster


def run(images):
    results = model(images)
    return [results[name] for name in OUTPUTS]
""",
    "litert": """
from ai_edge_litert.interpreter import Interpreter  # or tf.lite.Interpreter

interpreter = Interpreter(model_path=str(MODEL))
signature = interpreter.get_signature_runner()


def run(images):
    results = signature(images=images)
    return [results[name] for name in OUTPUTS]
""",
    "saved_model": """
import tensorflow as tf

loaded = tf.saved_model.load(str(MODEL))
signature = loaded.signatures["serving_default"]


def run(images):
    results = signature(images=tf.constant(images))
    return [results[name].numpy() for name in OUTPUTS]
""",
}
"""Loading and running of each format: images (1, H, W, 3) float32, RGB in 0..255, to the outputs."""

PREPARE = {
    "letterbox": '''
def prepare(image):
    """Shrink or enlarge to fit the canvas, centred on grey; returns it with scale (x, y) and offset (x, y)."""
    (rows, columns), (height, width) = CANVAS, image.shape[:2]
    scale = min(rows / height, columns / width)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if min(inner[0] / width, inner[1] / height) < 0.5 else cv2.INTER_LINEAR
    left, top = (columns - inner[0]) // 2, (rows - inner[1]) // 2
    canvas = np.full((rows, columns, 3), 127, np.uint8)
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(image, inner, interpolation=method)
    return canvas.astype(np.float32), (inner[0] / width, inner[1] / height), (left, top)
''',
    "stretch": '''
def prepare(image):
    """Stretch to the canvas as Darknet does, corner pixel to corner pixel; returns it with scale (x, y) and offset."""
    (rows, columns), (height, width) = CANVAS, image.shape[:2]
    x = np.arange(columns, dtype=np.float32) * np.float32((width - 1) / max(1, columns - 1))
    y = np.arange(rows, dtype=np.float32) * np.float32((height - 1) / max(1, rows - 1))
    canvas = cv2.remap(image.astype(np.float32), *np.meshgrid(x, y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return canvas, (columns / width, rows / height), (0, 0)
''',
}
"""Image (H, W, 3) uint8 RGB to the canvas (rows, columns, 3) float32; the network scales the pixels itself."""

MAPS = '''
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def decode(maps):
    """Decode raw maps (1, h, w, A x (5 + C)) to boxes (P, 4) xyxy in canvas pixels and scores (P, C)."""
    boxes, scores = [], []
    for raw, stride, anchors, scale_xy in zip(maps, STRIDES, ANCHORS, SCALE_XY):
        rows, columns = raw.shape[1:3]
        raw = raw.reshape(rows, columns, len(anchors), 5 + len(CLASSES)).astype(np.float32)
        cell = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1)[:, :, None]
        centre = (sigmoid(raw[..., :2]) * scale_xy - (scale_xy - 1) / 2 + cell) * stride
        half = @SIZE@ * np.array(anchors, np.float32) / 2
        boxes.append(np.concatenate([centre - half, centre + half], -1).reshape(-1, 4))
        scores.append((sigmoid(raw[..., 4:5]) * @CLASSES@).reshape(-1, len(CLASSES)))
    return np.concatenate(boxes), np.concatenate(scores)
'''
"""Decoding of raw maps, with two expressions that depend on the network."""

SIZES = {
    "exponential": "np.exp(np.minimum(raw[..., 2:4], 10))",
    "squared": "(2 * sigmoid(raw[..., 2:4])) ** 2",
}
"""Width and height relative to the anchor's, by the coding of sizes."""
SOFTMAX = """
def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)

"""

OVERLAP = '''
def overlap(box, others):
    """@ABOUT@ of a box (4,) and others (N, 4)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    inner = np.maximum(sides, 0).prod(-1)
    areas = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(-1)
@RESULT@
'''
"""Overlap that is compared with the threshold, with an expression that depends on the kind of suppression."""

IOU = "    return inner / (areas - inner + 1e-9)"
IOU_LESS_DISTANCE = """    square = 1, CANVAS[1] / CANVAS[0]  # distances are in fractions of the canvas
    centres = (box[:2] + box[2:] - others[:, :2] - others[:, 2:]) / 2 * square
    hull = (np.maximum(box[2:], others[:, 2:]) - np.minimum(box[:2], others[:, :2])) * square
    return inner / (areas - inner + 1e-9) - ((centres**2).sum(-1) / ((hull**2).sum(-1) + 1e-9)) ** EXPONENT"""

CANDIDATES = '''
def suppress(boxes, scores):
    """@ABOUT@; gives boxes, scores, labels, best first."""
    slots, labels = np.nonzero(scores >= CONF)
    boxes, scores = boxes[slots], scores[slots, labels]
    order = np.argsort(-scores, kind="stable")[:MOST_CANDIDATES]
    boxes, scores, labels = boxes[order], scores[order], labels[order]
    left, kept = np.arange(len(boxes)), []
    while len(left) and len(kept) < MOST_DETECTIONS:
@STEP@
    return boxes[kept], scores[kept], labels[kept]
'''
"""Suppression: what is common to all kinds."""

GREEDY = """        best, left = left[0], left[1:]
        kept.append(best)
        left = left[@OTHER@(overlap(boxes[best], boxes[left]) <= IOU)]"""
SOFT = """        best = left[scores[left].argmax()]
        kept.append(best)
        left = left[left != best]
        near = left@SAME@
        scores[near] *= np.exp(-(overlap(boxes[best], boxes[near]) ** 2) / SIGMA)
        left = left[scores[left] >= CONF]"""

FIND = {
    "maps": """
def find(images):
    return suppress(*decode(run(images)))
""",
    "predictions": """
def find(images):
    boxes, scores = run(images)
    return suppress(boxes[0], scores[0])
""",
    "detections": """
def find(images):
    boxes, scores, labels, valid = (each[0] for each in run(images))
    return boxes[valid], scores[valid], labels[valid]
""",
    "tensorflow": """
def find(images):
    boxes, scores, labels, count = (each[0] for each in run(images))
    kept = slice(int(count))
    xyxy = boxes[kept][:, [1, 0, 3, 2]] * np.tile(CANVAS[::-1], 2)  # ymin, xmin, ymax, xmax as fractions of the canvas
    return xyxy, scores[kept], labels[kept].astype(int) - 1  # classes are numbered from 1
""",
}
"""Boxes (N, 4) xyxy in canvas pixels, scores and labels of one image, by the contents of the file."""

MAIN = """
def main(path):
    image = cv2.imread(path)
    if image is None:
        sys.exit(f"{path}: not a picture")
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    canvas, scale, offset = prepare(image)
    boxes, scores, labels = find(@BATCH@)
    height, width = image.shape[:2]
    boxes = np.clip((boxes - np.tile(offset, 2)) / np.tile(scale, 2), 0, [width, height, width, height])
    for box, score, label in zip(boxes, scores, labels):
        print(CLASSES[label], f"{score:.4f}", *(f"{side:.2f}" for side in box))


if __name__ == "__main__":
    for picture in sys.argv[1:]:
        main(picture)
"""
