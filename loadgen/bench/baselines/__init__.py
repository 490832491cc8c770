"""What the service is measured against: other ways to serve the same model."""
