"""Training on several devices and several hosts: choosing them, connecting them and supervising them."""
