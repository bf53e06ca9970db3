"""Selling images: keys, admission, orders, and the ledger transactions that back them."""
