"""Loading weights files of any supported kind into a detector, and writing Darknet's from one."""
