"""The plan of an audit: which steps answer a spec, and what each of them reads."""
