"""`make fuzz`: guided by coverage and at random, everything that takes bytes from outside, on every runtime."""
