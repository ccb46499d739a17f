"""What Dagster is told: the only package that imports it."""
