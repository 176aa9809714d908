"""The networks: YOLOv3's own, those of a Darknet .cfg, and Keras backbones under YOLOv3's neck."""
