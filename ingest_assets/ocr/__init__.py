"""Text recognition: what an engine is (`engine`), the local engine, and Amazon Textract."""
