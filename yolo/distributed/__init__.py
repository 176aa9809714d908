"""Several devices and several hosts: which there are, and how they find and watch each other."""
