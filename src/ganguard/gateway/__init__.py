"""A generator behind HTTP: keys, budgets, defences by class of account, and how far each account has come in
copying it."""
