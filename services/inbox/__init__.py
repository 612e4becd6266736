"""What people read and change of the mail that sync has brought."""
