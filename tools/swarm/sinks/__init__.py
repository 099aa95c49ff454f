"""Where samples go besides their file, while they are followed."""
