"""Networks, and the `Detector` model around them."""
