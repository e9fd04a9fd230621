"""What people read: cards, replies, the digest, in two languages and within Google's limits."""
