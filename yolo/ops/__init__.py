"""The maths of YOLOv3 in `keras.ops` alone: the same on TensorFlow, JAX and PyTorch.

Shapes: B pictures, P slots (predictions of all scales on one axis), M padded true boxes,
C classes. Boxes are xyxy in canvas pixels.
"""
