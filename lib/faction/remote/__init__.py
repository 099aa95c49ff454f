"""What a swarm tells of all its members through any of them: who is there, and what each has measured.

Each module is loaded only where it is configured.
"""
