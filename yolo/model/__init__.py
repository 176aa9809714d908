"""The networks and the `Detector` around them."""
