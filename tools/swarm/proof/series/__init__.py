"""A campaign of a series on virtual boards: reboots and power cuts, and each record on flash and in the CSV once."""
