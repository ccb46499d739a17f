"""What people ask of the pipeline as a whole: how far it is, what happened, whether all is well."""
