"""Detections and datasets as the objects of other programs, and back: pandas, supervision, COCO, plain data.

Everything here takes and gives columns; `yolo.structs` has the methods that users call.
"""
