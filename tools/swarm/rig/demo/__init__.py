"""A demo: virtual boards that get power at random times, followed until they have taken their samples."""
