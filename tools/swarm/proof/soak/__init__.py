"""`make soak`: virtual boards that live through an hour of reboots, power cuts and bad air."""
