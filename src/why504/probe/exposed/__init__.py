"""What a probe shows and says by itself: metrics, its state, alerts."""
