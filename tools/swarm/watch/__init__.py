"""What running nodes tell: their table, what changes in it, and the samples that they keep."""
