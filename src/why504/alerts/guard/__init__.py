"""What happens when nobody answers, or when alerting itself breaks."""
