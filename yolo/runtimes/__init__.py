"""A detector's network in any program that runs networks: TensorFlow, OpenVINO, ONNX Runtime, LiteRT."""
