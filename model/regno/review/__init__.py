"""What makes a reading doubtful, what guards do about it, which decision a score leads to."""
