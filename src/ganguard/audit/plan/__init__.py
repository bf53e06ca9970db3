"""Which steps answer a spec, and what each reads."""
