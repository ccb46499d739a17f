"""Everything that imports Dagster: assets, jobs, sensors, resources, and the instance."""
