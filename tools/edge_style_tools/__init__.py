"""From a trained network to a verified `.onnx` file: export, quantize, verify, import."""
