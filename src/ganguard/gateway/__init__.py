"""A generator behind HTTP: keys, budgets, defences by class of account, and how near each account is to a
copy."""
