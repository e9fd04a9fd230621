"""The language model, through Groq's SDK."""
