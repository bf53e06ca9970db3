"""The sale of images: keys, admission, orders, and the ledger's transactions behind them."""
