"""What proves the product, in campaigns too long for a test."""
