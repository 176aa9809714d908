"""The machine: memory of the process and of its devices, and how the backend is started."""
