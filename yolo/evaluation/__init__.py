"""COCO and VOC metrics: of a detector (`evaluator`), or of any detections (`metrics`)."""
