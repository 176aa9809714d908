"""Metrics by the rules of COCO and VOC: of a detector (`evaluate`), or of any detections (`metrics`)."""
