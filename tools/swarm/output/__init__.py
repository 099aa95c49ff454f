"""What the host says and writes: standard streams, progress, pictures, files that are there whole or not at all."""
