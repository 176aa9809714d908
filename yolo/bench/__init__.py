"""Speed, memory, size and accuracy of a detector in every runtime and precision, side by side."""
