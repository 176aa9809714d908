"""Pixels: decode and encode images, letterbox them onto a canvas, draw on them, plot figures."""
