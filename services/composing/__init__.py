"""What people write: drafts and uploads, mail sent from an account, and its copy in the account's Sent folder."""
