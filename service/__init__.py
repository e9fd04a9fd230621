"""Context handling: what an AI companion remembers about its relation with a user."""
