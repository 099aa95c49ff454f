"""What is wrong with boards, and what to type."""
