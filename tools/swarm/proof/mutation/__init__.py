"""`make mutation`: whether the tests notice small changes of what decides."""
