"""What comes while a swarm is followed through one of its boards."""
