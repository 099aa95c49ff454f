"""What the documents hold that is made from the code, and what is run from their words."""
