"""What the relay is compared with."""
