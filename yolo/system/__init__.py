"""System: memory of the process and of its devices, starting the backend, signal handlers."""
