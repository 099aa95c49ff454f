"""`make figures`: every figure of FIGURES.md, its command, its bar and its plot."""
