"""Box overlaps, decoding, target assignment, loss and NMS in `keras.ops` alone, the same on every backend.

Shapes: B images, P slots (the predictions of all scales on one axis), M padded true boxes, C classes. Boxes are xyxy in
canvas pixels.
"""
