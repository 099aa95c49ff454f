"""faction: sensor nodes agree when enough of them are ready, and take their first sample together."""
