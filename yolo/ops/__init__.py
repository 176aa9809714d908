"""Box overlaps, decoding, target assignment, loss and NMS in `keras.ops` alone, the same on every backend.

`slots`, `suppression` and `host_nms` are numpy alone, for runtimes that are not Keras.

Shapes: B images, P slots (the predictions of all scales on one axis), M padded true boxes, C classes. Boxes are xyxy in
canvas pixels.
"""
