"""Text recognition: what an engine is (`engine`), and the engines. Imports no Dagster."""
