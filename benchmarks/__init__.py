"""What measures speed: loads on the relay, and what they are compared with, in one run on one machine."""
