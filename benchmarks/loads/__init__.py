"""What is done to the relay."""
