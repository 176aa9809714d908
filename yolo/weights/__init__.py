"""From any file of weights into a detector, and from a detector into Darknet's files."""
