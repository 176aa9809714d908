"""Network definitions: YOLOv3's own, Darknet .cfg files, and Keras backbones under YOLOv3's neck."""
