"""A swarm's version onto its boards, so that a cut at any point leaves the old one or the new one."""
