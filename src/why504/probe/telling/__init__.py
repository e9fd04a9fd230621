"""What is told beside spans: records of waits, holds and stalls, and what is still open."""
