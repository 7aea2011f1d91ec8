"""What `make` runs on the project itself."""
